"""Failed and cancelled runs go on: what had finished stands, what ended them is done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Runtime, program, step, tool
from agentrt.errors import RunCancelled, RunFailed, UsageError
from agentrt.runtime.durable import replayer
from agentrt.store import Journal

from .cutting import RAN, Cutter, assert_goes_on, lengths, note, turns
from .zoo import Unlucky, chain, forever, unlucky, work

BROKEN: set[str] = set()
"""What does not work at present."""


@pytest.fixture(autouse=True)
def _mended() -> None:
    BROKEN.clear()


@pytest.fixture
def runs(cuts: Callable[..., Cutter], monkeypatch: pytest.MonkeyPatch) -> Cutter:
    """Nobody waits long for calls that do not come."""
    monkeypatch.setattr(replayer, "PATIENCE_S", 0.05)
    return cuts(kv="none")


@step
async def shaky(name: str) -> str:
    note()
    await turns(2)
    if name in BROKEN:
        raise Unlucky(name)
    return name


@tool
async def order(name: str) -> str:
    """Order something."""
    note()
    return name


@program
async def shopping() -> Any:
    bought = [await order("tea"), await order("milk")]
    return bought, await shaky("pay"), await order("bill")


@program
async def inside(name: str) -> Any:
    note()
    return await work(1), await shaky(name)


@program
async def deep() -> Any:
    return await work(1), await asyncio.gather(inside("one"), inside("two"))


@program
async def warned() -> Any:
    """A failure that is caught, and one that is not."""
    try:
        await unlucky(1)
    except Unlucky:
        told = "caught"
    return told, await shaky("pay")


@program
async def one_of_many() -> Any:
    return await asyncio.gather(work(1), shaky("pay"), work(2, 200))


def entered(ran: list[tuple[Any, int]]) -> list[str]:
    return [step for step, _ in ran]


async def test_a_failed_run_goes_on_from_what_failed(runs: Cutter) -> None:
    """Once the failing step is mended only it, and what comes after it, is run."""
    BROKEN.add("pay")
    first = await runs.run(shopping)
    assert isinstance(first.result.error, RunFailed)
    BROKEN.clear()
    then = await runs.resume(shopping, first.result.id)
    assert then.result.output == (["tea", "milk"], "pay", "bill")
    assert then.ran == [("shaky#1", 2), ("order#3", 1)]
    assert then.recording.run.status == "done"
    assert then.recording.run.error is None


async def test_a_run_may_fail_many_times(runs: Cutter) -> None:
    """Each time the failing step is tried again, and nothing before it."""
    BROKEN.add("pay")
    first = await runs.run(shopping)
    for attempt in (2, 3):
        again = await runs.resume(shopping, first.result.id)
        assert isinstance(again.result.error, RunFailed)
        assert again.ran == [("shaky#1", attempt)]
    BROKEN.clear()
    then = await runs.resume(shopping, first.result.id)
    assert then.ran == [("shaky#1", 4), ("order#3", 1)]


async def test_a_failure_inside_programs_opens_those_around_it(runs: Cutter) -> None:
    """They are entered again, their finished steps and their finished siblings are not."""
    BROKEN.add("two")
    first = await runs.run(deep)
    assert first.result.status == "failed"
    BROKEN.clear()
    then = await runs.resume(deep, first.result.id)
    assert then.result.output == (3, [(3, "one"), (3, "two")])
    again = set(entered(then.ran))
    assert {"inside#2", "inside#2/shaky#1"} <= again
    assert again.isdisjoint({"work#1", "inside#1/work#1", "inside#2/work#1"})


async def test_a_failure_that_was_caught_stands(runs: Cutter) -> None:
    """Only what ended the run is done again."""
    BROKEN.add("pay")
    first = await runs.run(warned)
    BROKEN.clear()
    then = await runs.resume(warned, first.result.id)
    assert (then.result.output, then.ran) == (("caught", "pay"), [("shaky#1", 2)])


async def test_steps_that_went_down_with_a_run_run_again(runs: Cutter) -> None:
    """A sibling that was cancelled has no result; one that was done has."""
    BROKEN.add("pay")
    first = await runs.run(one_of_many)
    BROKEN.clear()
    then = await runs.resume(one_of_many, first.result.id)
    assert then.result.output == [3, "pay", 5]
    assert sorted(entered(then.ran)) == ["shaky#1", "work#2"]


@pytest.mark.parametrize("program", [shopping, deep, warned, one_of_many], ids=lambda one: str(one.name))
async def test_a_failed_run_that_was_resumed_may_be_killed_anywhere(runs: Cutter, program: Any) -> None:
    """Cut after any entry of the resumed run, it ends as it would have."""
    BROKEN.update({"pay", "two"})
    first = await runs.run(program)
    BROKEN.clear()
    second = await runs.resume(program, first.result.id)
    for length in lengths(second.recording):
        if length <= len(first.recording.entries):
            continue  # it had not gone on yet
        third = await runs.resume(program, await runs.cut(second.recording, length))
        assert third.result.status == "done", (length, third.result.error)
        assert third.result.output == second.result.output, length
        assert_goes_on(second.recording, length, third)


@program
async def waiting() -> Any:
    x = await work(1)
    await shaky("slow")
    if "stuck" in BROKEN:
        await forever()
    return x, await order("tea")


async def cancelled(runs: Cutter) -> str:
    """A run that was cancelled while a step of it ran."""
    BROKEN.add("stuck")
    async with runs._make() as runtime:
        run = runtime.start(waiting)
        while not any(node.name == "forever" for node in run.nodes):
            await asyncio.sleep(0.001)
        run.cancel()
        assert isinstance((await run).error, RunCancelled)
    BROKEN.clear()
    return str(run.id)


async def test_a_cancelled_run_goes_on(runs: Cutter) -> None:
    """What had finished is not run again, what was stopped is not needed any more."""
    run = await cancelled(runs)
    then = await runs.resume(waiting, run)  # type: ignore[arg-type]
    assert (then.result.output, then.ran) == ((3, "tea"), [("order#1", 1)])


async def test_a_run_that_was_cancelled_runs_what_was_stopped(runs: Cutter) -> None:
    """The step that was under way begins again, under the next attempt."""
    run = await cancelled(runs)
    BROKEN.add("stuck")
    RAN.clear()
    async with runs._make() as runtime:
        again = await runtime.resume(waiting, run)
        while not RAN:
            await asyncio.sleep(0.001)
        again.cancel()
        await again
    assert RAN == [("forever#1", 2)]


@program
async def slow_start() -> Any:
    first = await work(1)
    if "stuck" in BROKEN:
        await asyncio.Event().wait()
    return await work(first), await work(3)


async def test_a_run_is_cancelled_while_it_is_replayed(runs: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once, also while it waits for a call that does not come; later it goes on."""
    monkeypatch.setattr(replayer, "PATIENCE_S", 60.0)
    first = await runs.run(slow_start)
    run = await runs.cut(first.recording, len(first.recording.entries) - 1)
    BROKEN.add("stuck")
    RAN.clear()
    async with runs._make() as runtime:
        again = await runtime.resume(slow_start, run)
        await asyncio.sleep(0.02)
        again.cancel()
        assert (await asyncio.wait_for(again, 5)).status == "cancelled"
    BROKEN.clear()
    then = await runs.resume(slow_start, run)
    assert (then.result.output, RAN) == (first.result.output, [])


