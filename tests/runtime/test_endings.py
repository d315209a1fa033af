"""Runs end, whatever their steps, their retries and their observers do."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from agentrt import Runtime, program, step
from agentrt.events import Event, Observer, StepEnded
from agentrt.executors.base import Emit, ignore
from agentrt.types import ModelReply, ModelRequest
from tests.runtime.conftest import Watched


class Closing:
    """A model executor that remembers whether it was closed, and may fail at it."""

    name, limit = "closing", None

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.closed = False

    async def prepare(self) -> None:
        """Nothing to do."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        return ModelReply("")

    async def close(self) -> None:
        self.closed = True
        if self.fails:
            raise OSError("the connection is gone")


async def test_a_retry_on_that_raises_fails_its_step(watched: Watched) -> None:
    """The error of a broken ``retry_on`` is the step's, with the step's own error as its context."""

    def broken(error: BaseException) -> bool:
        raise LookupError(f"what is {error!r}?")

    @step(retries=3, retry_on=broken)
    async def fails() -> None:
        raise ValueError("first")

    @program
    async def main() -> None:
        await fails()

    result = await watched.runtime.run(main)
    assert result.status == "failed"
    assert result.error is not None
    assert isinstance(result.error.__cause__, LookupError)
    assert isinstance(result.error.__cause__.__context__, ValueError)


async def test_any_number_of_retries(watched: Watched) -> None:
    """Doubling the wait more than a thousand times is no error of its own."""
    attempts = 0

    @step(retries=1100, backoff=0.0)
    async def fails() -> int:
        nonlocal attempts
        attempts += 1
        if attempts <= 1100:
            raise ValueError("again")
        return attempts

    @program
    async def main() -> int:
        return await fails()

    assert (await watched.runtime.run(main)).output == 1101


async def test_a_step_that_swallows_its_cancellation_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled run ends after its grace without such a step, names it, and takes no notice of its late end."""
    started, late, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @step
    async def stubborn() -> str:
        started.set()
        while not late.is_set():
            try:
                await late.wait()
            except asyncio.CancelledError:
                continue
        over.set()
        return "late"

    @program
    async def main() -> str:
        return await stubborn()

    async with Runtime({}, grace=0.0) as runtime:
        run = runtime.start(main)
        await started.wait()
        run.cancel()
        result = await run
        assert result.status == "cancelled"
        assert [record.status for record in result.steps] == ["cancelled"]
        assert "still running: stubborn#1" in caplog.text
        late.set()
        await over.wait()
        run.machine.validate()


async def test_a_step_resolved_from_outside_is_waited_for(watched: Watched) -> None:
    """A handle that somebody else resolved does not let the run end before its step."""
    cleaned = asyncio.Event()

    @step
    async def slow() -> int:
        await asyncio.sleep(0)
        cleaned.set()
        return 1

    @program
    async def main() -> int:
        handle = slow()
        await asyncio.sleep(0)
        handle.set_result(2)
        return await handle

    result = await watched.runtime.run(main)
    assert (result.output, cleaned.is_set()) == (2, True)


async def test_an_observer_that_fails_inside_itself_is_dropped_once() -> None:
    """An observer whose reaction causes further events, and which raises at each, breaks nothing."""
    seen: list[Event] = []

    @step
    async def plus(number: int) -> int:
        return number + 1

    @program
    async def main() -> int:
        first, second = plus(1), plus(2)
        dropped = plus(second)

        def nested(event: Event) -> None:
            if isinstance(event, StepEnded):
                seen.append(event)
                dropped.cancel()  # ends at once, and so inside of this event
                raise ValueError("no more")

        watching.append(nested)
        return await plus(first)

    watching: list[Observer] = []
    async with Runtime({}, observers=[lambda event: [tell(event) for tell in watching]]) as runtime:
        result = await runtime.run(main)
    assert result.output == 3
    assert len(seen) == 2


async def test_closing_closes_every_executor() -> None:
    """An executor that cannot be closed does not keep the others open; its error comes out."""
    executors = {"first": Closing(fails=False), "bad": Closing(fails=True), "last": Closing(fails=False)}
    runtime = Runtime(executors)
    with pytest.raises(OSError, match="the connection is gone"):
        await runtime.close()
    assert all(one.closed for one in executors.values())


async def test_what_a_step_was_given_is_let_go_when_it_is_done(watched: Watched) -> None:
    """A long run does not hold on to arguments: they are free as soon as their step is done."""

    class Given:
        """Something whose life can be watched."""

    @step
    async def take(given: Given) -> int:
        return 1

    @program
    async def main() -> bool:
        given = Given()
        left = weakref.ref(given)
        handle = take(given)
        del given
        await handle
        gc.collect()
        return left() is None

    assert (await watched.runtime.run(main)).output is True


def test_the_loop_closes_without_a_step_that_swallows_its_cancellation() -> None:
    """``asyncio.run`` returns although a step of a cancelled run goes on for ever."""

    @step
    async def stubborn(begun: asyncio.Event) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                begun.set()
                await asyncio.sleep(0)

    @program
    async def main(begun: asyncio.Event) -> None:
        await stubborn(begun)

    async def cancelled() -> str:
        begun = asyncio.Event()
        async with Runtime({}, grace=0.0) as runtime:
            run = runtime.start(main, begun)
            await begun.wait()
            run.cancel()
            return (await run).status

    assert asyncio.run(cancelled()) == "cancelled"
