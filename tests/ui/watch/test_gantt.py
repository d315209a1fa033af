"""The pane of steps on one time axis, driven as a person drives it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from agentrt.events import TurnMoved, TurnSent
from agentrt.types import RunId, StepId
from agentrt.ui.drawing.glyphs import STAGE_FILL
from agentrt.ui.watch.messages import StepChosen, StepOpened
from agentrt.ui.watch.panes.gantt import GanttPane
from agentrt.ui.watch.sources.base import Look, RunState
from agentrt.ui.watch.watched import Watched
from tests.ui.conftest import RUN, Story
from tests.ui.watch.silent import SilentSource


class Gantt(App[None]):
    """An app of one pane, which notes what it is told."""

    CSS = "GanttPane { height: 1fr; }"

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.watched = watched
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        """The pane alone."""
        yield GanttPane()

    def on_mount(self) -> None:
        """Show what there is."""
        self.query_one(GanttPane).show(self.watched)
        self.query_one(GanttPane).focus()

    def on_step_chosen(self, message: StepChosen) -> None:
        """A row was selected."""
        self.watched.selected = message.step
        self.told.append(message)

    def on_step_opened(self, message: StepOpened) -> None:
        """A step is wanted."""
        self.told.append(message)


def watched_of(story: Story, now: float, *, live: bool = False) -> Watched:
    """What is watched of a story: at ``now``, if it goes on."""
    state = RunState(RunId("run-1"), "report", "running" if live else "done", 0.0, now, live)
    watched = Watched(SilentSource(state), Look(state))
    watched.view = story.view
    return watched


@asynccontextmanager
async def shown(
    story: Story, *, now: float = 10.0, live: bool = False, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], GanttPane, Gantt]]:
    """The pane on a terminal of that size."""
    app = Gantt(watched_of(story, now, live=live))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot, app.query_one(GanttPane), app


def lines(pane: GanttPane) -> list[str]:
    """What the terminal shows of the pane."""
    return [pane.render_line(y).text for y in range(pane.size.height)]


def told_by(app: Gantt, kind: type[StepChosen] | type[StepOpened]) -> list[StepId | None]:
    """The steps of one kind of message, in order."""
    return [message.step for message in app.told if isinstance(message, kind)]


def a_run(story: Story) -> Story:
    """A tool, a turn that waits for it and then goes through its phases, and code; 10 seconds."""
    story.add("search#1", kind="tool").add("write#1", inputs=["search#1"]).add("count#1", kind="python")
    story.start("search#1", at=0.0).end("search#1", at=2.0).start("write#1", at=2.0)
    story.view.apply(TurnSent(RUN, 2.0, StepId("write#1"), "default", "writer", None))
    for at, phase in ((2.0, "queued"), (4.0, "prefill"), (6.0, "decode")):
        story.view.apply(TurnMoved(RUN, at, StepId("write#1"), phase))  # type: ignore[arg-type]
    story.end("write#1", at=10.0).start("count#1", at=9.0).end("count#1", at=9.5)
    return story.finish(at=10.0)


async def test_fills_alone_tell_the_stages_apart(story: Story) -> None:
    """Without any colour a row reads: waiting, queued, prefill, decode; and the legend says what is what."""
    async with shown(a_run(story)) as (_, pane, _):
        row = next(line for line in lines(pane) if "write#1" in line)
        signs = "".join(dict.fromkeys(row.partition("write#1")[2].rpartition("█")[0].replace(" ", "") + "█"))
        assert signs == "".join(STAGE_FILL[stage] for stage in ("waiting", "queued", "prefill", "decode"))
        assert lines(pane)[-1].split() == ["·waiting", "░queued", "▒prefill", "█decode", "▓tool", "▬code"]


async def test_bars_stand_where_the_axis_says(story: Story) -> None:
    """The turn's bar of 8 s begins where the axis has 2 s, in columns of the same scale."""
    async with shown(a_run(story), size=(120, 24)) as (_, pane, _):
        axis, *rows = lines(pane)
        row = next(line for line in rows if "write#1" in line)
        assert row.index("░") == axis.index("╷2 s")


async def test_it_is_readable_on_forty_columns(story: Story) -> None:
    """Names, bars and legend fit a narrow place, and no line is longer."""
    async with shown(a_run(story), size=(40, 12)) as (_, pane, _):
        drawn = lines(pane)
        assert all(cell_len(line) == 40 for line in drawn)
        assert sum(line.count("▓") for line in drawn[1:-2]) >= 3
        assert "search#1" in drawn[1]


async def test_keys_move_the_selection_and_open(story: Story) -> None:
    """j, k, home and end choose a step for all panes, enter opens it; the line below says where its time went."""
    async with shown(a_run(story)) as (pilot, pane, app):
        await pilot.press("j", "j", "end", "home", "down", "k", "enter")
        assert told_by(app, StepOpened) == ["search#1"]
        assert told_by(app, StepChosen)[-1] == "search#1"
        await pilot.press("j")
        assert lines(pane)[2].startswith("▸")
        assert "waiting 2.0 s, queued 2.0 s, prefill 2.0 s, decode 4.0 s" in lines(pane)[-2]


async def test_what_another_pane_selects_is_selected_here(story: Story) -> None:
    """The selection is shared."""
    async with shown(a_run(story)) as (_, pane, app):
        app.watched.selected = StepId("count#1")
        pane.show(app.watched)
        assert next(line for line in lines(pane) if line.startswith("▸")).startswith("▸✓ count#1")


