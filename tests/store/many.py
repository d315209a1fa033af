"""Many processes that run programs with one journal at once: ``python -m tests.store.many URL PROCESSES RUNS STEPS``.

Prints one JSON object: for each process its seconds, how each of its runs ended, and what was logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any, NoReturn

import aiosqlite
import sqlalchemy.dialects.sqlite.aiosqlite

import agentrt.store.archive
import agentrt.store.sqlite
from agentrt import Runtime, program, step

_WARM = (aiosqlite, sqlalchemy.dialects.sqlite.aiosqlite, agentrt.store.archive, agentrt.store.sqlite)


@step
async def add(total: int, one: int) -> int:
    """The next sum."""
    await asyncio.sleep(0)
    return total + one


@program
async def chain(steps: int) -> int:
    """Steps one after the other."""
    total = 0
    for _ in range(steps):
        total = await add(total, 1)
    return total


class Logged(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(record.getMessage())


async def run(url: str, runs: int, steps: int) -> dict[str, Any]:
    """What one process does."""
    logged = Logged()
    logging.getLogger("agentrt").addHandler(logged)
    began = time.perf_counter()
    async with Runtime(journal=url, kv="none", estimates=None) as runtime:
        ended = await asyncio.gather(*(runtime.run(chain, steps) for _ in range(runs)))
    outcomes = [[one.id, one.status, one.value if one.error is None else str(one.error)] for one in ended]
    return {"seconds": time.perf_counter() - began, "runs": outcomes, "logged": logged.said}


def child(start: int, out: int, url: str, runs: int, steps: int) -> NoReturn:
    """Begin when all are there."""
    os.read(start, 1)
    said = json.dumps(asyncio.run(run(url, runs, steps)))
    with os.fdopen(out, "w") as pipe:
        pipe.write(said)
    os._exit(0)


def main(url: str, processes: int, runs: int, steps: int) -> None:
    """Start all, let them begin at one moment, and gather what they say."""
    start, go = os.pipe()
    pipes = []
    for _ in range(processes):
        there, here = os.pipe()
        if os.fork() == 0:
            os.close(go)
            child(start, here, url, runs, steps)
        os.close(here)
        pipes.append(there)
    os.close(go)
    said = [os.fdopen(pipe).read() for pipe in pipes]
    for _ in range(processes):
        os.wait()
    print(json.dumps([json.loads(one) for one in said]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
