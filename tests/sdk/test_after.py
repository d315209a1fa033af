"""``after``: steps to wait for without using their values, wherever options are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Agent, Handle, Runtime, program, step, tool
from agentrt.errors import ProgramError
from agentrt.testing import say

from .conftest import served


@step
async def first() -> int:
    return 1


def as_step(before: Handle[Any]) -> Handle[Any]:
    @step(after=[before])
    async def second() -> int:
        return 2

    return second()


def as_tool(before: Handle[Any]) -> Handle[Any]:
    @tool(after=[before])
    async def second() -> int:
        return 2

    return second()


def as_program(before: Handle[Any]) -> Handle[Any]:
    @program(after=[before])
    async def second() -> int:
        return 2

    return second()


def with_options(before: Handle[Any]) -> Handle[Any]:
    @step
    async def second() -> int:
        return 2

    return second.with_(after=(one for one in [before])).with_(priority=1)()


@pytest.mark.parametrize("make", [as_step, as_tool, as_program, with_options], ids=lambda make: make.__name__)
async def test_a_step_waits_for_what_it_comes_after(make: Callable[[Handle[Any]], Handle[Any]]) -> None:
    """A decorator takes ``after`` as ``with_`` does; the edge is in the graph and no value is handed on."""

    @program
    async def main() -> int:
        return await make(first())

    async with Runtime({}) as runtime:
        result = await runtime.run(main)
    assert result.output == 2
    assert result.edges == (("first#1", "second#1"),)


async def test_every_call_of_an_agent_comes_after() -> None:
    """What an agent comes after holds for all of its calls, also when it was given as a generator."""

    @program
    async def main() -> list[str]:
        writer = Agent("writer", after=(one for one in [first()])).with_(temperature=0.0)
        return [await writer("a"), await writer("b")]

    async with served(lambda asked: say(asked.last)) as (_, runtime):
        result = await runtime.run(main)
    assert result.output == ["a", "b"]
    assert {("first#1", "writer#1"), ("first#1", "writer#2")} <= set(result.edges)


def test_a_session_outside_a_run_is_refused() -> None:
    """A session belongs to a run; without one the message says how to get one."""
    with pytest.raises(ProgramError, match=r"writer\.session\(\) was called outside a run; call it inside a @program"):
        Agent("writer").session()