async def test_the_mouse_selects_and_opens(story: Story) -> None:
    """One click chooses the row, the second opens it; the axis is no row."""
    async with shown(a_run(story)) as (pilot, _, app):
        await pilot.click(GanttPane, offset=(30, 0))
        assert app.told == []
        await pilot.click(GanttPane, offset=(30, 2), times=2)
        assert told_by(app, StepChosen)[-1] == "write#1"
        assert told_by(app, StepOpened) == ["write#1"]


async def test_zooming_shows_less_time_and_panning_moves_in_it(story: Story) -> None:
    """+ halves what is seen, h and l move it within the run, 0 shows all again."""
    async with shown(a_run(story)) as (pilot, pane, _):
        whole = lines(pane)
        await pilot.press("plus", "plus")
        assert "╷0" not in lines(pane)[0]
        middle = lines(pane)
        await pilot.press("h", "h", "h", "h", "h", "h")
        assert "╷0.0 s" in lines(pane)[0]
        await pilot.press("l")
        assert lines(pane) != middle
        await pilot.press("0")
        assert lines(pane) == whole
        await pilot.press("plus", "minus")
        assert lines(pane) == whole


async def test_a_live_run_is_followed_until_it_is_moved(story: Story) -> None:
    """Zoomed in, the present stays at the right edge; after moving back it holds still; a full stop follows again."""
    story.add("a#1", kind="tool").start("a#1", at=0.0)
    async with shown(story, now=100.0, live=True) as (pilot, pane, app):
        await pilot.press("plus", "plus", "plus")
        before = lines(pane)[0]
        app.watched.state = RunState(RunId("run-1"), "report", "running", 0.0, 130.0, True)
        pane.show(app.watched)
        followed = lines(pane)[0]
        assert followed != before
        await pilot.press("h")
        held = lines(pane)[0]
        app.watched.state = RunState(RunId("run-1"), "report", "running", 0.0, 160.0, True)
        pane.show(app.watched)
        assert lines(pane)[0] == held
        await pilot.press("full_stop")
        assert "2:3" in lines(pane)[0]


async def test_rows_can_be_ordered_by_caller(story: Story) -> None:
    """o puts steps below the one that called them, and back."""
    story.add("a#1", kind="agent").add("b#1").add("a#1/turn#1", parent="a#1")
    story.start("b#1", at=0.0).start("a#1", at=1.0).start("a#1/turn#1", at=2.0)

    def names(pane: GanttPane) -> list[str]:
        return [line[1:].split()[1] for line in lines(pane)[1:4]]

    async with shown(story) as (pilot, pane, _):
        assert names(pane) == ["b#1", "a#1", "turn#1"]
        await pilot.press("o")
        assert names(pane) == ["a#1", "turn#1", "b#1"]
        await pilot.press("o")
        assert names(pane) == ["b#1", "a#1", "turn#1"]


async def test_the_critical_path_can_be_marked(story: Story) -> None:
    """p marks the rows whose steps determined the end, with a sign that needs no colour; again, and they are not."""
    async with shown(a_run(story)) as (pilot, pane, _):
        await pilot.press("p")
        assert [line[1:].split()[1] for line in lines(pane)[1:4] if line.startswith("»")] == ["search#1", "write#1"]
        assert lines(pane)[-1].rstrip().endswith("»critical path")
        await pilot.press("p")
        assert "»" not in "".join(lines(pane))


async def test_many_steps_are_drawn_as_crowds_that_open(story: Story) -> None:
    """A hundred steps are one row, as high as they are many at once; enter shows them and hides them again."""
    for number in range(100):
        story.add(f"search#{number}", kind="tool").start(f"search#{number}", at=number / 20)
        story.end(f"search#{number}", at=number / 20 + 5)
    async with shown(story.finish(at=10.0)) as (pilot, pane, app):
        row = lines(pane)[1]
        assert "search x100" in row
        assert {"▂", "▅", "█"} <= set(row)
        await pilot.press("j", "enter")
        assert "search#0" in lines(pane)[2]
        await pilot.press("pagedown", "pagedown", "pagedown")
        assert any(line.startswith(("▸✓", "▸  ✓")) for line in lines(pane)[1:-2])
        await pilot.press("home", "enter")
        assert lines(pane)[2].strip() == ""
        assert told_by(app, StepOpened) == []


async def test_names_from_programs_do_not_reach_the_terminal_raw(story: Story) -> None:
    """A name with control characters and markup is text."""
    story.add("\x1b[31m[bold]evil#1", kind="tool").start("\x1b[31m[bold]evil#1")
    async with shown(story) as (pilot, pane, _):
        await pilot.press("j")
        assert "\x1b" not in "".join(lines(pane))
        assert "[bold]evil" in lines(pane)[1]


async def test_a_run_without_steps_says_so(story: Story) -> None:
    """Nothing is drawn before the first call; all keys are harmless."""
    async with shown(story, now=0.0) as (pilot, pane, _):
        assert "no step has been called yet" in lines(pane)[1]
        await pilot.press("j", "k", "enter", "plus", "minus", "h", "l", "0", "o", "full_stop", "home", "end", "pageup")
        assert "no step has been called yet" in lines(pane)[1]


async def test_a_run_of_ten_thousand_steps_costs_a_refresh_little(story: Story) -> None:
    """Rows stay as few as the names, and what is looked at again are the unfinished steps only."""
    for number in range(10_000):
        story.add(f"search#{number}", kind="tool").start(f"search#{number}", at=number / 100)
        if number < 9_990:
            story.end(f"search#{number}", at=number / 100 + 1)
    async with shown(story, now=101.0, live=True) as (_, pane, _):
        assert pane.virtual_size.height == 4
        assert pane.timeline is not None
        assert len(pane.timeline._open) == 10
