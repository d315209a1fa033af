"""Writes that wait for each other go into one transaction, and fail by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError
from agentrt.store import Journal
from agentrt.store.answers import Answers
from agentrt.store.grouping import Groups
from tests.store.answered import answer


class Transactions:
    """What would be a database: what each transaction wrote, once it is committed."""

    def __init__(self) -> None:
        self.committed: list[list[Any]] = []
        self.open = asyncio.Event()
        self.groups = Groups(self.begin)
        self._now: list[Any] = []
        self.tried = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, which takes as long as the gate is closed."""
        self._now = []
        await self.open.wait()
        yield cast("AsyncConnection", self)
        self.committed.append(self._now)

    async def numbers(self, _: AsyncConnection, rows: Sequence[int]) -> None:
        """Write numbers, of which 13 is none; 99 is one, but the database is away then."""
        self.tried += 1
        if 13 in rows:
            raise ValueError("13 is none")
        if 99 in rows:
            raise JournalError("the database is away")
        self._now.append(list(rows))

    async def words(self, _: AsyncConnection, rows: Sequence[str]) -> None:
        """Write words."""
        self._now.append(list(rows))


async def test_what_waits_goes_together_in_order() -> None:
    """Calls that wait go in one transaction, neighbours of one kind in one statement; what comes later in another."""
    there = Transactions()
    calls = [
        asyncio.create_task(there.groups.write(write, rows))
        for write, rows in ((there.numbers, [1]), (there.numbers, [2, 3]), (there.words, ["a"]), (there.numbers, [4]))
    ]
    await asyncio.sleep(0)
    there.open.set()
    await asyncio.gather(*calls)
    await there.groups.write(there.words, ["b"])
    assert there.committed == [[[1, 2, 3], ["a"], [4]], [["b"]]]


async def test_a_mistake_is_told_to_whose_it_is() -> None:
    """Of a group that fails each call is made by itself, and the others are kept."""
    there = Transactions()
    calls = [asyncio.create_task(there.groups.write(there.numbers, [one])) for one in (1, 13, 2)]
    await asyncio.sleep(0)
    there.open.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(one) for one in ended] == ["None", "13 is none", "None"]
    assert there.committed == [[[1]], [[2]]]
    await there.groups.write(there.numbers, [3])
    with pytest.raises(ValueError, match="13 is none"):
        await there.groups.write(there.numbers, [13])


async def test_a_database_that_is_away_is_tried_once_for_all() -> None:
    """Each of those who wait is told, and none waits for the others' attempts."""
    there = Transactions()
    there.open.set()
    calls = [there.groups.write(there.numbers, [one]) for one in (1, 99, 2)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(one) for one in ended] == ["the database is away"] * 3
    assert there.tried == 1


async def test_who_waits_no_more_harms_nobody() -> None:
    """A call that is cancelled may be kept; the others are, and an error of its own is nobody's."""
    there = Transactions()
    calls = [asyncio.create_task(there.groups.write(there.numbers, [one])) for one in (1, 13, 2)]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.sleep(0)
    there.open.set()
    await asyncio.gather(calls[0], calls[2])
    assert there.committed == [[[1]], [[2]]]


async def test_many_single_answers_are_few_transactions(journal: Journal) -> None:
    """Answers that are put one by one, side by side, are kept, and one that cannot be is told apart."""
    store = Answers(journal)
    await store.put([answer(1000)])
    puts = [store.put([answer(number)]) for number in range(1, 300)]
    ended = await asyncio.gather(*puts, store.put([answer(1000, exact="other")]), return_exceptions=True)
    assert [one for one in ended if one is not None] == ended[-1:]
    assert isinstance(ended[-1], JournalError)
    assert sum([len(page) async for page in store.answers()]) == 300
