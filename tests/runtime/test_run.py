"""Runs: order, joins, failure, cancellation, limits, retries, nesting."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from agentrt import Handle, Runtime, each, program, step
from agentrt.errors import ConfigError, ProgramError, RunCancelled, RunFailed, StepTimeout, UpstreamFailed
from agentrt.events import RunEnded, RunStarted, StepAdded, StepEnded, StepRetried, StepStarted

from .conftest import Watched


@step
async def double(x: int) -> int:
    return 2 * x


@step
async def total(xs: list[int]) -> int:
    return sum(xs)


@step
async def broken(x: int = 0) -> int:
    raise ValueError(f"cannot use {x}")


async def test_handles_in_arguments_are_dependencies(watched: Watched) -> None:
    """A step given handles gets their values, and the graph has an edge from each."""

    @program
    async def main() -> int:
        parts = [double(n) for n in range(3)]
        return await total(parts)

    result = await watched.runtime.run(main)
    assert result.output == 6
    assert result.edges == (("double#1", "total#1"), ("double#2", "total#1"), ("double#3", "total#1"))
    assert [record.status for record in result.steps] == ["done"] * 4


async def test_steps_start_when_called_and_run_side_by_side(watched: Watched) -> None:
    """Two steps that each wait for the other to have started both finish."""
    here, there = asyncio.Event(), asyncio.Event()

    @step
    async def meet(mine: asyncio.Event, other: asyncio.Event) -> None:
        mine.set()
        await other.wait()

    @program
    async def main() -> None:
        first, second = meet(here, there), meet(there, here)
        await first
        await second

    assert (await watched.runtime.run(main)).status == "done"


async def test_a_fast_branch_does_not_wait_for_an_unrelated_slow_one(watched: Watched) -> None:
    """There is no barrier: what depends on the fast step runs while the slow one still does."""
    gate = asyncio.Event()

    @step
    async def slow() -> int:
        await gate.wait()
        return 1

    @step
    async def release(x: int) -> int:
        gate.set()
        return x

    @program
    async def main() -> list[int]:
        late = slow()
        soon = release(double(2))
        return [await late, await soon]

    assert (await watched.runtime.run(main)).output == [1, 4]


async def test_returned_handles_join_by_themselves(watched: Watched) -> None:
    """A program may return handles, alone or inside containers; its value holds theirs."""

    @program
    async def main() -> Any:
        return {"one": double(1), "more": [double(2), (double(3),)]}

    assert (await watched.runtime.run(main)).output == {"one": 2, "more": [4, (6,)]}


async def test_gather_wait_for_and_timeout_take_handles(watched: Watched) -> None:
    """A handle is a future: asyncio's own tools work on it."""

    @program
    async def main() -> list[int]:
        both = await asyncio.gather(double(1), double(2))
        one = await asyncio.wait_for(double(3), timeout=60)
        done, _ = await asyncio.wait([double(4)])
        shielded = await asyncio.shield(double(5))
        return [*both, one, done.pop().result(), shielded]

    assert (await watched.runtime.run(main)).output == [2, 4, 6, 8, 10]


async def test_a_failing_step_fails_only_what_depends_on_it(watched: Watched) -> None:
    """Dependents are skipped and say why; an unrelated step finishes; the program may handle the failure."""

    @program
    async def main() -> list[str]:
        bad, good = broken(7), double(1)
        after = total([bad, double(2)])
        told = []
        try:
            await after
        except UpstreamFailed as error:
            told.append(str(error))
        return [*told, str(await good)]

    result = await watched.runtime.run(main)
    assert result.output == [
        "step 'total#1' never started, because step 'broken#1' failed: ValueError: cannot use 7",
        "2",
    ]
    assert {record.id: record.status for record in result.steps} == {
        "broken#1": "failed",
        "double#1": "done",
        "double#2": "done",
        "total#1": "skipped",
    }


async def test_await_raises_the_steps_own_exception(watched: Watched) -> None:
    """Ordinary ``except`` clauses work, and the exception carries the step's story."""

    @program
    async def main() -> list[str]:
        try:
            await broken(3)
        except ValueError as error:
            return error.__notes__
        return []

    (story,) = (await watched.runtime.run(main)).output
    assert story.startswith("broken#1 (python, ")
    assert "test_run.py:" in story
    assert "failed at" in story


