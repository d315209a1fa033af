"""Random programs with random interleavings, cut off at random points, go on from what they had been told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrt import Handle, program, step
from agentrt.store import Journal

from .cutting import Cutter, Resumed, assert_goes_on, cutter, lengths, note
from .zoo import unlucky, work

_GATES: list[asyncio.Future[None]] = []


@step
async def gated(x: int) -> int:
    """Ends when chance has it."""
    note()
    gate = asyncio.get_running_loop().create_future()
    _GATES.append(gate)
    await gate
    return x + 1


@program
async def part(script: Any, x: int) -> Any:
    note()
    return await play(script, x)


@program
async def whole(script: Any) -> Any:
    return await play(script, 1)


async def play(script: Any, x: int) -> Any:
    """Do what a script says; what it was told, and in which order."""
    told: list[Any] = []
    begun: list[Handle[int]] = []
    for what, *more in script:
        if what == "await":
            x = await work(x % 100, more[0])
            told.append(x)
        elif what == "start":
            begun.append(gated(x) if more[0] < 0 else work(x % 100, more[0]))
        elif what == "behind":
            begun.append(work(begun[-1] if begun else x, more[0]))
        elif what == "cancel" and begun:
            begun[0].cancel()
        elif what == "first" and begun:
            done, _ = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            told.append([await outcome(one) for one in begun if one in done])
            begun = [one for one in begun if one not in done]
        elif what in _WHOLE:
            told.append(await _WHOLE[what](more, x))
    return told, [await outcome(one) for one in begun]


async def gather(scripts: Any, x: int) -> Any:
    return await asyncio.gather(*(play(one, x + n) for n, one in enumerate(scripts)))


async def race(many: list[int], _: int) -> Any:
    return [await one for one in asyncio.as_completed([gated(n) for n in range(many[0])])]


async def fail(pause: list[int], _: int) -> Any:
    return await outcome(unlucky(pause[0]))


async def inside(script: Any, x: int) -> Any:
    return await part(script[0], x)


_WHOLE = {"gather": gather, "race": race, "fail": fail, "part": inside}


async def outcome(handle: Handle[Any]) -> Any:
    try:
        return await handle
    except asyncio.CancelledError:
        return "cancelled"
    except Exception as error:  # noqa: BLE001 - whatever it is
        return type(error).__name__


_PAUSES = st.integers(0, 6)
_SIMPLE = st.one_of(
    st.tuples(st.just("await"), _PAUSES),
    st.tuples(st.just("start"), st.integers(-1, 6)),
    st.tuples(st.just("behind"), _PAUSES),
    st.tuples(st.just("fail"), _PAUSES),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("first")),
    st.tuples(st.just("race"), st.integers(1, 3)),
)
_SCRIPTS = st.recursive(
    st.lists(_SIMPLE, max_size=4),
    lambda inner: st.lists(
        st.one_of(
            _SIMPLE,
            st.builds(lambda some: ("gather", *some), st.lists(inner, min_size=2, max_size=3)),
            st.builds(lambda one: ("part", one), inner),
        ),
        max_size=4,
    ),
    max_leaves=6,
)


@asynccontextmanager
async def chance(seed: int) -> AsyncIterator[None]:
    """Gates open one by one, in an order that the seed says."""
    _GATES.clear()
    draw = random.Random(seed)

    async def opening() -> None:
        while True:
            await asyncio.sleep(draw.choice((0, 0.0002, 0.001)))
            if _GATES:
                gate = _GATES.pop(draw.randrange(len(_GATES)))
                if not gate.done():
                    gate.set_result(None)

    task = asyncio.get_running_loop().create_task(opening())
    try:
        yield
    finally:
        task.cancel()


async def cut_and_go_on(script: Any, where: list[float], seed: int, limits: dict[str, int]) -> None:
    """Run; then again and again cut what there is and resume it."""
    with TemporaryDirectory() as folder:
        async with Journal(Path(folder) / "runs.db") as journal:
            cuts = cutter(Path(folder), journal, kv="none", limits=limits)
            async with chance(seed):
                last = await cuts.run(whole, script)
            assert last.result.status == "done", last.result.error
            for number, share in enumerate(where):
                async with chance(seed + number):
                    last = await _once_more(cuts, script, last, share)


async def _once_more(cuts: Cutter, script: Any, last: Resumed, share: float) -> Resumed:
    possible = lengths(last.recording)
    length = possible[round(share * (len(possible) - 1))]
    then = await cuts.resume(whole, await cuts.cut(last.recording, length))
    assert then.result.status == "done", (length, then.result.error)
    assert_goes_on(last.recording, length, then)
    again = await cuts.resume(whole, await cuts.cut(then.recording, lengths(then.recording)[-1]))
    assert again.result.status == "done", (length, again.result.error)
    assert again.result.output == then.result.output, length
    cancelled = {name for name, one in then.recording.steps.items() if one.status in ("cancelled", "skipped")}
    assert {name for name, _ in again.ran} <= cancelled, length
    return then


def _check(script: Any, where: list[float], seed: int, places: int | None) -> None:
    asyncio.run(cut_and_go_on(script, where, seed, {} if places is None else {"python": places}))


_ANY = given(
    script=_SCRIPTS,
    where=st.lists(st.floats(0, 1), min_size=1, max_size=3),
    seed=st.integers(0, 1_000),
    places=st.sampled_from([None, None, 1, 2]),
)
_LENIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@settings(max_examples=40, deadline=None, suppress_health_check=_LENIENT, derandomize=True)
@_ANY
def test_random_programs_go_on(script: Any, where: list[float], seed: int, places: int | None) -> None:
    """What has a result is not run again; and the whole recording gives the same output without running anything."""
    _check(script, where, seed, places)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=800, deadline=None, suppress_health_check=_LENIENT)
@_ANY
def test_many_random_programs_go_on(script: Any, where: list[float], seed: int, places: int | None) -> None:
    """The same, of many more."""
    _check(script, where, seed, places)
