"""A program that does not do what it did before stops at the first difference, and nothing has happened by that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentrt import Program, program, step, tool
from agentrt.errors import ReplayDiffers
from agentrt.runtime.durable import replayer

from .cutting import Cutter, note

Body = Callable[[], Awaitable[Any]]


@step
async def fetch(name: str) -> str:
    note()
    return name.upper()


@step
async def grab(name: str) -> str:
    note()
    return name.upper()


@step
async def clean(text: str) -> str:
    note()
    return text.strip()


@step
async def store(text: str) -> int:
    note()
    return len(text)


@tool(name="fetch")
async def fetch_by_tool(name: str) -> str:
    """Fetch by other means."""
    note()
    return name


def changing(body: Body) -> Program[..., Any]:
    """The same program with other code."""

    @program(name="report")
    async def report() -> Any:
        return await body()

    return report


async def before() -> Any:
    return await store(await clean(await fetch("tea")))


async def renamed() -> Any:
    return await store(await clean(await grab("tea")))


async def reordered() -> Any:
    text = await clean(" tea")
    return await store(await fetch(text))


async def other_arguments() -> Any:
    return await store(await clean(await fetch("milk")))


async def one_less() -> Any:
    return await store(await fetch("tea"))


async def one_more() -> Any:
    text = await fetch("tea")
    await fetch("milk")
    return await store(await clean(text))


async def other_kind() -> Any:
    return await store(await clean(await fetch_by_tool("tea")))


async def shorter() -> Any:
    return await fetch("tea")


async def beside() -> Any:
    extra = fetch("sugar")
    return await store(await clean(await fetch("tea"))), await extra


CHANGES = [
    (renamed, r"it calls 'grab#1', where before it called 'fetch#1'"),
    (reordered, r"step 'clean#1' is called with \[\[\" tea\"\],\{\}\], before it was with \[\[\"TEA\"\],\{\}\]"),
    (other_arguments, r"step 'fetch#1' is called with \[\[\"milk\"\],\{\}\], before it was with \[\[\"tea\"\],\{\}\]"),
    (one_less, r"it does not call 'clean#1', which it called before"),
    (one_more, r"it calls 'fetch#2', where before it called 'clean#1'"),
    (other_kind, r"step 'fetch#1' is a tool step, before it was a python step"),
    (shorter, r"it ends, where before it called 'clean#1'"),
    (beside, r"step 'fetch#1' is called with \[\[\"sugar\"\],\{\}\], before"),
]


@pytest.fixture
def runs(cuts: Callable[..., Cutter], monkeypatch: pytest.MonkeyPatch) -> Cutter:
    """Nobody waits long for calls that do not come."""
    monkeypatch.setattr(replayer, "PATIENCE_S", 0.05)
    return cuts(kv="none")


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=lambda one: getattr(one, "__name__", ""))
async def test_the_first_difference_is_named_and_costs_nothing(runs: Cutter, change: Body, expected: str) -> None:
    """The message names it; nothing was run, nothing was written; and the old code goes on well."""
    first = await runs.run(changing(before))
    ends = [n for n, entry in enumerate(first.recording.entries, start=1) if entry.step == "store#1"]
    run = await runs.cut(first.recording, ends[0])
    had = (await runs.read(run)).entries
    changed = await runs.resume(changing(change), run)
    assert changed.result.status == "failed"
    assert isinstance(changed.result.error.__cause__, ReplayDiffers)  # type: ignore[union-attr]
    with pytest.raises(ReplayDiffers, match=expected):
        raise changed.result.error.__cause__  # type: ignore[union-attr,misc]
    assert f"agentrt runs fork {run} --from STEP" in str(changed.result.error)
    assert changed.ran == []
    kept = await runs.read(run)
    assert kept.entries == had
    assert (kept.run.status, kept.run.owner) == ("running", None)
    back = await runs.resume(changing(before), run)
    assert (back.result.output, back.ran) == (3, [("store#1", 2)])


async def test_what_is_new_after_the_end_of_the_recording_is_no_difference(runs: Cutter) -> None:
    """Steps added behind what is recorded are run."""

    async def longer() -> Any:
        return await before(), await fetch("milk")

    first = await runs.run(changing(before))
    run = await runs.cut(first.recording, len(first.recording.entries) - 1)
    then = await runs.resume(changing(longer), run)
    assert (then.result.output, then.ran) == ((3, "MILK"), [("fetch#2", 1)])


async def test_a_failed_step_may_be_left_out_at_the_end(runs: Cutter) -> None:
    """A run that failed in its last step is done without it, when the program does not call it any more."""

    async def failing() -> Any:
        return await before(), await store(None)  # type: ignore[arg-type]

    first = await runs.run(changing(failing))
    assert first.result.status == "failed"
    then = await asyncio.wait_for(runs.resume(changing(before), first.result.id), 10)
    assert (then.result.output, then.ran) == (3, [])


async def test_recorded_results_are_taken_when_asked_to(runs: Cutter, caplog: pytest.LogCaptureFixture) -> None:
    """With ``compare=False`` other arguments are told of, and the results stand."""
    first = await runs.run(changing(before))
    run = await runs.cut(first.recording, len(first.recording.entries) - 1)
    then = await runs.resume(changing(other_arguments), run, compare=False)
    assert (then.result.status, then.result.output, then.ran) == ("done", 3, [])
    assert "step 'fetch#1' is called with" in caplog.text
    assert "its recorded result was taken" in caplog.text


async def test_without_comparing_arguments_other_differences_still_stop(runs: Cutter) -> None:
    """``compare=False`` is about arguments only."""
    first = await runs.run(changing(before))
    run = await runs.cut(first.recording, len(first.recording.entries) - 1)
    then = await runs.resume(changing(one_more), run, compare=False)
    assert isinstance(then.result.error.__cause__, ReplayDiffers)  # type: ignore[union-attr]
    assert then.ran == []
