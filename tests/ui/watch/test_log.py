"""The log: lines that are read where they are looked at, from a journal of any length."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.widgets import Static

from agentrt import program, step
from agentrt.errors import JournalError
from agentrt.runtime import Runtime
from agentrt.store import Journal
from agentrt.store.rows import StepStory
from agentrt.types import RunId, StepId
from agentrt.ui.watch.acting import ActingApp, settled
from agentrt.ui.watch.messages import StepChosen, StepOpened
from agentrt.ui.watch.pages import Pages
from agentrt.ui.watch.panes.log import LogPane, sign_of
from agentrt.ui.watch.sources.base import LogLine, Look, RunState
from agentrt.ui.watch.watched import Watched

STATE = RunState(RunId("run-1"), "report", "running", 0.0, 1.0, live=True)


def line(number: int) -> LogLine:
    """The line of that number; one in ten tells of a search."""
    kind = "ended" if number % 2 else "called"
    name = "search" if number % 10 == 0 else "writer"
    return LogLine(number + 1, number / 100, kind, StepId(f"{name}#{number}"), f"line {number} of {name}")


class Long:
    """A source with a log of any length, which remembers what it was asked for; ``gate`` holds answers back."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.asked: list[tuple[int, int, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def look(self) -> Look:
        return Look(STATE)

    async def story(self, step: StepId) -> StepStory:
        return StepStory(step, (), (), (), (), ())

    async def count(self, find: str = "") -> int:
        if self.broken:
            raise JournalError("the journal cannot be read")
        return len(self._found(find)) if find else self.length

    async def lines(self, first: int, most: int, find: str = "") -> Sequence[LogLine]:
        await self.gate.wait()
        self.asked.append((first, most, find))
        numbers = self._found(find) if find else range(self.length)
        return [line(number) for number in numbers[first : first + most]]

    def _found(self, find: str) -> Sequence[int]:
        return range(0, self.length, 10) if find == "search" else ()


class Alone(App[None]):
    """Only the pane."""

    def __init__(self, source: Long) -> None:
        super().__init__()
        self.watched = Watched(source, Look(STATE))
        self.source = source
        self.told: list[object] = []

    def compose(self) -> ComposeResult:
        yield LogPane()

    @property
    def pane(self) -> LogPane:
        return self.query_one(LogPane)

    def on_mount(self) -> None:
        self.pane.focus()

    def on_step_chosen(self, event: StepChosen) -> None:
        self.told.append(("chosen", event.step))

    def on_step_opened(self, event: StepOpened) -> None:
        self.told.append(("opened", event.step))

    async def grow(self, by: int = 0) -> None:
        """The log grows, and the pane is shown it."""
        self.source.length += by
        self.watched.version += 1
        self.pane.show(self.watched)
        await self.rest()

    async def rest(self) -> None:
        """Until nothing is counted or loaded."""
        await self.workers.wait_for_complete()

    def rows(self) -> list[str]:
        """What is on the screen."""
        return [self.pane.render_line(y).text.rstrip() for y in range(self.pane.size.height)]


# -- pages -----------------------------------------------------------------------------------------------------------


def test_pages_hold_what_was_used_last() -> None:
    """However many are read, only so many are kept, and those that are looked at stay."""
    pages = Pages(size=10, keep=3)
    pages.count = 1_000
    for page in range(50):
        if pages.missing(0, 5) is not None:
            pages.add(0, [line(number) for number in range(10)], "")
        if page:
            assert pages.missing(page * 10, 10) == page
            pages.add(page, [line(page * 10 + number) for number in range(10)], "")
    held = [number for number in range(1_000) if pages.line(number) is not None]
    assert len(held) == 30
    assert held[:10] == list(range(10))
    assert pages.line(499) == line(499)


def test_a_page_that_was_cut_short_is_completed() -> None:
    """The last page of a growing log shows what it has, and is asked for again when more is looked at."""
    pages = Pages(size=10)
    pages.count = 4
    assert pages.missing(0, 20) == 0
    assert pages.add(0, [line(number) for number in range(4)], "")
    assert pages.missing(0, 20) is None
    pages.count = 12
    assert pages.line(3) == line(3)
    assert pages.missing(0, 4) is None, "what is looked at is there"
    assert pages.missing(0, 20) == 0
    assert pages.held(0) == 4
    assert not pages.add(0, [], ""), "there is no more"
    assert pages.add(0, [line(number) for number in range(4, 10)], "")
    assert pages.missing(0, 20) == 1


def test_pages_of_another_search_do_not_count() -> None:
    """What was asked for before the search changed comes too late."""
    pages = Pages(size=10)
    pages.count = 10
    pages.search("otters")
    assert not pages.add(0, [line(0)], "")
    assert pages.line(0) is None
    assert pages.count == 0


@pytest.mark.parametrize(
    ("kind", "text", "sign"),
    [
        ("ended", "done: 'otters'", "✓"),
        ("ended", "failed: no fish", "✗"),
        ("ended", "skipped because of search#1", "↷"),
        ("over", "run cancelled", "⊘"),
        ("called", "called as tool step", "+"),
        ("retried", "failed, again in 2 s", "↻"),
        ("unheard of", "done", "·"),
    ],
)
def test_every_line_has_a_sign(kind: str, text: str, sign: str) -> None:
    """An end has the sign of its status, everything else that of its kind."""
    assert sign_of(LogLine(1, 0.0, kind, StepId("a#1"), text))[0] == sign


# -- the pane --------------------------------------------------------------------------------------------------------