async def test_the_runs_error_names_the_step(watched: Watched) -> None:
    """A failure that the program lets through ends the run, naming the step and keeping the cause."""

    @program
    async def main() -> int:
        return await double(broken(5))

    result = await watched.runtime.run(main)
    assert result.status == "failed"
    with pytest.raises(RunFailed, match=r"step 'double#1' never started, because step 'broken#1' failed: ValueError"):
        _ = result.output
    error = result.to_json()["error"]
    assert (error["type"], error["step"]) == ("ValueError", "broken#1")
    assert error["story"][0].startswith("broken#1 (python, ")


async def test_leaving_the_process_is_a_failure_of_the_step(watched: Watched) -> None:
    """``sys.exit`` in a step ends that step, not the program that runs it."""

    @step
    async def leaves() -> None:
        raise SystemExit(3)

    @program
    async def main() -> None:
        await leaves()

    result = await watched.runtime.run(main)
    assert str(result.error) == "step 'leaves#1' failed: SystemExit: 3"


async def test_a_value_that_contains_itself_is_refused(watched: Watched) -> None:
    """A program's value is searched for handles, which needs an end."""

    @program
    async def main() -> list[object]:
        knot: list[object] = [await double(1)]
        knot.append(knot)
        return knot

    assert "returned a value that contains itself" in str((await watched.runtime.run(main)).error)


async def test_a_failure_nobody_looked_at_fails_the_run(watched: Watched) -> None:
    """Errors do not pass silently, also of steps whose value is not used."""

    @program
    async def main() -> str:
        broken(1)
        return "fine"

    result = await watched.runtime.run(main)
    assert result.status == "failed"
    assert "broken#1" in str(result.error)


async def test_a_program_waits_for_all_it_called(watched: Watched) -> None:
    """A step whose handle is dropped still runs to its end before the run is over."""
    seen: list[int] = []

    @step
    async def note(x: int) -> None:
        await asyncio.sleep(0)
        seen.append(x)

    @program
    async def main() -> None:
        note(1)

    await watched.runtime.run(main)
    assert seen == [1]


@pytest.mark.parametrize(("siblings", "status"), [("cancel", "cancelled"), ("finish", "done")])
async def test_siblings_end_as_the_program_says(watched: Watched, siblings: Any, status: str) -> None:
    """When a program raises, its other steps are cancelled or finish first."""
    started = asyncio.Event()

    @step
    async def other() -> int:
        started.set()
        for _ in range(5):
            await asyncio.sleep(0)
        return 1

    @program(siblings=siblings)
    async def main() -> None:
        other()
        await started.wait()
        raise RuntimeError("enough")

    result = await watched.runtime.run(main)
    assert result.status == "failed"
    assert {record.id: record.status for record in result.steps} == {"other#1": status}


async def test_cancelling_a_run_leaves_nothing_running(watched: Watched) -> None:
    """Every step of every level ends, clean-up code included, before the result is there."""
    cleaned: list[str] = []
    waiting = asyncio.Event()

    @step
    async def forever(name: str) -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            cleaned.append(name)

    @program
    async def inner() -> None:
        await forever("inner")

    @program
    async def main() -> None:
        handles = [forever("outer"), inner(), total([forever("third")])]
        await asyncio.gather(*handles)

    run = watched.runtime.start(main)
    await waiting.wait()
    await asyncio.sleep(0)
    run.cancel("enough seen")
    result = await run
    assert result.status == "cancelled"
    assert sorted(cleaned) == ["inner", "outer", "third"]
    assert isinstance(result.error, RunCancelled)
    assert "enough seen" in str(result.error)
    run.machine.validate()


async def test_cancelling_the_caller_cancels_the_run(watched: Watched) -> None:
    """A cancelled ``Runtime.run`` waits until its run has ended, then passes the cancel on."""
    started, ended = asyncio.Event(), asyncio.Event()

    @step
    async def forever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @program
    async def main() -> None:
        await forever()

    task = asyncio.create_task(watched.runtime.run(main))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_cancelled_handle_skips_what_depends_on_it(watched: Watched) -> None:
    """Cancelling one step is no failure of the run; its dependents say who is to blame."""

    @step
    async def forever() -> int:
        await asyncio.Event().wait()
        return 0

    @program
    async def main() -> str:
        stuck = forever()
        after = double(stuck)
        assert stuck.cancel()
        try:
            await after
        except UpstreamFailed as error:
            return str(error)
        return ""

    result = await watched.runtime.run(main)
    assert result.output == "step 'double#1' never started, because step 'forever#1' was cancelled"


