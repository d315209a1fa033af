"""The Step screen, driven as a person drives it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.app import App
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from agentrt import Agent, Runtime, program, tool
from agentrt.errors import JournalError
from agentrt.events import TurnSent
from agentrt.executors import connect
from agentrt.store import Journal
from agentrt.store.rows import StepStory
from agentrt.testing import ScriptedServer, calls, say
from agentrt.types import RunId, SessionId, StepId, Usage
from agentrt.ui.watch.messages import Notice, StepChosen, StepOpened
from agentrt.ui.watch.panes.step_parts import PARTS
from agentrt.ui.watch.panes.step_prompt import ABOUT, RAIL
from agentrt.ui.watch.panes.text_lines import Layout, Line, breaks, find
from agentrt.ui.watch.screens.step import FINISHED_S, OPEN_S, PartTab, Rereading, StepScreen
from agentrt.ui.watch.sources.base import Look, RunState
from agentrt.ui.watch.sources.journal import JournalRun
from agentrt.ui.watch.themes import DARK, LIGHT, THEMES
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import clean, lines_of
from tests.ui.conftest import RUN, Story
from tests.ui.watch.silent import SilentSource

LIVE = RunState(RunId("run-1"), "report", "running", 0.0, 9.0, live=True)
SESSION = SessionId("run-1/guide~1")


class Telling(SilentSource):
    """Tells the stories it was given, and counts how often it was asked; ``broken`` raises that."""

    def __init__(self) -> None:
        super().__init__(LIVE)
        self.stories: dict[str, StepStory] = {}
        self.asked = 0
        self.broken = ""

    async def story(self, step: StepId) -> StepStory:
        """The story of that step; empty for others."""
        self.asked += 1
        if self.broken:
            raise JournalError(self.broken)
        return self.stories.get(step, StepStory(step, (), (), (), (), ()))


class Alone(App[None]):
    """Only the screen: what it asks of the app is noted."""

    def __init__(self, watched: Watched, step: str, *, clock: Callable[[], float], theme: str = DARK) -> None:
        super().__init__()
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme
        self.watched = watched
        self.mark = ""
        self.told: list[Message] = []
        self.left = 0
        self.step = StepScreen(StepId(step), clock=clock)
        self.copied = ""

    async def on_mount(self) -> None:
        await self.push_screen(self.step)

    def paint(self, *, soon: bool = False) -> None:
        """As the app does."""
        self.step.refresh_all()

    def headline(self, width: int) -> Text:
        """The line above the tabs."""
        return Text("run"[:width])

    async def go_back(self) -> None:
        """Counts that the screen was left."""
        self.left += 1

    def copy_to_clipboard(self, text: str) -> None:
        """Keeps it."""
        self.copied = text

    def on_step_chosen(self, message: StepChosen) -> None:
        self.told.append(message)

    def on_step_opened(self, message: StepOpened) -> None:
        self.told.append(message)

    def on_notice(self, message: Notice) -> None:
        self.told.append(message)

    def rows(self) -> list[str]:
        """All rows of the part that is shown."""
        pane = self.step.text.pane
        return [pane.line(number).plain.rstrip() for number in range(pane.virtual_size.height)]

    def picture(self) -> str:
        """What is on the screen."""
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(
    story: Story,
    source: Telling,
    step: str = "a#1",
    *,
    size: tuple[int, int] = (80, 24),
    clock: Callable[[], float] | None = None,
    theme: str = DARK,
) -> AsyncIterator[tuple[Alone, Pilot[None]]]:
    """The screen on a step of a run that is made of events."""
    watched = Watched(source, Look(LIVE))
    watched.view = story.view
    app = Alone(watched, step, clock=clock or Clock(), theme=theme)
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot)
        yield app, pilot


async def settled(app: Alone, pilot: Pilot[None]) -> None:
    """Until the story was read and everything is drawn."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def again(app: Alone, pilot: Pilot[None]) -> None:
    """Something has happened: it is shown."""
    app.watched.version += 1
    app.step.show(app.watched)
    await settled(app, pilot)


