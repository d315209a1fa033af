"""What type checkers must accept: programs as people write them."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from typing_extensions import assert_type

from agentrt import Agent, Handle, RunResult, Session, approve, ask, choose, each, fill, program, run, step, tool


class Paragraph(BaseModel):
    title: str


@tool
async def search(query: str) -> list[str]:
    return [query]


@tool(retries=2)
def length(text: str) -> int:
    return len(text)


@step(timeout=5)
async def rank(facts: list[str], top: int = 3) -> str:
    return facts[0]


@step
def half(x: int) -> float:
    return x / 2


writer = Agent("writer", system="You write.", tools=[search, length], output=Paragraph)
planner = Agent("planner")


@program
async def inner(n: int) -> list[float]:
    return list(await asyncio.gather(*(half(i) for i in range(n))))


@program(siblings="finish")
async def main(topic: str) -> str:
    facts = search(topic)
    assert_type(facts, Handle[list[str]])
    assert_type(await facts, list[str])
    best = rank(facts)  # a handle where a value is expected
    mixed: list[str | Handle[str]] = [best, "text"]  # inference alone would find no common type
    again = rank([best, rank(mixed)], top=length(best))  # handles inside a list, and by name
    assert_type(writer("x", facts), Handle[Paragraph])
    assert_type(planner("x"), Handle[str])
    chat = writer.session()
    assert_type(chat, Session[Paragraph])
    assert_type((await chat("one")).title, str)
    assert_type(await inner(3), list[float])
    async for value in each(half, [1, 2]):
        assert_type(value, float)
    yes = approve("Go on?", context=facts, default=False, within=60)
    assert_type(await yes, bool)
    assert_type(await choose("Which?", facts), str)
    assert_type(await ask(planner("x"), who="Ann"), str)
    assert_type(await fill("A paragraph?", Paragraph, default=Paragraph(title="x")), Paragraph)
    async for piece in planner("x").stream():
        assert_type(piece, str)
    assert_type(search.with_(timeout=3)("x"), Handle[list[str]])
    return await again


result = run(main, "otters")
assert_type(result, RunResult[str])
assert_type(result.output, str)