async def test_a_step_is_retried_with_growing_delays(watched: Watched) -> None:
    """Attempts are counted, delays double, errors that do not count end the step at once."""
    failures = [OSError("one"), OSError("two")]

    @step(retries=2, backoff=0.001, retry_on=(OSError,))
    async def flaky() -> str:
        if failures:
            raise failures.pop(0)
        return "third time"

    @step(retries=5, backoff=0.001, retry_on=(OSError,))
    async def hopeless() -> None:
        raise KeyError("no")

    @program
    async def main() -> str:
        with pytest.raises(KeyError):
            await hopeless()
        return await flaky()

    assert (await watched.runtime.run(main)).output == "third time"
    retries = [event for event in watched.events if isinstance(event, StepRetried)]
    assert [(event.step, event.attempt, event.delay) for event in retries] == [
        ("flaky#1", 1, 0.001),
        ("flaky#1", 2, 0.002),
    ]


async def test_a_retried_step_gives_its_place_to_those_it_calls() -> None:
    """Also in its second attempt: else what it calls would wait for its place for ever."""
    attempts = []

    @step
    async def inner() -> int:
        return 1

    @step(retries=1, backoff=0.0)
    async def outer() -> int:
        attempts.append(await inner())
        if len(attempts) == 1:
            raise OSError("once")
        return sum(attempts)

    @program
    async def main() -> int:
        return await outer()

    async with Runtime({}, limits={"python": 1}) as runtime:
        assert (await asyncio.wait_for(runtime.run(main), 10)).output == 2


async def test_a_program_is_retried_with_steps_of_its_own(watched: Watched) -> None:
    """Another attempt calls its steps anew, with ids that count on; what failed in the last one is forgotten."""
    failures = [ValueError("once")]

    @step
    async def fragile() -> str:
        if failures:
            raise failures.pop()
        return "fine"

    @program(retries=1, backoff=0.001)
    async def inner() -> str:
        return await fragile()

    @program
    async def main() -> str:
        return await inner()

    result = await watched.runtime.run(main)
    assert result.output == "fine"
    assert [(record.id, record.status) for record in result.steps] == [
        ("inner#1", "done"),
        ("inner#1/fragile#1", "failed"),
        ("inner#1/fragile#2", "done"),
    ]


async def test_a_timeout_names_the_step_and_the_bound(watched: Watched) -> None:
    """A step that hangs is ended by its own time limit."""

    @step(timeout=0.01)
    async def hang() -> None:
        await asyncio.Event().wait()

    @program
    async def main() -> None:
        await hang()

    result = await watched.runtime.run(main)
    assert isinstance(result.error.__cause__, StepTimeout)  # type: ignore[union-attr]
    assert "step 'hang#1' ran longer than its timeout of 0.01 s" in str(result.error)


async def test_a_limit_holds_and_priority_goes_first(watched: Watched) -> None:
    """With one place, steps run one at a time, the most urgent of the waiting ones next."""
    order: list[int] = []
    busy = 0

    @step
    async def work(rank: int) -> None:
        nonlocal busy
        busy += 1
        assert busy == 1
        await asyncio.sleep(0)
        order.append(rank)
        busy -= 1

    @program
    async def main() -> None:
        await asyncio.gather(*(work.with_(priority=rank)(rank) for rank in [0, 1, 3, 2]))

    async with Runtime({}, limits={"python": 1}) as runtime:
        assert (await runtime.run(main)).status == "done"
    assert order == [0, 3, 2, 1]


async def test_a_step_that_calls_steps_gives_its_place_away(watched: Watched) -> None:
    """Parents that wait for children in the same lane cannot starve them."""

    @step
    async def down(depth: int) -> int:
        return await down(depth - 1) + 1 if depth else 0

    @program
    async def main() -> int:
        return await down(10)

    async with Runtime({}, limits={"python": 1}) as runtime:
        assert (await runtime.run(main)).output == 10


async def test_sub_programs_hold_their_steps(watched: Watched) -> None:
    """A program called inside another is one step; its own steps carry its id."""

    @program
    async def inner(x: int) -> int:
        return await double(await double(x))

    @program
    async def main() -> list[int]:
        return list(await asyncio.gather(inner(1), inner(2)))

    result = await watched.runtime.run(main)
    assert result.output == [4, 8]
    assert [record.id for record in result.steps] == [
        "inner#1",
        "inner#2",
        "inner#1/double#1",
        "inner#2/double#1",
        "inner#1/double#2",
        "inner#2/double#2",
    ]
    assert result.steps[2].parent == "inner#1"


