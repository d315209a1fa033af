"""A fork keeps everything that did not depend on the step it branches off before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Program, program
from agentrt.errors import NoSuchRun, ReplayDiffers, UsageError
from agentrt.runtime.durable import replayer
from agentrt.types import RunId, StepId

from . import zoo
from .cutting import Cutter, ends, lengths
from .zoo import total, work


@program
async def diamond() -> Any:
    """Two branches that know nothing of each other, and what comes of both."""
    left, right = work(1), work(2)
    further, beside = work(left), work(right)
    return await total([further, beside]), await beside


@pytest.fixture
def runs(cuts: Callable[..., Cutter], monkeypatch: pytest.MonkeyPatch) -> Cutter:
    """Nobody waits long for calls that do not come."""
    monkeypatch.setattr(replayer, "PATIENCE_S", 0.05)
    return cuts(kv="none")


async def forked(runs: Cutter, run: RunId, step: str | None = None) -> RunId:
    """A fork of a run."""
    async with runs._make() as runtime:
        return await runtime.fork(run, step)


async def test_a_fork_runs_again_what_depended_on_its_step(runs: Cutter) -> None:
    """The step, what took its value, and what takes that; no other."""
    first = await runs.run(diamond)
    left = await runs.resume(diamond, await forked(runs, first.result.id, "work#1"))
    assert left.result.output == first.result.output
    assert sorted(left.ran) == [("total#1", 1), ("work#1", 1), ("work#3", 1)]
    last = await runs.resume(diamond, await forked(runs, first.result.id, "total#1"))
    assert (last.result.output, last.ran) == (first.result.output, [("total#1", 1)])


async def test_the_run_that_is_forked_stays_as_it_is(runs: Cutter) -> None:
    """Its entries and its row are what they were; the fork says where it comes from."""
    first = await runs.run(diamond)
    then = await runs.resume(diamond, await forked(runs, first.result.id, "work#4"))
    now = await runs.read(first.result.id)
    assert (now.entries, now.run) == (first.recording.entries, first.recording.run)
    assert then.recording.run.origin == f"{first.result.id} at work#4"


async def test_what_comes_after_an_awaited_step_goes_with_it(runs: Cutter) -> None:
    """Of a chain, the fork keeps what came before."""
    first = await runs.run(zoo.chain)
    for number in range(1, 5):
        then = await runs.resume(zoo.chain, await forked(runs, first.result.id, f"work#{number}"))
        assert then.result.output == first.result.output
        assert [step for step, _ in then.ran] == [f"work#{n}" for n in range(number, 5)]


FORKED = [
    zoo.fan,
    zoo.nested,
    zoo.steps_that_call,
    zoo.bounded,
    zoo.retried,
    zoo.parts_again,
    zoo.caught,
    zoo.siblings,
    zoo.ordered,
    zoo.tools,
    zoo.talking,
]


MAY_NOT_COME_AGAIN = (zoo.parts_again, zoo.caught, zoo.siblings)
"""Whether their steps are called hangs on the attempt, or on whether another fails sooner."""


@pytest.mark.parametrize("program", FORKED, ids=lambda one: str(one.name))
async def test_a_run_is_forked_from_any_step(runs: Cutter, program: Program[..., Any]) -> None:
    """From each of its steps: the same output, and what is kept is not run again; and the fork of a fork."""
    first = await runs.run(program)
    for step in list(first.recording.steps):
        fork = await forked(runs, first.result.id, step)
        kept = {name for name, one in (await runs.read(fork)).steps.items() if one.settled}
        then = await runs.resume(program, fork)
        assert then.result.status == "done", (step, then.result.error)
        assert then.result.output == first.result.output, step
        assert not kept & {name for name, _ in then.ran}, step
        assert step in {name for name, _ in then.ran} or program in MAY_NOT_COME_AGAIN, step
        if step not in then.recording.steps:
            continue
        again = await runs.resume(program, await forked(runs, fork, step))
        assert again.result.output == first.result.output, step
        assert ends(again.recording).keys() == ends(then.recording).keys(), step


@pytest.mark.parametrize("program", [zoo.branches, zoo.groups], ids=lambda one: str(one.name))
async def test_branches_whose_steps_share_names_end_well_or_stop(runs: Cutter, program: Program[..., Any]) -> None:
    """Their ids go by who comes first, which a fork changes: a result is never taken for another's."""
    first = await runs.run(program)
    for step in list(first.recording.steps):
        then = await runs.resume(program, await forked(runs, first.result.id, step))
        if then.result.status == "done":
            assert then.result.output == first.result.output, step
        else:
            assert isinstance(then.result.error.__cause__, ReplayDiffers)  # type: ignore[union-attr]
            assert then.ran == [], step


async def test_a_fork_may_be_killed_anywhere(runs: Cutter) -> None:
    """It goes on as any other run."""
    first = await runs.run(zoo.nested)
    fork = await runs.resume(zoo.nested, await forked(runs, first.result.id, "inner#1/work#1"))
    entries = fork.recording.entries
    begun = next(n for n, entry in enumerate(entries) if entry.kind == "resumed")
    for length in lengths(fork.recording)[begun + 1 :]:
        if length < len(entries) and entries[length].batch == entries[length - 1].batch:
            continue  # these were committed together
        then = await runs.resume(zoo.nested, await runs.cut(fork.recording, length))
        assert then.result.status == "done", (length, then.result.error)
        assert then.result.output == first.result.output, length


async def test_a_fork_of_the_whole_run_ends_as_it_did(runs: Cutter) -> None:
    """Without a step nothing is run again."""
    first = await runs.run(diamond)
    then = await runs.resume(diamond, await forked(runs, first.result.id))
    assert (then.result.output, then.ran) == (first.result.output, [])


async def test_the_fork_of_a_resumed_run_keeps_what_both_processes_did(runs: Cutter) -> None:
    """Groups of results of one process are not taken for those of another."""
    first = await runs.run(zoo.branches)
    for length in lengths(first.recording):
        second = await runs.resume(zoo.branches, await runs.cut(first.recording, length))
        then = await runs.resume(zoo.branches, await forked(runs, second.result.id))
        assert (then.result.output, then.ran) == (first.result.output, []), length


async def test_a_step_that_is_not_there_cannot_be_forked_from(runs: Cutter) -> None:
    """The message names steps that are; a run that is not there is named as well."""
    first = await runs.run(diamond)
    with pytest.raises(UsageError, match=r"has no step 'work#9'; its last ones are: .*total#1"):
        await forked(runs, first.result.id, "work#9")
    with pytest.raises(NoSuchRun, match="nothing"):
        await forked(runs, RunId("nothing"))


async def test_forks_go_on_side_by_side(runs: Cutter) -> None:
    """A run may have many, in one process."""
    first = await runs.run(diamond)
    async with runs._make() as runtime:
        forks = [await runtime.fork(first.result.id, StepId(f"work#{n}")) for n in range(1, 5)]
        results = await asyncio.gather(*[await runtime.resume(diamond, one) for one in forks])
    assert {one.output for one in results} == {first.result.output}