async def test_a_run_that_is_done_does_not_go_on(runs: Cutter) -> None:
    """It says so, with the way to branch off."""
    first = await runs.run(chain)
    with pytest.raises(
        UsageError, match=r"is done, there is nothing to go on with; branch off with `agentrt runs fork"
    ):
        await runs.resume(chain, first.result.id)


async def test_a_run_goes_on_with_its_own_program(runs: Cutter) -> None:
    """Another one is refused, by its name."""
    BROKEN.add("pay")
    first = await runs.run(shopping)
    with pytest.raises(UsageError, match=r"is of program 'shopping', not of 'chain'; name that one"):
        await runs.resume(chain, first.result.id)


@program
async def otherwise() -> Any:
    """After a failure the mended program takes another way."""
    if "old" in BROKEN:
        return await work(await work(1)), await shaky("pay")
    await asyncio.sleep(0.3)
    return await work(1), await shaky("new"), await work(3)


async def test_a_failed_run_may_go_another_way(runs: Cutter) -> None:
    """Calls that are not made any more are done without, also such that come later than anybody waits."""
    BROKEN.update({"old", "pay"})
    first = await runs.run(otherwise)
    BROKEN.clear()
    then = await asyncio.wait_for(runs.resume(otherwise, first.result.id, compare=False), 20)
    assert then.result.output[:2] == (3, "new")
    assert "work#1" not in entered(then.ran)


async def test_two_runs_of_one_journal_go_on_side_by_side(runs: Cutter, journal: Journal) -> None:
    """In one process, each its own."""
    first = await runs.run(chain)
    some = [await runs.cut(first.recording, length) for length in lengths(first.recording)]
    async with Runtime({}, journal=journal, kv="none", estimates=None) as runtime:
        results = await asyncio.gather(*[await runtime.resume(chain, run) for run in some])
    assert {one.output for one in results} == {first.result.output}