def sent(text: str, *, step: str = "a#1", role: str = "user") -> StepStory:
    """A turn that was sent one message."""
    entry = {"seq": 1, "kind": "sent", "at": 0.0, "data": {"model": "m", "count": 1}}
    return StepStory(StepId(step), [entry], (), [{"role": role, "content": text}], (), ())


def streamed(text: str, *, step: str = "a#1") -> StepStory:
    """A turn that has said something so far."""
    return StepStory(StepId(step), (), [{"seq": 1, "kind": "text", "at": 1.0, "data": text}], (), (), ())


# -- a real run ------------------------------------------------------------------------------------------------------


@tool
async def search(query: str) -> str:
    """Find notes."""
    if query == "bad":
        raise ValueError("no such index")
    return f"{query}:\x1b[31m a note"


guide = Agent("guide", system="You guide.\n" + "House rules. " * 60, tools=[search], retries=0)


@program
async def tour() -> list[str]:
    """Two calls of one session, the second with a tool that fails."""
    session = guide.session()
    return [await session("What of otters?"), await session("bad")]


def answers(asked: Any) -> Any:
    """A tool call first, then words."""
    if asked.messages[-1]["role"] == "tool":
        return say("Here: " + asked.last)
    return calls(("search", {"query": asked.last.split()[-1].rstrip("?")}), text="Let me look.")


@pytest.fixture
async def tour_run(tmp_path: Path) -> AsyncIterator[Watched]:
    """The run as its journal tells it."""
    async with ScriptedServer(answers) as server, Journal(tmp_path / "runs.db") as journal:
        async with Runtime(connect(server.url), journal=journal, estimates=None) as runtime:
            result = await runtime.run(tour)
        source = JournalRun(journal, result.id)
        watched = Watched(source, await source.look())
        while await watched.look():
            pass
        yield watched


@asynccontextmanager
async def touring(
    watched: Watched, step: str, size: tuple[int, int] = (80, 24), theme: str = DARK
) -> AsyncIterator[tuple[Alone, Pilot[None]]]:
    app = Alone(watched, step, clock=Clock(), theme=theme)
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot)
        yield app, pilot


async def part(app: Alone, pilot: Pilot[None], name: str) -> str:
    """The rows of a part, as one text."""
    while app.step.part != name:
        await pilot.press("tab")
    await settled(app, pilot)
    return "\n".join(app.rows())


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_question_is_answered(tour_run: Watched, size: tuple[int, int], theme: str) -> None:
    """What went in, what the model saw, what came out, which tools, how often, hints, where the time went."""
    async with touring(tour_run, "guide#1/guide.turn#2", size, theme) as (app, pilot):
        head = str(app.picture())
        assert "guide#1/guide.turn#2  llm  done in" in head
        assert "agent guide (guide~1), model default" in head
        overview = await part(app, pilot, "Overview")
        assert "messages said before" in overview
        assert "✓ ◎ guide#1" in overview
        prompt = await part(app, pilot, "Prompt")
        assert "came from the cache, by the engine's count." in prompt
        assert f"{RAIL} system" in prompt
        assert f"\n{ABOUT} " in prompt
        assert "\n  tool · search\n    otters:␛[31m a note\n" in prompt
        assert await part(app, pilot, "Output") == "  Here: otters:␛[31m a note"
        assert "1 tool offered\n    ⚒ search\n      Find notes." in await part(app, pilot, "Tools")
        assert "✓ attempt 1  done  at" in await part(app, pilot, "Attempts")
        assert "No hint was sent" in await part(app, pilot, "Hints")
        assert "since it was called" in await part(app, pilot, "Timings")
        assert "\x1b" not in app.picture()


