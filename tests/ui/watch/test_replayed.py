"""A run that is told again: by a clock, at any speed, from any moment."""

from __future__ import annotations

import pytest

from agentrt.events import Event, RunEnded, RunStarted, StepAdded, StepEnded, StepStarted
from agentrt.store.rows import StepStory
from agentrt.types import RunId, StepId, Usage
from agentrt.ui.watch.sources.base import Look, RunState
from agentrt.ui.watch.sources.replayed import SPEEDS, Replayed
from agentrt.ui.watch.watched import Watched
from tests.ui.watch.silent import SilentSource

RUN = RunId("run-1")
S = StepId("s#1")
EVENTS: list[Event] = [
    RunStarted(RUN, "report", {}, 100.0),
    StepAdded(RUN, 1.0, S, "s", "python", None, (), ()),
    StepStarted(RUN, 2.0, S, 1),
    StepEnded(RUN, 8.0, S, "failed", "E: no", Usage()),
    RunEnded(RUN, 10.0, "failed", "E: no"),
]


class Recorded(SilentSource):
    """A run that took ten seconds and failed, told in pages of two events."""

    def __init__(self) -> None:
        super().__init__(RunState(RUN, "report", "failed", 100.0, 10.0, live=False))
        self._pages = [EVENTS[:2], EVENTS[2:4], EVENTS[4:]]

    async def look(self) -> Look:
        """The next page; asked again, nothing."""
        page = self._pages.pop(0) if self._pages else []
        return Look(self._state, page, more=bool(self._pages))

    async def story(self, step: StepId) -> StepStory:
        """What happened at 2 and at 8, and a hint between."""
        entries = [{"at": 2.0, "kind": "begun"}, {"at": 8.0, "kind": "ended"}]
        return StepStory(step, entries, [{"at": 3.0}], (), (), [(4.0, {})])


class Clock:
    """Set by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A replay that is watched."""

    def __init__(self, speed: float) -> None:
        self.clock = Clock()
        self.replay = Replayed(Recorded(), self.clock, speed)
        self.watched: Watched | None = None

    async def after(self, seconds: float) -> Watched:
        """What is seen so much later."""
        self.clock.now += seconds
        if self.watched is None:
            self.watched = Watched(self.replay, await self.replay.look(), lambda: 0.0)
        while await self.watched.look():
            pass
        return self.watched


@pytest.mark.parametrize("speed", [0.1, 1.0, 10.0, 1000.0])
async def test_time_goes_as_fast_as_is_asked(speed: float) -> None:
    """After so many seconds of the clock, what happened in so many times as many seconds of the run is told."""
    scene = Scene(speed)
    await scene.after(0.0)
    seen = await scene.after(5.0 / speed)
    assert seen.now == pytest.approx(5.0)
    assert (seen.view.status, seen.live, seen.view.steps[S].status) == ("running", True, "running")
    seen = await scene.after(2.9 / speed)
    assert seen.view.count("failed") == 0
    seen = await scene.after(0.2 / speed)
    assert seen.view.count("failed") == 1
    seen = await scene.after(100.0 / speed)
    assert (seen.now, seen.view.status, seen.state.status, seen.live) == (10.0, "failed", "failed", False)


async def test_a_pause_stops_the_time_and_nothing_is_missed() -> None:
    """While it is paused no time passes, however long that is; then it goes on from there."""
    scene = Scene(1.0)
    await scene.after(0.0)
    assert (await scene.after(3.0)).now == pytest.approx(3.0)
    scene.replay.pause()
    assert (await scene.after(60.0)).now == pytest.approx(3.0)
    scene.replay.pause()
    assert (await scene.after(1.0)).now == pytest.approx(4.0)


async def test_a_change_of_speed_counts_from_then_on() -> None:
    """What has passed stays passed; beyond the fastest and the slowest there is nothing."""
    scene = Scene(1.0)
    await scene.after(0.0)
    await scene.after(2.0)
    scene.replay.faster(1)
    assert (await scene.after(1.0)).now == pytest.approx(4.0)
    scene.replay.faster(100)
    assert scene.replay.speed == SPEEDS[-1]
    scene.replay.faster(-100)
    assert scene.replay.speed == SPEEDS[0]


async def test_a_jump_back_tells_it_anew() -> None:
    """What had happened then has happened, and nothing else; there is no way before the beginning or past the end."""
    scene = Scene(1.0)
    await scene.after(0.0)
    scene.replay.jump(9.0)
    seen = await scene.after(0.0)
    assert (seen.now, seen.view.count("failed")) == (9.0, 1)
    scene.replay.jump(1.5)
    seen = await scene.after(0.0)
    assert (seen.now, seen.view.count("failed"), seen.view.count("pending")) == (1.5, 0, 1)
    scene.replay.jump(-5.0)
    assert (await scene.after(0.0)).now == 0.0
    scene.replay.jump(500.0)
    assert (await scene.after(0.0)).now == 10.0


async def test_a_story_goes_as_far_as_the_moment() -> None:
    """What was written of a step later is not there yet."""
    scene = Scene(1.0)
    await scene.after(0.0)
    await scene.after(3.5)
    story = await scene.replay.story(S)
    assert ([one["at"] for one in story.entries], len(story.notes), story.hints) == ([2.0], 1, [])