async def test_what_was_awaited_comes_before(watched: Watched) -> None:
    """A step made from an awaited value is after the step that gave it, though no handle says so."""

    @program
    async def main() -> int:
        first = await double(1)
        return await double(first)

    assert (await watched.runtime.run(main)).edges == (("double#1", "double#2"),)


async def test_plain_functions_run_in_threads(watched: Watched) -> None:
    """A blocking function does not hold up the loop, and its exception comes through."""
    gate = threading.Event()

    @step
    def blocks() -> str:
        gate.wait()
        return threading.current_thread().name

    @step
    def raises() -> None:
        raise StopIteration("odd")

    @step
    async def opens() -> None:
        gate.set()

    @program
    async def main() -> str:
        name = blocks()
        await opens()
        with pytest.raises(RuntimeError, match="StopIteration"):
            await raises()
        return await name

    assert (await watched.runtime.run(main)).output.startswith("agentrt-blocks")


async def test_each_bounds_the_fan_out(watched: Watched) -> None:
    """At most so many calls are under way; values come in the order of the items."""
    under_way, peak = 0, 0

    @step
    async def count(x: int) -> int:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return x

    @program
    async def main() -> list[int]:
        return [value async for value in each(count, range(50), at_once=4)]

    assert (await watched.runtime.run(main)).output == list(range(50))
    assert peak == 4


async def test_unbounded_fan_out_is_refused_with_the_way_out() -> None:
    """More unfinished steps than the run may have is an error that names ``each``."""

    @program
    async def main() -> None:
        for n in range(100):
            double(n)

    async with Runtime({}, max_pending=50) as runtime:
        result = await runtime.run(main)
    assert isinstance(result.error.__cause__, ProgramError)  # type: ignore[union-attr]
    assert "each(step, items, at_once=...)" in str(result.error)


async def test_events_tell_the_run_in_order(watched: Watched) -> None:
    """Every step is added, started and ended once, inside the run's own start and end."""

    @program
    async def main(x: int) -> int:
        return await double(double(x))

    await watched.runtime.run(main, 1)
    assert isinstance(watched.events[0], RunStarted)
    assert isinstance(watched.events[-1], RunEnded)
    for kind in (StepAdded, StepStarted, StepEnded):
        assert watched.names(kind) == ["double#1", "double#2"]
    times = [event.at for event in watched.events[1:]]  # type: ignore[union-attr]
    assert times == sorted(times)


async def test_an_observer_that_raises_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on without it."""
    seen: list[object] = []

    def bad(event: object) -> None:
        seen.append(event)
        raise RuntimeError("display broke")

    @program
    async def main() -> int:
        return await double(1)

    async with Runtime({}, observers=[bad]) as runtime:
        assert (await runtime.run(main)).output == 2
    assert len(seen) == 1
    assert "told nothing further" in caplog.text


async def test_steps_outside_a_run_say_how_to_start_one() -> None:
    """A step called from plain code is refused with the way out."""
    with pytest.raises(ProgramError, match=r"double\(\) was called outside a run.*agentrt run"):
        double(1)


async def test_a_handle_of_another_run_is_refused(watched: Watched) -> None:
    """Handles do not cross runs."""
    kept: list[Handle[int]] = []

    @program
    async def first() -> None:
        kept.append(double(1))

    @program
    async def second() -> int:
        return await double(kept[0])

    await watched.runtime.run(first)
    result = await watched.runtime.run(second)
    assert "of another run" in str(result.error)


async def test_a_step_called_after_its_caller_ended_is_refused(watched: Watched) -> None:
    """A task that a program left behind cannot grow a finished run."""
    gate, outcome = asyncio.Event(), []

    async def late() -> None:
        await gate.wait()
        with pytest.raises(ProgramError, match="has ended"):
            double(1)
        outcome.append("refused")

    tasks = []

    @program
    async def main() -> None:
        tasks.append(asyncio.create_task(late()))

    await watched.runtime.run(main)
    gate.set()
    await tasks[0]
    assert outcome == ["refused"]


async def test_thousands_of_steps_in_a_chain(watched: Watched) -> None:
    """A long chain of handles needs no deep stack, in success and in failure."""

    @program
    async def main() -> int:
        handle = double(0)
        for _ in range(5_000):
            handle = double(handle)
        bad = broken()
        for _ in range(5_000):
            bad = double(bad)
        with pytest.raises(UpstreamFailed):
            await bad
        return await handle

    assert (await watched.runtime.run(main)).output == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"timeout": 0}, "timeout=0: expected seconds above 0"),
        ({"retries": -1}, "retries=-1"),
        ({"retrys": 1}, "no option retrys; there are: after, backoff, idempotent, priority, retries, retry_on, "),
    ],
)
def test_bad_options_are_named(options: Any, expected: str) -> None:
    """A wrong option says what it is and what is possible."""
    with pytest.raises(ConfigError, match=expected):
        double.with_(**options)


async def test_changing_a_list_after_the_call_changes_nothing(watched: Watched) -> None:
    """A step is given what its arguments were when it was called."""

    @program
    async def main() -> int:
        parts = [double(1)]
        first = total(parts)
        parts.append(double(2))
        return await first

    assert (await watched.runtime.run(main)).output == 2


async def test_an_exception_that_takes_no_attributes_still_ends_its_step(watched: Watched) -> None:
    """A frozen dataclass raised as an error fails its step and is told with the step's story."""

    @dataclass(frozen=True)
    class Refusal(Exception):
        code: int

    @step
    async def refuse() -> None:
        raise Refusal(3)

    @program
    async def main() -> None:
        await refuse()

    result = await watched.runtime.run(main)
    assert result.status == "failed"
    assert result.to_json()["error"]["step"] == "refuse#1"
    assert "failed at" in result.to_json()["error"]["story"][0]


