"""The pane of the step graph, driven as a person drives it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from agentrt.types import RunId, StepId, Usage
from agentrt.ui.drawing.pieces import Piece, cut_cells, fitted
from agentrt.ui.watch.messages import Notice, StepChosen, StepOpened
from agentrt.ui.watch.panes.graph import GraphPane
from agentrt.ui.watch.sources.base import Look, RunState
from agentrt.ui.watch.watched import Watched
from tests.ui.conftest import Story
from tests.ui.watch.silent import SilentSource


class Graph(App[None]):
    """An app of one pane, which notes what it is told."""

    CSS = "GraphPane { height: 1fr; scrollbar-size: 1 1; }"

    def __init__(self, story: Story, now: float, live: bool) -> None:
        super().__init__()
        state = RunState(RunId("run-1"), "report", "running" if live else "done", 0.0, now, live)
        self.watched = Watched(SilentSource(state), Look(state))
        self.watched.view = story.view
        self.chosen: list[str | None] = []
        self.opened: list[str] = []
        self.notices: list[str] = []

    def compose(self) -> ComposeResult:
        """The pane alone."""
        yield GraphPane()

    def on_mount(self) -> None:
        """Show what there is."""
        self.look()
        self.query_one(GraphPane).focus()

    def look(self) -> None:
        """Time has passed."""
        self.query_one(GraphPane).show(self.watched)

    def on_step_chosen(self, message: StepChosen) -> None:
        """A node was chosen."""
        self.watched.selected = message.step
        self.chosen.append(message.step)
        self.look()

    def on_step_opened(self, message: StepOpened) -> None:
        """A step is wanted."""
        self.opened.append(message.step)

    def on_notice(self, message: Notice) -> None:
        """Something is said."""
        self.notices.append(message.text)


@asynccontextmanager
async def shown(
    story: Story, *, now: float = 10.0, live: bool = False, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], GraphPane, Graph]]:
    """The pane on a terminal of that size."""
    app = Graph(story, now, live)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot, app.query_one(GraphPane), app


def lines(pane: GraphPane) -> list[str]:
    """What the terminal shows of the pane."""
    return [pane.render_line(y).text.rstrip() for y in range(pane.size.height)]


def reversed_text(pane: GraphPane) -> str:
    """What is shown as chosen."""
    segments = [one for y in range(pane.size.height) for one in pane.render_line(y)]
    return "".join(one.text for one in segments if one.style and one.style.reverse)


@pytest.fixture
def report(story: Story) -> Story:
    """A search beside a plan, two writers, and an editor who waits for both."""
    story.add("search#1", kind="tool").start("search#1").end("search#1", at=1.0)
    story.add("plan#1").start("plan#1").end("plan#1", at=2.0, usage=Usage(412, 100, 31))
    for number in (1, 2):
        story.add(f"write#{number}", inputs=["search#1", "plan#1"]).start(f"write#{number}", at=2.0)
    story.end("write#1", at=4.0, status="failed", error="ConnectionError: gone\x1b[31m")
    story.text("write#2", "Otters ").text("write#2", "swim.")
    return story.add("edit#1", inputs=["write#1", "write#2"])


def agent(story: Story, rounds: int) -> Story:
    """An agent of so many rounds."""
    story.add("seek#1", kind="agent").start("seek#1")
    for number in range(1, rounds + 1):
        before = [f"seek#1/look#{number - 1}"] if number > 1 else []
        story.add(f"seek#1/seek.turn#{number}", parent="seek#1", inputs=before)
        story.add(f"seek#1/look#{number}", kind="tool", parent="seek#1", inputs=[f"seek#1/seek.turn#{number}"])
        for at, step in enumerate((f"seek#1/seek.turn#{number}", f"seek#1/look#{number}"), 2 * number):
            story.start(step, at=float(at)).end(step, at=at + 1.0)
    return story


async def test_a_run_is_drawn_with_states_and_times(report: Story) -> None:
    """Every step has its sign, its name and its time; what runs counts on."""
    async with shown(report, live=True) as (pilot, pane, app):
        assert lines(pane)[:2] == [
            "✓ search#1 1.0 s ──┬▸ ✗ write#1 2.0 s ──┬▸ · edit#1",
            "✓ plan#1 2.0 s ────┴▸ ▶ write#2 8.0 s ──┘",
        ]
        app.watched.state = RunState(RunId("run-1"), "report", "running", 0.0, 12.5, True)
        app.look()
        await pilot.pause()
        assert "▶ write#2 10.5 s" in lines(pane)[1]


async def test_no_steps_are_told_in_a_sentence(story: Story) -> None:
    """An empty graph says why it is empty."""
    async with shown(story, live=True) as (_, pane, _):
        assert lines(pane)[0] == "No step has been called yet."
    async with shown(story) as (_, pane, _):
        assert lines(pane)[0] == "This run called no steps."


async def test_keys_move_along_the_edges(report: Story) -> None:
    """Right and left follow edges, up and down stay in the column; all panes are told."""
    async with shown(report) as (pilot, pane, app):
        await pilot.press("l")
        assert app.chosen == ["write#2"]  # what runs comes first
        await pilot.press("right", "h", "k", "h", "j", "l", "end")
        assert app.chosen[1:] == ["edit#1", "write#1", "search#1", "plan#1", "write#2", "edit#1"]
        assert reversed_text(pane).startswith("· edit#1")


async def test_enter_opens_a_step(report: Story) -> None:
    """Enter asks for everything about the chosen step."""
    async with shown(report) as (pilot, _, app):
        await pilot.press("home", "enter")
        assert app.opened == ["search#1"]


async def test_enter_without_a_choice_opens_what_one_looks_for(story: Story) -> None:
    """What runs; else what failed; else the first step."""
    story.add("a#1").add("b#1").start("a#1", at=0).start("b#1", at=0)
    story.end("a#1", at=1)
    async with shown(story, live=True) as (pilot, _, app):
        await pilot.press("enter")
        assert app.opened == ["b#1"]
    story.end("b#1", at=2, status="failed", error="no").add("c#1").start("c#1", at=2).end("c#1", at=3)
    async with shown(story) as (pilot, _, app):
        await pilot.press("enter")
        assert app.opened == ["b#1"]


async def test_enter_where_there_is_nothing_does_nothing(story: Story) -> None:
    """A run without steps has none to open."""
    async with shown(story) as (pilot, _, app):
        await pilot.press("enter")
        assert app.opened == []


async def test_a_group_is_opened_by_enter_and_folded_by_backspace(story: Story) -> None:
    """Many steps are one node with their counts; enter shows them, backspace makes one node of them again."""
    for number in range(1, 1205):
        story.add(f"search#{number}", kind="tool").start(f"search#{number}")
    for number in range(1, 1181):
        story.end(f"search#{number}", status="failed" if number < 5 else "done")
    async with shown(story) as (pilot, pane, app):
        assert lines(pane)[0].startswith("▶ search \N{MULTIPLICATION SIGN}1,204 ✓1,176 ▶24 ✗4 10.0 s")
        await pilot.press("j", "enter")
        assert app.opened == []
        assert lines(pane)[0].startswith("✗ search#1 ")
        assert pane.virtual_size.height == 61
        await pilot.press("backspace")
        assert lines(pane)[0].startswith("▶ search \N{MULTIPLICATION SIGN}1,204")
        assert (pane.chosen and pane.chosen.id) == "\tsearch"


async def test_the_mouse_chooses_and_opens(report: Story) -> None:
    """A click chooses what is under it, two open it, beside everything nothing happens."""
    async with shown(report) as (pilot, _, app):
        await pilot.click(GraphPane, offset=(24, 1))
        assert app.chosen == ["write#2"]
        await pilot.click(GraphPane, offset=(3, 1), times=2)
        assert app.opened == ["plan#1"]
        await pilot.click(GraphPane, offset=(70, 20))
        assert app.chosen[-1] == "plan#1"


async def test_zoom_widens_folds_and_fits(story: Story) -> None:
    """Plus ends in boxes with a second line, minus in names; 0 is as at first; each says what is shown."""
    agent(story, 2)
    async with shown(story, size=(120, 24)) as (pilot, pane, app):
        first = lines(pane)
        await pilot.press("plus")
        assert "◆ llm" in "\n".join(lines(pane))
        await pilot.press("minus", "minus")
        assert lines(pane)[0] == "▶ seek#1 4/4 10.0 s"
        assert app.notices[-1] == "5 steps as 1 node: the outermost steps"
        await pilot.press("0")
        assert lines(pane) == first


async def test_boxes_say_more_of_each_step(report: Story) -> None:
    """At the largest size there is text, tokens and errors, cleaned of what would steer a terminal."""
    async with shown(report, live=True, size=(160, 30)) as (pilot, pane, _):
        await pilot.press("plus")
        text = "\n".join(lines(pane))
        for said in ("◆ Otters swim.", "◆ 412 24% cached → 31", "◆ ConnectionError: gone [31m", "⚒ tool"):
            assert said in text
        assert "\x1b" not in text


async def test_what_a_step_holds_is_closed_and_opened(story: Story) -> None:
    """Closed, a step says how far what it holds is."""
    async with shown(agent(story, 3), size=(160, 24)) as (pilot, pane, app):
        assert lines(pane)[0].startswith("╭─▶ seek#1 10.0 s ─")
        assert "turn#1" in lines(pane)[1]
        await pilot.press("home", "o")
        assert lines(pane)[0].startswith("▶ seek#1 6/6 10.0 s")
        await pilot.press("o")
        assert "turn#1" in lines(pane)[1]
        await pilot.press("end", "o")
        assert app.notices[-1] == "look holds nothing that could be opened."


async def test_the_critical_path_is_heavy(report: Story) -> None:
    """P draws the chain that determined the end with heavy lines, and again without."""
    report.end("write#2", at=6.0).start("edit#1", at=6.0).end("edit#1", at=7.0)
    async with shown(report) as (pilot, pane, _):
        assert "━" not in "\n".join(lines(pane))
        await pilot.press("p")
        assert "✓ plan#1 2.0 s ━" in lines(pane)[1]
        assert "✓ write#2 4.0 s ━" in lines(pane)[1]
        assert "✓ search#1 1.0 s ─" in lines(pane)[0]
        await pilot.press("p")
        assert "━" not in "\n".join(lines(pane))


async def test_what_runs_is_kept_visible_until_a_person_moves(story: Story) -> None:
    """While the run goes on the newest running step is in sight; moving the choice ends that, a dot begins it again."""
    story.add("s#1")
    for number in range(2, 31):
        story.add(f"s#{number}", inputs=[f"s#{number - 1}"])
    async with shown(story, live=True) as (pilot, pane, app):
        for number in range(1, 31):
            story.start(f"s#{number}", at=float(number))
            app.look()
            await pilot.pause()
            assert f"▶ s#{number} " in lines(pane)[0]
            story.end(f"s#{number}", at=number + 1.0) if number < 30 else None
        await pilot.press("home")
        app.look()
        await pilot.pause()
        assert "s#1 " in lines(pane)[0]
        await pilot.press("full_stop")
        assert "▶ s#30 " in lines(pane)[0]
        assert app.notices[-1] == "Following what runs."


async def test_a_choice_made_elsewhere_is_shown(report: Story) -> None:
    """The step that is chosen in another pane is marked and brought into sight here, and nothing is told back."""
    async with shown(report, size=(30, 6)) as (pilot, pane, app):
        app.watched.selected = StepId("edit#1")
        app.look()
        await pilot.pause()
        assert "edit#1" in reversed_text(pane)
        assert app.chosen == []


async def test_a_narrow_terminal_gets_names_without_times(report: Story) -> None:
    """Where only the short labels fit, they are shown; where nothing fits, the usual ones, to be scrolled."""
    async with shown(report, size=(44, 10)) as (_, pane, _):
        assert lines(pane)[0] == "✓ search#1 ─┬▸ ✗ write#1 ─┬▸ · edit#1"
    async with shown(report, size=(20, 10)) as (pilot, pane, _):
        assert lines(pane)[0].startswith("✗ write#1 2.0 s "), "what failed is in sight"
        pane.scroll_to(0, 0, animate=False, force=True)
        await pilot.pause()
        assert lines(pane)[0].startswith("✓ search#1 1.0 s ")


async def test_what_steps_hold_is_closed_where_there_is_no_room(story: Story) -> None:
    """Three agents are three lines on a low terminal, and are drawn with their turns on a high one."""
    for number in (1, 2, 3):
        story.add(f"seek#{number}", kind="agent").add(f"seek#{number}/turn#1", parent=f"seek#{number}")
    async with shown(story, size=(80, 8)) as (pilot, pane, _):
        assert lines(pane)[:3] == ["· seek#1 0/1", "· seek#2 0/1", "· seek#3 0/1"]
        await pilot.resize_terminal(80, 30)
        await pilot.pause()
        assert "turn#1" in lines(pane)[1]


async def test_a_run_that_is_told_again_keeps_what_was_asked_for(report: Story) -> None:
    """When the view is another one, as after a jump in a replay, the critical path stays marked."""
    async with shown(report) as (pilot, pane, app):
        await pilot.press("p")
        app.watched.view = agent(Story(), 2).view
        app.look()
        await pilot.pause()
        assert "━" in "\n".join(lines(pane))


def test_wide_characters_are_cut_by_columns() -> None:
    """What takes two columns is never cut in half."""
    assert cut_cells("水獭水獭", 5) == "水獭…"
    assert cut_cells("水獭", 4) == "水獭"
    assert cut_cells("水獭", 0) == ""
    assert "".join(piece.text for piece in fitted([Piece("ab "), Piece("水獭水獭")], 8, tail=True)) == "ab …水獭"
