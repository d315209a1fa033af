"""Runs of agents that were cut off anywhere: turns and tools that were answered are not asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentrt import Agent, Program, program, tool
from agentrt.executors import OpenAIExecutor
from agentrt.store import Journal
from agentrt.testing import Asked, Reply, ScriptedServer, call, calls, say, say_json

from .cutting import Cutter, assert_goes_on, cutter, lengths, note, some
from .zoo import threaded


class Plan(BaseModel):
    """What the planner answers."""

    items: list[str]


@tool
async def look_up(name: str) -> str:
    """Look something up."""
    note()
    return f"{name}: 3 pieces"


@tool
async def fails(name: str) -> str:
    """Does not work."""
    note()
    raise ValueError(name)


clerk = Agent("clerk", system="You look things up.", tools=[look_up, fails])
planner = Agent("planner", output=Plan)
writer = Agent("writer", system="You write.")


def model(asked: Asked) -> Reply:
    """Answers that hang on what was said, and on nothing else."""
    said = [str(one.get("content") or "") for one in asked.messages]
    if asked.schema is not None:
        return say_json({"items": ["tea", "milk"]})
    if not asked.tools:
        return say(f"{len(said)} messages, last: {said[-1]}")
    results = [one for one in said if ": 3 pieces" in one or one.startswith("error")]
    if len(results) < 2:
        return calls(("look_up", {"name": said[-1]}), ("fails", {"name": "x"}))
    return say(f"found {results}") if len(results) > 2 else call("look_up", name="more")


@program
async def helped() -> Any:
    return await asyncio.gather(clerk("tea"), clerk("milk"), writer("hello"))


@program
async def planned() -> Any:
    plan = await planner("shop")
    found = [clerk(item) for item in plan.items]
    return await writer("sum up:", found)


@program
async def talked() -> Any:
    session = writer.session()
    await session("one")
    second = session("two")
    fork = await session.fork()
    both = await asyncio.gather(session("three"), fork("other three"))
    return await second, both, len(session.said), [one.content for one in fork.said]


@program
async def helped_twice() -> Any:
    async with clerk.session() as session:
        first = await session("tea")
        return first, await session("again"), [one.role for one in session.said]


@program
async def read_along() -> Any:
    """A step for each new word, while the answer is still being written."""
    story = writer("a b c d")
    begun = {}
    async for word in story.stream():
        if word not in begun:
            begun[word] = threaded(len(word))
    return sorted({await one for one in begun.values()}), await story


@pytest.fixture
async def runs(tmp_path: Path, journal: Journal) -> AsyncIterator[tuple[ScriptedServer, Cutter]]:
    """A scripted model, and runs that ask it."""
    async with ScriptedServer(model) as server:
        yield server, cutter(tmp_path, journal, lambda: OpenAIExecutor(server.url))


@pytest.mark.parametrize("program", [helped, planned, talked, helped_twice, read_along], ids=lambda one: str(one.name))
async def test_agents_cut_anywhere_go_on(runs: tuple[ScriptedServer, Cutter], program: Program[..., Any]) -> None:
    """The same output; no tool, and no model turn, of which the result is on disk is run or asked for again."""
    server, cuts = runs
    first = await cuts.run(program)
    assert first.result.status == "done"
    turns = sum(step.kind == "llm" for step in first.recording.steps.values())
    for length in lengths(first.recording):
        server.requests.clear()
        second = await cuts.resume(program, await cuts.cut(first.recording, length))
        assert second.result.status == "done", (length, second.result.error)
        assert second.result.output == first.result.output, length
        assert_goes_on(first.recording, length, second)
        left = turns - _answered(first.recording.entries[:length], first.recording.steps)
        assert len(server.requests) == left, length
        for again in some(lengths(second.recording), 1, length)[:1]:
            third = await cuts.resume(program, await cuts.cut(second.recording, again))
            assert third.result.output == first.result.output, (length, again, third.result.error)
            assert_goes_on(second.recording, again, third)


def _answered(entries: Any, steps: Any) -> int:
    return sum(entry.kind == "ended" and steps[entry.step].kind == "llm" for entry in entries)


async def test_what_was_said_in_a_session_is_there_again(
    runs: tuple[ScriptedServer, Cutter], cuts: Callable[..., Cutter]
) -> None:
    """The first turn asked for after a crash sends all that was said before it."""
    server, agents = runs
    first = await agents.run(talked)
    asked = [[one["content"] for one in request.messages] for request in server.requests]
    for length in lengths(first.recording):
        server.requests.clear()
        await agents.resume(talked, await agents.cut(first.recording, length))
        again = [[one["content"] for one in request.messages] for request in server.requests]
        assert all(one in asked for one in again), length