async def test_an_exception_whose_text_is_broken_is_told_by_its_type(watched: Watched) -> None:
    """An error whose ``__str__`` raises breaks neither the run nor its observers."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    @step
    async def mute() -> None:
        raise Mute

    @program
    async def main() -> None:
        await mute()

    result = await watched.runtime.run(main)
    assert str(result.error) == "step 'mute#1' failed: Mute"
    assert [one.error for one in watched.events if isinstance(one, StepEnded)] == ["Mute"]


async def test_an_exception_beside_the_usual_tree_ends_the_step_and_its_siblings(watched: Watched) -> None:
    """A ``BaseException`` of the program's own fails the run like any error, and stops what else runs."""

    class Odd(BaseException):
        pass

    @step
    async def odd() -> None:
        raise Odd("unusual")

    @step
    async def forever() -> None:
        await asyncio.Event().wait()

    @program
    async def main() -> None:
        forever()
        await odd()

    result = await watched.runtime.run(main)
    assert str(result.error) == "step 'odd#1' failed: Odd: unusual"
    assert [record.status for record in result.steps] == ["cancelled", "failed"]


async def test_a_task_group_blames_the_step_that_failed_in_it(watched: Watched) -> None:
    """The run's error names the step and the reason, not the group around them."""

    async def wait(handle: Handle[int]) -> int:
        return await handle

    @program
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(broken()))

    result = await watched.runtime.run(main)
    assert str(result.error) == "step 'broken#1' failed: ValueError: cannot use 0"
    assert result.to_json()["error"]["type"] == "ValueError"


async def test_several_errors_of_a_task_group_are_all_told(watched: Watched) -> None:
    """A group of more than one error is told with each of them."""

    @program
    async def main() -> None:
        raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])

    assert "ValueError: one; KeyError: 'other'" in str((await watched.runtime.run(main)).error)


@pytest.mark.parametrize("returned", [True, False])
async def test_a_time_limit_holds_for_the_steps_that_a_program_leaves_behind(watched: Watched, returned: bool) -> None:
    """A program whose body is over, but not what it called, runs out of time all the same."""

    @step
    async def forever() -> None:
        await asyncio.Event().wait()

    @program(timeout=0.01)
    async def main() -> Any:
        handle = forever()
        return handle if returned else None

    result = await watched.runtime.run(main)
    assert isinstance(result.error.__cause__ if result.error else None, StepTimeout)
    assert [record.status for record in result.steps] == ["cancelled"]


async def test_programs_nested_deeply_are_cancelled(watched: Watched) -> None:
    """Cancelling reaches the innermost of 400 programs, each inside the one before."""
    bottom = asyncio.Event()

    @program
    async def main(depth: int) -> None:
        if depth:
            await main(depth - 1)
        bottom.set()
        await asyncio.Event().wait()

    run = watched.runtime.start(main, 400)
    await bottom.wait()
    run.cancel()
    result = await run
    assert result.status == "cancelled"
    assert {record.status for record in result.steps} == {"cancelled"}