async def test_calls_lead_to_the_steps_they_became(tour_run: Watched) -> None:
    """Beside a call stands its step; ``m`` marks it, ``enter`` opens it, and so does a click."""
    async with touring(tour_run, "guide#2/guide.turn#1") as (app, pilot):
        tools = await part(app, pilot, "Tools")
        assert '⚒ search {\n        "query": "bad"\n      }\n✗ ⚒ guide#2/search#1' in tools
        await pilot.press("enter", "enter")
        await pilot.press("m", "M", "enter")
        row = next(number for number, line in enumerate(app.rows()) if "guide#2/search#1" in line)
        await pilot.click(app.step.text.pane, offset=(5, row))
        await pilot.pause()
        opened = [one.step for one in app.told if isinstance(one, StepOpened)]
        assert opened == ["guide#2/search#1"] * 3


async def test_a_failed_tool_tells_why(tour_run: Watched) -> None:
    """The error stands in the overview, and with its kind among the attempts."""
    async with touring(tour_run, "guide#2/search#1") as (app, pilot):
        assert "✗ failed in" in app.rows()[0]
        assert "ValueError: no such index" in app.rows()[1]
        attempts = await part(app, pilot, "Attempts")
        assert "why it failed\n    ValueError: no such index" in attempts
        assert "no such index" in await part(app, pilot, "Output")


async def test_the_turns_of_a_session_are_walked(tour_run: Watched) -> None:
    """``.`` and ``,`` go from turn to turn in the same part, also into the next call, and end at the ends."""
    async with touring(tour_run, "guide#1/guide.turn#1") as (app, pilot):
        await part(app, pilot, "Prompt")
        await pilot.press("comma")
        assert isinstance(app.told[-1], Notice)
        seen = [app.step.step]
        for _ in range(3):
            await pilot.press("full_stop")
            await settled(app, pilot)
            seen.append(app.step.step)
        assert seen == [StepId(f"guide#{call}/guide.turn#{turn}") for call in (1, 2) for turn in (1, 2)]
        assert app.step.part == "Prompt"
        assert "user\n" in "\n".join(app.rows())
        await pilot.press("full_stop")
        assert "last turn" in getattr(app.told[-1], "text", "")
        await pilot.press("comma")
        assert app.step.step == "guide#2/guide.turn#1"
        assert [one.step for one in app.told if isinstance(one, StepChosen)][-1] == "guide#2/guide.turn#1"
        await pilot.press("u")
        assert [one.step for one in app.told if isinstance(one, StepOpened)] == ["guide#2"]


async def test_an_agent_leads_to_its_turns(tour_run: Watched) -> None:
    """It asks no model itself; its turns and tools stand in the overview; it is no turn, and nothing is around it."""
    async with touring(tour_run, "guide#1") as (app, pilot):
        overview = "\n".join(app.rows())
        assert "has called\n✓ ◆ guide#1/guide.turn#1" in overview
        assert "overview names them" in await part(app, pilot, "Prompt")
        await pilot.press("full_stop", "u", "b")
        assert [type(one) for one in app.told] == [Notice] * 3


# -- parts and keys --------------------------------------------------------------------------------------------------


async def test_parts_go_around(story: Story) -> None:
    """``tab`` is the next part, ``shift+tab`` the one before, a click goes there."""
    story.add("a#1").start("a#1")
    async with opened(story, Telling()) as (app, pilot):
        seen = []
        for _ in PARTS:
            await pilot.press("tab")
            seen.append(app.step.part)
        assert seen == [*PARTS[1:], PARTS[0]]
        await pilot.press("shift+tab")
        assert app.step.part == PARTS[-1]
        await pilot.click(next(tab for tab in app.step.query(PartTab) if tab.part == "Tools"))
        assert app.step.part == "Tools"
        assert [tab.part for tab in app.step.query(PartTab) if tab.has_class("shown")] == ["Tools"]


