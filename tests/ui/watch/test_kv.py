"""The KV screen: what it shows at every size, and what its keys do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from agentrt.events import Event, HintsSent, KvSampled, RunStarted, StepAdded, StepEnded, StepStarted, TurnSent
from agentrt.types import RunId, SessionId, StepId, Usage
from agentrt.ui.watch.app import WatchApp
from agentrt.ui.watch.panes.kv import KvSummary, KvTable
from agentrt.ui.watch.screens.kv import KvScreen
from agentrt.ui.watch.screens.step import StepScreen
from agentrt.ui.watch.sources.base import Look, RunState
from agentrt.ui.watch.themes import DARK, LIGHT
from tests.ui.watch.silent import SilentSource

RUN = RunId("run-1")
NAMES = ("writer", "planner", "editor")
SIZES = [(80, 24), (160, 50)]


class Told(SilentSource):
    """Tells of a run whose events were written down before."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__(RunState(RUN, "report", "running", 0.0, 30.0, live=True))
        self.left = list(events)

    async def look(self) -> Look:
        """All at once."""
        found, self.left = self.left, []
        return Look(self._state, found)


def turn(number: int, at: float) -> list[Event]:
    """A turn of one of three agents, answered; the engine is told when it comes back."""
    name, step = NAMES[number % 3], StepId(f"turn#{number}")
    session = f"{RUN}/{name}~{number % 3 + 1}"
    hint = {"subject": ["session", session, ""], "steps": number % 3, "remaining": 30.0 - number, "tool": "search"}
    return [
        StepAdded(RUN, at, step, "turn", "llm", None, (), ()),
        StepStarted(RUN, at, step, 1),
        TurnSent(RUN, at, step, "default", name, SessionId(session)),
        StepEnded(RUN, at + 0.5, step, "done", None, Usage(prompt=1000, cached=600 * (number > 2), completion=10)),
        HintsSent(RUN, at + 0.5, "default", (hint,)),
    ]


def sample(at: float, **fields: Any) -> KvSampled:
    """The engine says how full it is, and that it protects the first session."""
    device = {"locked": 100, "kept": 400, "evictable": 300, "free": 200}
    subject = {"subject": ["session", f"{RUN}/writer~1", ""], "class": "hinted", "protected": True, "device": 990}
    state = {"pool": 1000, "host": 4000, "tiers": {"device": device, "host": {"used": 1000, "free": 3000}}}
    return KvSampled(RUN, at, "default", {**state, "subjects": [subject], **fields})


def run(turns: int = 6) -> list[Event]:
    """A run of some turns, sampled."""
    events: list[Event] = [RunStarted(RUN, "report", {}, 0.0)]
    for number in range(turns):
        events += [*turn(number, float(number)), sample(number + 0.7)]
    return events


