"""Equal requests at the same time."""

from __future__ import annotations

import asyncio

import pytest

from agentrt.errors import Refused
from agentrt.executors.base import Emit
from agentrt.executors.flights import Flights
from agentrt.types import ModelReply


class Model:
    """Says a word whenever it is told to; counts how often it was asked, and what became of it."""

    def __init__(self) -> None:
        self.asked = self.cancelled = 0
        self.words: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, emit: Emit) -> ModelReply:
        self.asked += 1
        said = ""
        try:
            while word := await self.words.get():
                if word == "fail":
                    raise Refused("no", status=500)
                emit(word)
                said += word
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ModelReply(said)


async def soon() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_equal_requests_are_asked_once_and_all_hear_everything() -> None:
    """Who comes later hears the beginning first; one was the one that was asked; the next time it is asked anew."""
    model, flights = Model(), Flights()
    heard: list[list[str]] = [[], [], []]
    tasks = [asyncio.create_task(flights.share("k", model, heard[0].append))]
    model.words.put_nowait("a")
    await soon()
    tasks += [asyncio.create_task(flights.share("k", model, one.append)) for one in heard[1:]]
    await soon()
    assert heard == [["a"], ["a"], ["a"]]
    for word in ("b", ""):
        model.words.put_nowait(word)
    replies = await asyncio.gather(*tasks)
    assert replies == [(ModelReply("ab"), True), (ModelReply("ab"), False), (ModelReply("ab"), False)]
    assert heard == [["a", "b"]] * 3
    assert (model.asked, len(flights)) == (1, 0)
    model.words.put_nowait("")
    assert (await flights.share("k", model))[1]
    assert model.asked == 2


async def test_others_are_asked_for_themselves() -> None:
    """Only the same key is the same request."""
    model, flights = Model(), Flights()
    tasks = [asyncio.create_task(flights.share(key, model)) for key in ("k", "l")]
    await soon()
    assert model.asked == 2
    for _ in tasks:
        model.words.put_nowait("")
    assert [first for _, first in await asyncio.gather(*tasks)] == [True, True]


async def test_it_goes_on_while_somebody_waits() -> None:
    """The one who asked first may go: the others get the reply."""
    model, flights = Model(), Flights()
    first, second = (asyncio.create_task(flights.share("k", model)) for _ in range(2))
    await soon()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert model.cancelled == 0
    model.words.put_nowait("")
    assert await second == (ModelReply(""), False)


async def test_it_ends_when_nobody_waits() -> None:
    """When the last one has gone the request has ended, and the next one is asked anew."""
    model, flights = Model(), Flights()
    tasks = [asyncio.create_task(flights.share("k", model)) for _ in range(3)]
    await soon()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (model.cancelled, len(flights)) == (1, 0)
    again = asyncio.create_task(flights.share("k", model))
    await soon()
    assert model.asked == 2
    model.words.put_nowait("")
    assert (await again)[1]


async def test_nobody_joins_a_request_that_is_being_ended() -> None:
    """Who asks while the server is still being told gets an answer of his own."""
    told, flights = asyncio.Event(), Flights()
    asked: list[str] = []

    async def ask(emit: Emit) -> ModelReply:
        asked.append("again" if asked else "first")
        if len(asked) > 1:
            return ModelReply("there")
        try:
            await asyncio.Event().wait()
        finally:
            await told.wait()
        raise AssertionError("it was cancelled")

    gone = asyncio.create_task(flights.share("k", ask))
    await soon()
    gone.cancel()
    await soon()
    assert await flights.share("k", ask) == (ModelReply("there"), True)
    told.set()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (asked, len(flights)) == (["first", "again"], 0)


async def test_what_fails_fails_for_all_and_is_not_kept() -> None:
    """Everybody is told, and the next one is asked anew."""
    model, flights = Model(), Flights()
    tasks = [asyncio.create_task(flights.share("k", model)) for _ in range(2)]
    await soon()
    model.words.put_nowait("fail")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [Refused, Refused]
    model.words.put_nowait("")
    assert (await flights.share("k", model))[1]
