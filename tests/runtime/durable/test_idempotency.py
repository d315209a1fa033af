"""Steps that were broken off say whether they may run again, and find out that they do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

import agentrt
from agentrt import Program, Runtime, program, step, tool
from agentrt.errors import ConfigError, JournalError, ProgramError, UsageError
from agentrt.store.recording import Recording
from agentrt.types import RunId, StepId

from .cutting import Cutter, Resumed, note

TOLD: list[tuple[int, str]] = []


@tool
async def unsaid(amount: int) -> int:
    """A tool that says nothing about itself."""
    return amount + note()


@tool(idempotent=True)
async def harmless(amount: int) -> int:
    """A tool that may run any number of times."""
    return amount + note()


@tool(idempotent=False)
async def once(amount: int) -> int:
    """A tool that must not run again unasked."""
    return amount + note()


@step(idempotent=False)
async def once_a_step(amount: int) -> int:
    """A step that must not run again unasked."""
    return amount + note()


@step
async def plain(amount: int) -> int:
    """A step without effects."""
    return amount + note()


@tool(idempotent=False)
async def once_around(amount: int) -> int:
    """A tool that calls a step after it had its effect."""
    return note() + await plain(amount)


@tool
async def slow() -> int:
    """A tool that gives others the time to come to an end."""
    note()
    await asyncio.sleep(0)
    return 0


@tool(retries=2, backoff=0)
async def told(fails: int) -> str:
    """A tool that notes what it is told about itself."""
    TOLD.append((agentrt.attempt(), agentrt.idempotency_key()))
    if agentrt.attempt() <= fails:
        raise ValueError(fails)
    return agentrt.idempotency_key()


@step
def told_in_a_thread() -> tuple[int, str]:
    """A plain function."""
    return agentrt.attempt(), agentrt.idempotency_key()


def calling(called: Any) -> Program[[], int]:
    """A program that does nothing but call one step."""

    async def body() -> int:
        value: int = await called(1)
        return value

    return program(name=f"calls_{called.name}")(body)


async def broken_off(cutter: Cutter, whole: Program[[], Any], step: str, kind: str = "begun") -> RunId:
    """A run whose process died right after the step's first entry of a kind."""
    recording = (await cutter.run(whole)).recording
    return await cutter.cut(recording, after(recording, step, kind))


def after(recording: Recording, step: str, kind: str) -> int:
    """How many entries there are up to a step's first one of a kind."""
    return next(entry.seq for entry in recording.entries if (entry.step, entry.kind) == (step, kind))


async def refused(cutter: Cutter, whole: Program[[], Any], run: RunId) -> str:
    """Why the resume of a run stops; nothing was run or written by finding out."""
    before = await cutter.read(run)
    stopped = await cutter.resume(whole, run)
    assert stopped.ran == []
    assert stopped.recording.entries == before.entries
    assert (stopped.recording.run.status, stopped.recording.run.owner) == (before.run.status, None)
    assert stopped.result.error is not None
    assert isinstance(stopped.result.error.__cause__, JournalError)
    return str(stopped.result.error)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings that were logged."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


