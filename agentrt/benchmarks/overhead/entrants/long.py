"""The programs of the long run: they end in a step that waits to be killed the first time, and returns when resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from agentrt import Program, Runtime, program, step
from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Shape

noop = step(contract.noop)

waiting: list[Callable[[], None]] = []
"""Called by the last step, which then waits for ever; empty in the process that resumes."""


@step
async def last() -> None:
    """The step in flight when the process is killed."""
    for tell in waiting:
        tell()
        await asyncio.Event().wait()


@program
async def chain(steps: int, width: int) -> None:
    """Each step awaited."""
    value: Any = None
    for _ in range(steps):
        value = await noop(value)
    await last()


@program
async def layered(steps: int, width: int) -> None:
    """Each layer gathered."""
    for _ in range(steps // width):
        await asyncio.gather(*[noop() for _ in range(width)])
    await last()


PROGRAMS: Final[dict[Shape, Program[[int, int], None]]] = {"chain": chain, "layered": layered}


async def start(url: str, shape: Shape, steps: int, width: int, tell: Callable[[str], None]) -> None:
    """Run until the last step waits; ``tell`` gets the run's id then."""
    async with Runtime(journal=url) as runtime:
        run = runtime.start(PROGRAMS[shape], steps, width)
        waiting.append(lambda: tell(run.id))
        await run


async def resume(url: str, shape: Shape, run: str) -> None:
    """Resume a run that was killed, to its end."""
    async with Runtime(journal=url) as runtime:
        result = await (await runtime.resume(PROGRAMS[shape], run))
        assert result.status == "done", result.error