async def test_finding(story: Story) -> None:
    """``/`` finds while one types, ``n`` and ``N`` go around the matches, ``esc`` ends it before it leaves."""
    source = Telling()
    source.stories["a#1"] = sent(
        "\n".join(f"line {number} otter" if number % 50 == 0 else "x" for number in range(200))
    )
    story.add("a#1").start("a#1")
    async with opened(story, source) as (app, pilot):
        await part(app, pilot, "Prompt")
        pane = app.step.text.pane
        await pilot.press("n")
        assert isinstance(app.told[-1], Notice)
        await pilot.press("slash", *"OTTER")
        assert "1 of 4" in app.picture()
        assert len(pane.finding.matches) == 4
        await pilot.press("enter", "n")
        assert "line 50 otter" in app.picture()
        await pilot.press("n", "n", "n")
        assert "line 0 otter" in app.picture()
        await pilot.press("N")
        assert "line 150 otter" in app.picture()
        await pilot.press("escape")
        assert (pane.finding.matches, app.left, app.focused) == ([], 0, pane)
        await pilot.press("slash", *"nowhere")
        assert "not found" in app.picture()
        await pilot.press("escape", "slash", "enter", "escape")
        assert app.left == 1
        assert app.step.query_one(Input).value == ""


async def test_the_cached_part_ends_where_b_leads(story: Story) -> None:
    """``b`` opens the prompt at the mark; each cached row has its sign, so that it shows without colour."""
    source = Telling()
    source.stories["a#1"] = sent("word " * 4000)
    story.add("a#1").start("a#1").end("a#1", usage=Usage(4000, 2000, 1))
    async with opened(story, source) as (app, pilot):
        await pilot.press("b")
        await settled(app, pilot)
        pane = app.step.text.pane
        assert app.step.part == "Prompt"
        rows = app.rows()
        mark = next(number for number, row in enumerate(rows) if row.startswith(ABOUT))
        assert pane.scroll_offset.y <= mark < pane.scroll_offset.y + pane.size.height
        assert all(row.startswith(RAIL) for row in rows[5:mark])
        assert not any(row.startswith(RAIL) for row in rows[mark:])
        before = sum(row.count("word") for row in rows[:mark])
        assert 1950 < before < 2050
        await pilot.press("y")
        assert app.copied == "[user]\n" + "word " * 4000


async def test_what_is_copied_steers_no_terminal(story: Story) -> None:
    """The clipboard has the part's text with signs for control characters, and none of the marks."""
    source = Telling()
    source.stories["a#1"] = streamed("one\x1b[2J\n\ttwo")
    story.add("a#1").start("a#1")
    async with opened(story, source) as (app, pilot):
        await part(app, pilot, "Output")
        await pilot.press("y")
        assert app.copied == "one␛[2J\n    two"
        assert isinstance(app.told[-1], Notice)


async def test_wrapping_keeps_the_place(story: Story) -> None:
    """``w`` shows lines unbroken and broken again, with the same line at the top; the keys of a pane scroll."""
    source = Telling()
    source.stories["a#1"] = sent("\n".join(f"line {number} " + "word " * 40 for number in range(100)))
    story.add("a#1").start("a#1")
    async with opened(story, source) as (app, pilot):
        await part(app, pilot, "Prompt")
        pane = app.step.text.pane
        pane.scroll_to(y=3 + 3 * 50, animate=False)
        await pilot.pause()
        top = pane.line(pane.scroll_offset.y).plain[:12].strip()
        high = pane.virtual_size.height
        await pilot.press("w")
        await pilot.pause()
        assert pane.virtual_size.height < high / 2
        assert pane.line(pane.scroll_offset.y).plain.strip().startswith(top)
        await pilot.press("l")
        await pilot.pause()
        assert pane.scroll_offset.x > 0
        await pilot.press("w")
        await pilot.pause()
        assert pane.virtual_size.height == high
        assert pane.line(pane.scroll_offset.y).plain.strip().startswith(top)
        assert max(map(cell_len, app.rows())) <= 80
        await pilot.press("G")
        await pilot.pause()
        assert pane.scroll_offset.y == pane.max_scroll_y


