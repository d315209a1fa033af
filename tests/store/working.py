"""A run under faults: ``python -m tests.store.working URL COUNTED STEPS PATIENCE``.

Each step notes in the file ``COUNTED`` that it ran, as its effect. Says ``handed N`` when the program has a step's
result and ``ended STATUS VALUE`` at the end, and goes on with a run that ended badly for each line of its input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from agentrt import RunResult, Runtime, program, tool
from agentrt.store import Journal

FILLING = "x" * 2_000


@tool
async def count(number: int, counted: str) -> str:
    """Note that it ran, and return something that takes room."""
    file = os.open(counted, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{number}\n".encode())
    os.close(file)
    return f"{number} {FILLING}"


@program
async def counting(steps: int, counted: str) -> int:
    """Steps one after the other."""
    total = 0
    for number in range(steps):
        said = await count(number, counted)
        total += int(said.split()[0])
        print(f"handed {number}", flush=True)
    return total


def ended(result: RunResult[int]) -> None:
    """Say how it ended."""
    print(f"ended {result.status} {result.error or result.value}", flush=True)


async def main(url: str, counted: str, steps: int, patience: float) -> None:
    """Run, and go on as often as is asked for."""
    logging.getLogger("agentrt").addHandler(logging.StreamHandler(sys.stdout))
    async with Journal(url, patience=patience) as journal, Runtime(journal=journal) as runtime:
        result = await runtime.run(counting, steps, counted)
        ended(result)
        while result.error is not None and await asyncio.to_thread(sys.stdin.readline):
            result = await (await runtime.resume(counting))
            ended(result)


def counted(file: Path) -> list[int]:
    """The steps that ran, in order."""
    return list(map(int, file.read_text().split()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