async def test_an_idempotent_tool_is_run_again_silently(
    cuts: Callable[..., Cutter], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is asked, nothing is said, and it runs under the next attempt number."""
    cutter, whole = cuts(), calling(harmless)
    resumed = await cutter.resume(whole, await broken_off(cutter, whole, "harmless#1"))
    assert (resumed.result.output, resumed.ran) == (3, [(StepId("harmless#1"), 2)])
    assert warnings(caplog) == []


async def test_a_tool_that_says_nothing_is_run_again_and_named_once(
    cuts: Callable[..., Cutter], caplog: pytest.LogCaptureFixture
) -> None:
    """One line names those that had begun; one that had not is nobody's concern."""

    @program
    async def several() -> list[int]:
        return list(await asyncio.gather(unsaid(1), unsaid(2), harmless(3), plain(4)))

    cutter = cuts()
    recording = (await cutter.run(several)).recording
    run = await cutter.cut(recording, after(recording, "harmless#1", "begun"))
    resumed = await cutter.resume(several, run)
    assert resumed.result.output == [3, 4, 5, 5]
    (line,) = warnings(caplog)
    assert "unsaid#1, unsaid#2;" in line
    caplog.clear()
    run = await cutter.cut(recording, after(recording, "unsaid#1", "called"))
    assert (await cutter.resume(several, run)).result.output[0] == 2
    assert warnings(caplog) == []


@pytest.mark.parametrize("called", [once, once_a_step], ids=lambda one: str(one.name))
async def test_a_step_that_must_not_run_twice_stops_the_resume_until_it_is_asked_for(
    cuts: Callable[..., Cutter], caplog: pytest.LogCaptureFixture, called: Any
) -> None:
    """The error names the step and the ways out; asked for, it runs under the next attempt number."""
    cutter, whole, name = cuts(), calling(called), f"{called.name}#1"
    run = await broken_off(cutter, whole, name)
    for _ in range(2):
        message = await refused(cutter, whole, run)
        assert repr(name) in message
        assert f"agentrt runs resume {run} --rerun '{name}'" in message
        assert f"rerun=['{name}']" in message
    resumed = await cutter.resume(whole, run, rerun={name})
    assert (resumed.result.output, resumed.ran) == (3, [(StepId(name), 2)])
    assert warnings(caplog) == []


async def test_all_that_must_not_run_twice_is_named_at_once(cuts: Callable[..., Cutter]) -> None:
    """With two of them in flight, asking for one is not enough, and the error says which is left."""

    @program
    async def two() -> list[int]:
        return list(await asyncio.gather(once(1), once(2)))

    cutter = cuts()
    run = await broken_off(cutter, two, "once#2")
    assert "'once#1', 'once#2'" in await refused(cutter, two, run)
    stopped = await cutter.resume(two, run, rerun={"once#1"})
    assert "effects: 'once#2'. If" in str(stopped.result.error)
    assert (await cutter.resume(two, run, rerun={"once#1", "once#2"})).result.output == [3, 4]


@pytest.mark.parametrize("kind", ["called", "ended"])
async def test_a_step_that_has_not_begun_or_has_ended_asks_nothing(cuts: Callable[..., Cutter], kind: str) -> None:
    """Only what is in between is in doubt."""
    cutter, whole = cuts(), calling(once)
    resumed = await cutter.resume(whole, await broken_off(cutter, whole, "once#1", kind))
    assert (resumed.result.output, len(resumed.ran)) == (2, kind == "called")


async def test_a_tool_that_calls_steps_is_not_entered_unasked(cuts: Callable[..., Cutter]) -> None:
    """Its body stands before the steps that it calls, so passing over these would run it again."""
    cutter, whole = cuts(), calling(once_around)
    run = await broken_off(cutter, whole, "once_around#1/plain#1", "ended")
    assert "once_around#1" in await refused(cutter, whole, run)
    resumed = await cutter.resume(whole, run, rerun={"once_around#1"})
    assert (resumed.result.output, resumed.ran) == (4, [(StepId("once_around#1"), 2)])


async def test_a_tool_that_was_cancelled_while_it_ran_is_in_doubt_too(cuts: Callable[..., Cutter]) -> None:
    """A failure beside it ended it: nobody knows how far it had come."""
    gate: list[asyncio.Event] = []
    fails = [True]

    @tool(idempotent=False)
    async def stuck() -> str:
        note()
        gate[0].set()
        if fails:
            await asyncio.Event().wait()
        return "free"

    @step
    async def failing() -> None:
        await gate[0].wait()
        if fails:
            raise ValueError("broken")

    @program
    async def both() -> str:
        gate[:] = [asyncio.Event()]
        text, _ = await asyncio.gather(stuck(), failing())
        return text

    cutter = cuts()
    failed = await cutter.run(both)
    assert failed.result.status == "failed"
    fails.clear()
    assert "'stuck#1'" in await refused(cutter, both, failed.result.id)
    resumed = await cutter.resume(both, failed.result.id, rerun={"stuck#1"})
    assert (resumed.result.output, resumed.ran) == ("free", [(StepId("stuck#1"), 2)])


async def test_a_loser_that_the_program_cancelled_asks_nothing(cuts: Callable[..., Cutter]) -> None:
    """It does not run again, so there is nothing to ask."""

    @tool(idempotent=False)
    async def never() -> None:
        note()
        await asyncio.Event().wait()

    @program
    async def race() -> int:
        loser = never()
        value = await slow()
        loser.cancel()
        return value + await plain(5)

    cutter = cuts()
    run = await broken_off(cutter, race, "plain#1", "called")
    resumed = await cutter.resume(race, run)
    assert resumed.result.status == "done", resumed.result.error
    assert {step for step, _ in resumed.ran} == {"plain#1"}


async def test_a_failure_of_its_own_leaves_no_doubt(cuts: Callable[..., Cutter]) -> None:
    """The step has said that it failed: resuming the failed run runs it again."""
    fails = [True]

    @tool(idempotent=False)
    async def failing() -> int:
        if fails:
            raise ValueError("broken")
        return note()

    @program
    async def one() -> int:
        return await failing()

    cutter = cuts()
    failed = await cutter.run(one)
    fails.clear()
    assert (await cutter.resume(one, failed.result.id)).result.output == 2


async def test_asking_for_a_step_that_is_not_there_is_refused(cuts: Callable[..., Cutter]) -> None:
    """The error names the steps there are, and the run is nobody's."""
    cutter, whole = cuts(), calling(once)
    run = await broken_off(cutter, whole, "once#1")
    with pytest.raises(UsageError, match=r"no step 'twice#1'; its last ones are: once#1"):
        await cutter.resume(whole, run, rerun={"twice#1"})
    assert (await cutter.read(run)).run.owner is None


async def test_attempts_count_and_the_key_stays(cuts: Callable[..., Cutter]) -> None:
    """Over retries in one process and in the next, also when the run was cut while the second attempt ran."""

    @program
    async def retried() -> str:
        return await told(2)

    TOLD.clear()
    cutter = cuts()
    first: Resumed = await cutter.run(retried)
    key = f"{first.result.id}/told#1"
    assert first.result.output == key
    assert [(1, key), (2, key), (3, key)] == TOLD
    second = [entry.seq for entry in first.recording.entries if entry.kind == "begun"][1]
    run = await cutter.cut(first.recording, second)
    TOLD.clear()
    assert (await cutter.resume(retried, run)).result.output == f"{run}/told#1"
    assert [(3, f"{run}/told#1")] == TOLD


async def test_they_are_told_everywhere_in_a_run() -> None:
    """In a thread, in the program itself, and without a journal."""

    @program
    async def everywhere() -> tuple[tuple[int, str], int, str]:
        return await told_in_a_thread(), agentrt.attempt(), agentrt.idempotency_key()

    async with Runtime({}) as runtime:
        result = await runtime.run(everywhere)
    run = result.id
    assert result.output == ((1, f"{run}/told_in_a_thread#1"), 1, f"{run}/everywhere")


@pytest.mark.parametrize("asked", [agentrt.attempt, agentrt.idempotency_key])
def test_outside_a_run_there_is_nothing_to_tell(asked: Callable[[], object]) -> None:
    """The error names what was called."""
    with pytest.raises(ProgramError, match=rf"{asked.__name__}\(\) was called outside a run"):
        asked()


def test_idempotent_is_yes_no_or_not_said() -> None:
    """Anything else is refused where the step is made."""
    with pytest.raises(ConfigError, match="idempotent='no': expected True, False or None"):
        once.with_(idempotent="no")  # type: ignore[arg-type]
