"""A run of three hundred steps in groups and levels: recorded for the tests and pictures of the screens."""

from __future__ import annotations

import asyncio

from agentrt import Agent, attempt, program, step

PAGES = 14

writer = Agent("writer", system="You write one line.", temperature=0)


def _rest(number: int) -> float:
    return 0.05 + 0.6 * ((number * 7919) % 101 / 100) ** 2


@step(retries=1, backoff=0.4)
async def fetch(number: int) -> int:
    """A page from far away; every twentieth comes at the second attempt only, and one never."""
    await asyncio.sleep(_rest(number))
    if number == 52 or (number % 20 == 7 and attempt() == 1):
        raise ConnectionError("the server was busy")
    return number


@step
async def read(page: int) -> int:
    """What a page says."""
    await asyncio.sleep(_rest(page + 31))
    return page


@step
async def rate(page: int) -> int:
    """How good it is, from 0 to 9."""
    await asyncio.sleep(_rest(page + 57) / 3)
    return page % 10


@step
async def add(rates: list[int]) -> int:
    """What a chapter is worth."""
    return sum(rates)


@step
async def chapter(number: int) -> str:
    """Pages side by side, then a line about them."""
    pages = range(number * PAGES, (number + 1) * PAGES)
    rates = [rate(read(fetch(page))) for page in pages]
    total = await add(rates)
    return await writer(f"Chapter {number} has {PAGES} pages and {total} points:")


@step
async def merge(lines: list[str]) -> str:
    """All chapters together."""
    await asyncio.sleep(0.3)
    return "\n".join(lines)


@program(siblings="finish")
async def survey(chapters: int = 6) -> str:
    """Six chapters, begun one after another."""
    begun = []
    for number in range(chapters):
        begun.append(chapter(number))
        await asyncio.sleep(0.25)
    return await merge(begun)
