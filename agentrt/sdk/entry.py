"""The shortest way to run a program."""

from __future__ import annotations

import asyncio
from typing import ParamSpec, TypeVar

from agentrt.errors import ProgramError
from agentrt.runtime import RunResult, Runtime
from agentrt.sdk.steps import Program

P = ParamSpec("P")
R = TypeVar("R")


def run(program: Program[P, R], *args: P.args, **kwargs: P.kwargs) -> RunResult[R]:
    """Run a program from ordinary code, with an engine that is found or started when the first agent is asked.

    ``run(report, "otters").output`` is the program's value, or raises what ended it. Inside an event loop use
    ``Runtime.run`` instead, as a ``ProgramError`` says there; it is also the place for settings.
    """

    async def main() -> RunResult[R]:
        async with Runtime() as runtime:
            return await runtime.run(program, *args, **kwargs)

    if _in_a_loop():
        raise ProgramError(
            "run() was called inside a running event loop (a notebook, or async code); write instead: "
            "async with Runtime() as runtime: result = await runtime.run(program, ...)"
        )
    return asyncio.run(main())


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
