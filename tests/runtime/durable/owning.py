"""A program that waits in the middle for its test, and processes that run and resume it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import agentrt
from agentrt import Runtime, program, step, tool
from agentrt.errors import AgentrtError
from agentrt.runtime import RunResult
from agentrt.store import Journal

from .crashing import APPEND

ELSEWHERE: Final = "elsewhere/12345678/1"
"""The name of a machine that is not this one: of a process there, nobody can look up whether it lives."""


class Place(NamedTuple):
    """The files of a test; before each attempt of the tool ``wait`` that has a gate there, it is waited at."""

    folder: Path

    @property
    def journal(self) -> str:
        """The journal's file."""
        return str(self.folder / "runs.db")

    @property
    def effects(self) -> Path:
        """``PROCESS STEP ATTEMPT`` for each body that was entered."""
        return self.folder / "effects"

    def gate(self, attempt: int) -> Path:
        """Reading it blocks until somebody has opened it for writing and closed it again; and the other way round."""
        return self.folder / f"gate-{attempt}"

    def lines(self) -> list[tuple[int, str, int]]:
        """Process, step and attempt of what was run."""
        found = [line.split() for line in self.effects.read_text(encoding="utf-8").splitlines()]
        return [(int(process), step, int(attempt)) for process, step, attempt in found]


def ran(folder: str) -> None:
    """A body runs."""
    step = agentrt.idempotency_key().partition("/")[2]
    file = os.open(Place(Path(folder)).effects, APPEND, 0o600)
    os.write(file, f"{os.getpid()} {step} {agentrt.attempt()}\n".encode())
    os.close(file)


@tool(idempotent=True)
async def act(folder: str) -> int:
    """A tool with a side effect; gives the process that it ran in."""
    ran(folder)
    return os.getpid()


@step
async def plain(folder: str) -> int:
    """A step that is no tool."""
    ran(folder)
    return os.getpid()


@tool(idempotent=True)
def wait(folder: str) -> int:
    """A tool that waits at its gate, if there is one."""
    ran(folder)
    gate = Place(Path(folder)).gate(agentrt.attempt())
    if gate.exists():
        gate.read_bytes()
    return os.getpid()


@program
async def gated(folder: str) -> list[int]:
    """Something before the gate, and something of every kind after it."""
    return [await act(folder), await wait(folder), *await asyncio.gather(act(folder), plain(folder))]


def start(place: Place, answers: Connection, host: str | None) -> None:
    """Run the program in a process; of a machine of that name."""
    _answer(answers, _in(place, host, lambda runtime: runtime.run(gated, str(place.folder))))


def resume(place: Place, answers: Connection, host: str | None) -> None:
    """Resume the newest run in a process, as soon as it is told to."""
    answers.recv()

    async def go_on(runtime: Runtime) -> RunResult[list[int]]:
        return await (await runtime.resume(gated))

    _answer(answers, _in(place, host, go_on))


async def _in(
    place: Place, host: str | None, go: Callable[[Runtime], Awaitable[RunResult[list[int]]]]
) -> RunResult[list[int]]:
    async with Journal(place.journal) as journal, Runtime({}, journal=journal, estimates=None) as runtime:
        if host is not None:
            journal.me = journal.me._replace(host=host)
        return await go(runtime)


def _answer(answers: Connection, work: Awaitable[RunResult[list[int]]]) -> None:
    """Send the status, and the name and message of what was wrong."""

    async def done() -> RunResult[list[int]]:
        return await work

    try:
        result = asyncio.run(done())
    except AgentrtError as error:
        answers.send(("refused", type(error).__name__, str(error)))
    else:
        cause = result.error and result.error.__cause__
        answers.send((result.status, type(cause).__name__, str(cause)))
