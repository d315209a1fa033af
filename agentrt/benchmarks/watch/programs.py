"""The program that is watched: chapters of nested steps with data between them, and now and then a model turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from agentrt import Agent, program, step

PAGES: Final = 8
"""Pages of a chapter: each is fetched and then read."""

STEPS: Final = 2 * PAGES + 3
"""Steps of a chapter: itself, its pages, a model turn on two of them, and what all is put together by."""

ROWS: Final = 2 * (STEPS - 1) + 8
"""Rows that a chapter makes in the journal: two for each step; a turn has more, and phases and text beside them."""


def _rest(number: int) -> float:
    """How long a step takes, in seconds: from 10 to 700 ms, most of them short."""
    return 0.01 + 0.69 * ((number * 7919) % 101 / 100) ** 3


@step
async def fetch(number: int) -> str:
    """A page from far away."""
    await asyncio.sleep(_rest(number))
    return f"page {number}"


@step
async def read(page: str) -> str:
    """What a page says."""
    await asyncio.sleep(_rest(len(page)))
    return f"{page}: nothing new"


@step
async def compare(notes: list[str], summary: str) -> int:
    """What a chapter comes to."""
    return len(notes) + len(summary)


writer = Agent("writer", system="You write one line.", max_tokens=24)


@step
async def chapter(number: int) -> int:
    """Pages side by side, then what they come to."""
    pages = [fetch(number * PAGES + page) for page in range(PAGES)]
    notes = [read(page) for page in pages]
    summary = writer("Sum this up in one line, and leave nothing out:", notes[0], notes[1])
    return await compare(notes, summary)


class Pace:
    """Holds a program back to ``rows`` of its journal a second; 0 does not."""

    def __init__(self, rows: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = ROWS / rows if rows else 0.0
        self._clock = clock
        self._due = clock()

    async def next(self) -> None:
        """Wait until the next chapter may begin."""
        self._due += self._every
        await asyncio.sleep(max(0.0, self._due - self._clock()))


@program
async def survey(chapters: int, rows: float) -> int:
    """Many chapters, one after another begun."""
    pace = Pace(rows)
    begun = []
    for number in range(chapters):
        begun.append(chapter(number))
        await pace.next()
    return sum([await one for one in begun])