@dataclass
class Shown:
    """The app with the KV screen on it."""

    app: WatchApp
    pilot: Pilot[int]

    @property
    def table(self) -> KvTable:
        return self.app.screen.query_one(KvTable)

    @property
    def text(self) -> str:
        """Everything that is on the screen."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def names(self) -> list[str]:
        return [one.name.partition("/")[2] for one in self.table.shown]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


@asynccontextmanager
async def shown(events: Sequence[Event], size: tuple[int, int] = (80, 24), theme: str = DARK) -> AsyncIterator[Shown]:
    app = WatchApp(None, source=Told(events), theme=theme)
    async with app.run_test(size=size) as pilot:
        while app.watched is None or app.watched.version == 0:
            await pilot.pause()
        await app.action_go("kv")
        await pilot.pause()
        assert isinstance(app.screen, KvScreen)
        yield Shown(app, pilot)
        app.workers.cancel_all()  # nothing is painted while the screens are taken down
        await pilot.pause()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
async def test_the_screen_answers_whether_the_cache_helps(size: tuple[int, int], theme: str) -> None:
    """The answer, the tiers with their fills, the curves and the table are there at every size and in both themes."""
    async with shown(run(), size, theme) as screen:
        text = screen.text
        for told in (
            "30% of 6,000 prompt tokens came from the cache",
            "800 of 1,000 (80%)",
            "1,000 of 4,000 (25%)",
            "█ in use 100  ▓ kept by hints 400  ░ evictable 300  · free 200",
            "default: sample",
            "redone",
            "● protected  writer~1",
            "3 contexts",
            "6 hints sent",
        ):
            assert told in text, told
        assert all(len(line) <= size[0] for line in text.splitlines())


async def test_without_colours_everything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR nothing is missing: fills, signs and words say it all."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with shown(run()) as screen:
        assert all(sign in screen.text for sign in "█▓░·●→")


async def test_a_run_that_asks_no_model() -> None:
    """It is said in words that there is nothing to see."""
    async with shown([RunStarted(RUN, "report", {}, 0.0)]) as screen:
        assert "No model has been asked." in screen.text
        assert "the run has opened no session" in screen.text


async def test_an_engine_that_does_not_tell() -> None:
    """What the turns say is shown, with why there is no more."""
    events = [event for event in run() if not isinstance(event, (KvSampled, HintsSent))]
    async with shown(events) as screen:
        assert "30% of 6,000 prompt tokens" in screen.text
        assert "--kv none" in screen.text
        assert "no hint was sent" in screen.text
        assert "in use" not in screen.text


async def test_s_sorts() -> None:
    """``s`` goes through the orders and comes round; the screen says which it is."""
    async with shown(run()) as screen:
        assert screen.names == ["writer~1", "planner~2", "editor~3"]
        found = {screen.table.order}
        for _ in range(4):
            await screen.press("s")
            found.add(screen.table.order)
        assert len(found) == 5
        assert screen.names == ["editor~3", "planner~2", "writer~1"]
        assert "by name" in screen.text
        await screen.press("s")
        assert "as they came" in screen.text


async def test_slash_filters() -> None:
    """What is typed is sought as it is typed; enter goes back to the table, escape shows all again."""
    async with shown(run()) as screen:
        await screen.press("slash", *"PLAN")
        assert screen.names == ["planner~2"]
        assert "1 context with 'PLAN'" in screen.text
        await screen.press("enter")
        assert screen.table.has_focus
        await screen.press("escape")
        assert len(screen.names) == 3
        assert screen.app.screen.query_one("#find", Input).value == ""


async def test_the_cursor_chooses_and_enter_opens_the_latest_step() -> None:
    """Moving marks the session's latest step everywhere; enter shows all about it."""
    async with shown(run()) as screen:
        await screen.press("j")
        assert screen.app.watched is not None
        assert screen.app.watched.selected == "turn#4"
        await screen.press("down", "up", "enter")
        assert isinstance(screen.app.screen, StepScreen)
        await screen.press("escape")
        assert isinstance(screen.app.screen, KvScreen)
        assert screen.table.cursor == 1


async def test_a_prompt_has_no_step() -> None:
    """Enter on a fixed prompt says that there is nothing to open."""
    hint = {"subject": ["agent", "writer", str(RUN)], "prefix_tokens": 64}
    async with shown([RunStarted(RUN, "report", {}, 0.0), HintsSent(RUN, 0.0, "default", (hint,))]) as screen:
        await screen.press("enter")
        assert isinstance(screen.app.screen, KvScreen)
        assert any("no step of its own" in str(note.message) for note in screen.app._notifications)


async def test_the_cursor_stays_on_its_context() -> None:
    """Another order moves the row, and the cursor with it."""
    async with shown(run()) as screen:
        await screen.press("j")
        while screen.table.order != "by name":
            await screen.press("s")
        assert screen.names[screen.table.cursor] == "planner~2"


async def test_another_size_is_drawn_anew() -> None:
    """After a resize the lines fit again."""
    async with shown(run(), (160, 50)) as screen:
        await screen.pilot.resize_terminal(80, 24)
        await screen.pilot.pause()
        assert "800 of 1,000 (80%)" in screen.text
        assert "● protected  writer~1" in screen.text


async def test_ten_thousand_sessions_cost_little() -> None:
    """Showing a run of very many sessions anew takes some hundredths of a second, whatever is drawn of it."""
    events: list[Event] = [RunStarted(RUN, "report", {}, 0.0)]
    for number in range(10_000):
        session = SessionId(f"{RUN}/writer~{number}")
        events.append(TurnSent(RUN, number / 100, StepId(f"turn#{number}"), "default", "writer", session))
        events.append(StepEnded(RUN, number / 100, StepId(f"turn#{number}"), "done", None, Usage(100, 0, 1)))
    async with shown([RunStarted(RUN, "report", {}, 0.0)]) as screen:
        watched = screen.app.watched
        assert watched is not None
        for event in events:
            watched.kv.apply(event)
        began = time.thread_time()
        for _ in range(5):
            screen.app.screen.query_one(KvSummary).show(watched)
            screen.table.show(watched)
        assert (time.thread_time() - began) / 5 < 0.1
        assert screen.table.rows == 10_000
