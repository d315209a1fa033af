"""Programs that do something else depending on who comes first go on from what they had been told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Program, program, step

from .cutting import Cutter, assert_goes_on, lengths, note, settled, turns


@step
async def racer(name: str, pause: int) -> str:
    note()
    await turns(pause)
    return name


@step
async def after(name: str, place: int) -> str:
    note()
    await turns(len(name) % 3)
    return f"{name}{place}"


PAUSES = {"a": 9, "bb": 0, "ccc": 4, "dddd": 9, "eeeee": 1}


@program
async def first_completed() -> Any:
    """Who comes first gets a step of its own, named for its place."""
    left: set[Any] = {racer(name, pause) for name, pause in PAUSES.items()}
    order: list[str] = []
    place = 0
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        names = sorted(one.result() for one in done)
        order += [*names, "|"]
        for name in names:
            place += 1
            await after.with_(priority=place)(name, place)
    return order


@program
async def as_completed() -> Any:
    order: list[str] = []
    for one in asyncio.as_completed([racer(name, pause) for name, pause in PAUSES.items()]):
        order.append(await one)
        await after(order[-1], len(order))
    return order


@program
async def winner_only() -> Any:
    """The others are cancelled."""
    racing = [racer(name, pause) for name, pause in PAUSES.items()]
    done, left = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
    for one in left:
        one.cancel()
    won = sorted(one.result() for one in done)
    return [await after(name, place) for place, name in enumerate(won)]


@pytest.mark.parametrize("program", [first_completed, as_completed, winner_only], ids=lambda one: str(one.name))
async def test_what_was_told_is_told_again(cuts: Callable[..., Cutter], program: Program[..., Any]) -> None:
    """Cut anywhere, the run ends; replayed whole, it ends the same way without running anything."""
    runs = cuts(kv="none")
    first = await runs.run(program)
    for length in lengths(first.recording):
        second = await runs.resume(program, await runs.cut(first.recording, length))
        assert second.result.status == "done", (length, second.result.error)
        assert_goes_on(first.recording, length, second)
        whole = lengths(second.recording)[-1]
        third = await runs.resume(program, await runs.cut(second.recording, whole))
        assert (third.result.output, third.ran) == (second.result.output, []), length


async def test_the_order_on_disk_is_the_order_told(cuts: Callable[..., Cutter]) -> None:
    """A resumed program sees the results that are on disk first, in the order in which they were written."""
    runs = cuts(kv="none")
    first = await runs.run(as_completed)
    for length in lengths(first.recording):
        written = [name for name in settled(first.recording, length) if name.startswith("racer")]
        ends = sorted(written, key=lambda name: first.recording.steps[name].ended.seq)  # type: ignore[union-attr]
        names = [list(PAUSES)[int(name.partition("#")[2]) - 1] for name in ends]
        second = await runs.resume(as_completed, await runs.cut(first.recording, length))
        assert second.result.output[: len(names)] == names, length