# -- while it runs ---------------------------------------------------------------------------------------------------


async def test_output_is_shown_as_it_comes(story: Story) -> None:
    """The newest characters are there before the story is read again; the end stays in sight until one scrolls up."""
    source, clock = Telling(), Clock()
    first = "".join(f"line {number}\n" for number in range(40))
    source.stories["a#1"] = streamed(first)
    story.add("a#1").start("a#1", at=1.0).text("a#1", first)
    async with opened(story, source, clock=clock) as (app, pilot):
        await part(app, pilot, "Output")
        pane = app.step.text.pane
        assert "line 39" in app.picture()
        story.text("a#1", "line 40\n")
        await again(app, pilot)
        assert source.asked == 1, "it was read a moment ago"
        assert app.rows()[-2:] == ["  line 40", ""]
        assert pane.scroll_offset.y == pane.max_scroll_y
        await pilot.press("k", "k", "k")
        await pilot.pause()
        place = pane.scroll_offset.y
        story.text("a#1", "line 41\n" * 20)
        await again(app, pilot)
        assert pane.scroll_offset.y == place < pane.max_scroll_y
        await pilot.press("G")
        story.text("a#1", "the end")
        await again(app, pilot)
        assert "the end" in app.picture()


async def test_a_story_is_read_again_when_something_is_new(story: Story) -> None:
    """Not more than twice a second while it runs, by itself when that time has passed; at its end once more."""
    source, clock = Telling(), Clock()
    story.add("a#1").start("a#1")
    async with opened(story, source, clock=clock) as (app, pilot):
        clock.now += OPEN_S
        app.step.show(app.watched)
        await settled(app, pilot)
        assert source.asked == 1, "nothing is new"
        await again(app, pilot)
        assert source.asked == 2
        await again(app, pilot)
        assert source.asked == 2
        clock.now += OPEN_S
        story.end("a#1")
        await again(app, pilot)
        assert source.asked == 3


def test_how_often_a_story_is_read() -> None:
    """The clock decides; what has ended is read rarely, as only hints may come; another step's is read at once."""
    clock = Clock()
    rereading = Rereading(clock)
    assert rereading.due(1, finished=False) == 0
    rereading.read(1, finished=False)
    assert rereading.due(1, finished=False) is None
    assert rereading.due(2, finished=False) == OPEN_S
    assert rereading.due(1, finished=True) == OPEN_S
    rereading.read(2, finished=True)
    clock.now += 1.0
    assert rereading.due(3, finished=True) == FINISHED_S - 1.0
    rereading.forget()
    assert rereading.due(3, finished=True) == 0


async def test_a_journal_that_cannot_be_read_is_told(story: Story) -> None:
    """What was known stays; when it can be read again the trouble is gone."""
    source, clock = Telling(), Clock()
    source.broken = "the disk is away \x1b[31m"
    story.add("a#1").start("a#1")
    async with opened(story, source, clock=clock) as (app, pilot):
        assert app.rows() == ["! its story cannot be read now: the disk is away [31m"]
        source.broken = ""
        source.stories["a#1"] = streamed("words")
        clock.now += OPEN_S
        await again(app, pilot)
        assert await part(app, pilot, "Output") == "  words"
        source.broken = "away again"
        clock.now += OPEN_S
        await again(app, pilot)
        assert app.rows() == ["! its story cannot be read now: away again", "  words"]


async def test_a_step_that_is_not_there_is_told(story: Story) -> None:
    """As when a replay goes back before its call; it comes when it is there."""
    source = Telling()
    async with opened(story, source) as (app, pilot):
        assert app.rows() == ["  The run has no step a#1 now."]
        await pilot.press("y", "u", "full_stop")
        story.add("a#1", kind="question").start("a#1")
        await again(app, pilot)
        assert "? waits for a person" in app.rows()[0]