async def test_a_million_lines_are_not_read() -> None:
    """Only the lines that are looked at, whichever they are, are asked for and held."""
    app = Alone(Long(1_000_000))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        assert "line 999999 of writer" in app.rows()[23]
        await pilot.press("home")
        await app.rest()
        assert "line 0 of search" in app.rows()[0]
        for number in range(0, 1_000_000, 20_000):
            app.pane.action_go(number)
            await app.rest()
            assert any(f"line {number} of" in row for row in app.rows())
        held = sum(app.pane.pages.line(number) is not None for number in range(1_000_000))
        assert held <= app.pane.pages.size * app.pane.pages.keep
        assert max(most for _, most, _ in app.source.asked) <= app.pane.pages.size


async def test_the_end_is_followed_until_somebody_looks_back() -> None:
    """Moving up stays there though the log grows; ``end`` and ``G`` follow again."""
    app = Alone(Long(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        await app.grow(50)
        assert "line 149 " in app.rows()[-1]
        await pilot.press("k", "up")
        assert not app.pane.following
        before = app.rows()
        await app.grow(50)
        assert app.rows() == before
        assert app.pane.cursor == 147
        for key in ("end", "G"):
            await pilot.press("pageup", key)
            await app.grow(50)
            assert app.pane.following
            assert f"line {app.source.length - 1} " in app.rows()[-1]


async def test_the_wheel_stops_following() -> None:
    """Whoever looks back with the mouse is not carried away either."""
    app = Alone(Long(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        await pilot._post_mouse_events([MouseScrollUp], LogPane, (5, 5))
        assert not app.pane.following


async def test_what_is_not_loaded_yet_shows_dots() -> None:
    """Lines that take their time block nothing: dots, then the lines."""
    app = Alone(Long(100))
    async with app.run_test(size=(80, 24)) as pilot:
        app.source.gate.clear()
        app.watched.version += 1
        app.pane.show(app.watched)
        while not app.pane.pages.count:
            await pilot.pause()
        assert app.rows() == ["…"] * 24
        await pilot.press("home")
        assert app.pane.cursor == 0
        app.source.gate.set()
        await app.rest()
        assert "line 0 of search" in app.rows()[0]


async def test_a_search_shows_the_lines_that_hold_it() -> None:
    """Another search begins at the end; nothing is shown of what has come for the one before."""
    app = Alone(Long(1_000))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        app.source.gate.clear()
        await pilot.press("home")
        app.pane.search("search")
        app.source.gate.set()
        await app.rest()
        assert app.pane.pages.count == 100
        assert "line 990 of search" in app.rows()[-1]
        assert all("of search" in row for row in app.rows())
        app.pane.search("")
        await app.rest()
        assert app.pane.pages.count == 1_000


async def test_enter_opens_the_step_of_the_line() -> None:
    """Moving chooses its step for all panes, enter and a double click open it."""
    app = Alone(Long(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        await pilot.press("home", "j", "enter")
        assert app.told[-2:] == [("chosen", "writer#1"), ("opened", "writer#1")]
        await pilot.click(LogPane, offset=(20, 5), times=2)
        assert app.told[-1] == ("opened", "writer#5")


async def test_long_lines_are_scrolled_sideways_and_steer_nothing() -> None:
    """A line is as long as its text; control characters of programs do not reach the terminal."""
    app = Alone(Long(3))
    app.source.lines = lambda *_: _given(  # type: ignore[method-assign]
        [LogLine(1, 0.0, "text", StepId("a\x1b#1"), f"says: \x1b[31m{'x' * 300}END\x07")] * 3
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await app.grow()
        assert "END" not in app.rows()[0]
        await pilot.pause()
        await pilot.press("l")
        app.pane.scroll_to(x=1_000, animate=False, immediate=True)
        assert app.rows()[0].endswith("END")
        assert not any(char in "".join(app.rows()) for char in "\x1b\x07")


async def _given(lines: list[LogLine]) -> list[LogLine]:
    return lines


async def test_a_journal_that_cannot_be_read_is_tried_again() -> None:
    """The pane keeps what it has, says why, and goes on with the next change."""
    app = Alone(Long(100))
    async with app.run_test(size=(80, 24)):
        await app.grow()
        app.source.broken = True
        await app.grow(50)
        assert app.pane.reading.problem == "the journal cannot be read"
        assert "line 99 " in app.rows()[-1]
        app.source.broken = False
        await app.grow()
        assert app.pane.reading.problem == ""
        assert "line 149 " in app.rows()[-1]


# -- the screen ------------------------------------------------------------------------------------------------------


@program
async def otters() -> str:
    return await swim()


@step
async def swim() -> str:
    return "an otter swims"


async def test_the_screen_filters_and_says_where_one_is(tmp_path: Path) -> None:
    """``/`` filters as it is typed, enter keeps the filter, esc takes it away, and a second esc leaves."""
    async with Runtime({}, journal=tmp_path / "runs.db", estimates=None) as runtime:
        run = (await runtime.run(otters)).id
    async with Journal(tmp_path / "runs.db") as journal:
        app = ActingApp(journal, run)

        def place() -> str:
            found = app.screen.query("#log-place")
            return str(found.first(Static).content) if found else ""

        async with app.run_test(size=(80, 24)) as pilot:
            while app.watched is None or not app.watched.view.ended:
                await pilot.pause(0.02)
            await pilot.press("4")
            while "line 3 of 3" not in place():
                await pilot.pause(0.02)
            await pilot.press("slash", *"SWIMS")
            while "2 lines with 'SWIMS'" not in place():
                await pilot.pause(0.02)
            await pilot.press("enter")
            assert isinstance(app.focused, LogPane)
            await pilot.press("escape")
            while "line 3 of 3" not in place():
                await pilot.pause(0.02)
            await pilot.press("escape")
            while app.current_mode != "runs":
                await pilot.pause(0.02)
        await settled()