# -- long texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["word and more " * 75_000, "a line of words\n" * 65_000, "x" * 1_000_000])
async def test_a_long_prompt_does_not_hold_up_the_screen(story: Story, text: str) -> None:
    """A megabyte is opened, scrolled to its end and searched without a pause that a person would notice."""
    source = Telling()
    source.stories["a#1"] = sent(text)
    story.add("a#1").start("a#1").end("a#1", usage=Usage(250_000, 100_000, 1))
    async with opened(story, source) as (app, pilot):
        pane = app.step.text.pane
        worst = 0.0
        acts: list[Callable[[], None]] = [
            partial(app.step.go, "Prompt"),
            pane.end,
            partial(pane.search, "nowhere"),
            pane.action_toggle_wrap,
        ]
        for act in acts:
            began = time.thread_time()
            act()
            worst = max(worst, time.thread_time() - began)
            await pilot.pause()
        assert worst < 1.0
        began = time.thread_time()
        for number in range(24):
            pane.render_line(number)
        assert time.thread_time() - began < 0.5


class Slow(Clock):
    """A clock by which everything takes a tenth of a second."""

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


async def test_what_is_slow_to_draw_is_drawn_less_often(story: Story) -> None:
    """A text that is slow to lay out leaves the keyboard its time, and is drawn by itself when that has passed."""
    source, clock = Telling(), Slow()
    story.add("a#1").start("a#1")
    async with opened(story, source, clock=clock) as (app, pilot):
        await part(app, pilot, "Output")
        story.text("a#1", "some words")
        await again(app, pilot)
        assert "some words" not in app.picture()
        clock.now += 100.0
        await again(app, pilot)
        assert "some words" in app.picture()


@given(text=st.text(max_size=300), width=st.integers(8, 40))
def test_rows_hold_the_whole_text(text: str, width: int) -> None:
    """Nothing is lost or drawn twice; each row fits; nothing in it steers a terminal."""
    lines = [Line(line) for line in lines_of(text)]
    layout = Layout(lines, width)
    while not layout.fill(10):
        pass
    joined = [lines[row.line].text[row.start : row.end] for row in layout.rows]
    assert "".join(joined) == "".join(line.text for line in lines)
    assert {row.line for row in layout.rows} == set(range(len(lines)))
    assert all(cell_len(one.rstrip(" ")) <= width for one in joined)
    assert all(char.isprintable() for one in joined for char in one)


def test_words_stay_whole_where_they_fit() -> None:
    """Rows end behind blanks; a longer word is cut; wide characters count twice."""
    assert list(breaks("one two three", 8)) == [8, 13]
    assert list(breaks("abcdefghij", 8)) == [8, 10]
    assert list(breaks("海獺在冷水中游泳", 8)) == [4, 8]
    assert list(breaks("", 8)) == [0]


def test_what_cannot_be_drawn_has_a_sign() -> None:
    """Escape, delete, what turns the reading direction, half a character, tabs, odd blanks, ends of lines."""
    assert clean("a\x1b\x7f\u202e\ud83e\tb\u00a0c\x85") == "a␛␡\ufffd\ufffd   b c\ufffd"
    assert lines_of("one\r\ntwo\rthree\n") == ["one", "two␍three", ""]


def test_asides_are_no_part_of_the_text() -> None:
    """What is said about a text is not found in it."""
    assert find([Line("Otter", aside=True), Line("an OTTER, otter")], "otter") == [(1, 3, 8), (1, 10, 15)]
    assert find([Line("a.b")], ".") == [(0, 1, 2)]
    assert find([Line("a")], "") == []


async def test_a_turn_of_another_session_is_not_walked_to(story: Story) -> None:
    """Only turns of the same context follow each other."""
    for name, session in (("a#1", SESSION), ("b#1", SessionId("run-1/other~2"))):
        story.add(name).start(name)
        story.view.apply(TurnSent(RUN, 0.0, StepId(name), "m", "guide", session))
    async with opened(story, Telling()) as (app, pilot):
        await pilot.press("full_stop")
        assert app.step.step == "a#1"
