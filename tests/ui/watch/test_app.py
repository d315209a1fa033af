"""The keys that every screen has, and how the app goes from one thing to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual.command import CommandPalette
from textual.widgets import Input, Static

from agentrt.errors import JournalError, NoSuchRun
from agentrt.store.journal import Journal
from agentrt.types import StepId
from agentrt.ui.watch.app import SCREENS, WatchApp, screen_class
from agentrt.ui.watch.panes.edges import TABS, Head
from agentrt.ui.watch.panes.gantt import GanttPane
from agentrt.ui.watch.panes.graph import GraphPane
from agentrt.ui.watch.panes.runs import RunsPane
from agentrt.ui.watch.screens.help import HelpScreen
from agentrt.ui.watch.screens.step import StepScreen
from agentrt.ui.watch.themes import DARK, LIGHT
from tests.ui.watch.stage import Scene, settled, staged, strips

LIVE = Scene("live", "a run while it goes on", "report", at=2.0)
DONE = Scene("done", "a run that is over", "report")
LIST = Scene("list", "the runs of a journal")
SIZE = (100, 30)


def text_of(app: WatchApp) -> str:
    """What stands on the screen."""
    return "\n".join(strip.text.rstrip() for strip in strips(app))


def marked_tab(app: WatchApp) -> str:
    """The name of the tab that is marked, by how it looks."""
    tabs = app.screen.query_one(Head).lines[1]
    (found,) = [span for span in tabs.spans if isinstance(span.style, Style) and span.style.bold]
    return tabs.plain[found.start : found.end]


@pytest.mark.parametrize(("key", "mode"), list(zip("12345", SCREENS, strict=True)))
async def test_a_number_goes_to_its_tab(all_runs: Path, key: str, mode: str) -> None:
    """From anywhere; the tab is marked, and esc leads back to the list."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        await shown.pilot.press(key)
        await settled(shown)
        assert isinstance(shown.app.screen, screen_class(SCREENS[mode]))
        assert marked_tab(shown.app).split()[:2] == [key, dict(TABS)[mode]]
        await shown.pilot.press("escape")
        await settled(shown)
        assert shown.app.current_mode == "runs"


async def test_a_click_on_a_tab_goes_there(all_runs: Path) -> None:
    """The mouse does what the numbers do."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        column = shown.app.screen.query_one(Head).lines[1].plain.index("4 Log")
        await shown.pilot.click(Head, offset=(column, 1))
        await settled(shown)
        assert shown.app.current_mode == "log"


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_lists_the_keys_of_the_screen(all_runs: Path, key: str) -> None:
    """Every key that does something here stands there once, in words; any of its own keys leaves it."""
    async with staged(all_runs, DONE, "dark", (120, 90)) as shown:
        await shown.pilot.press(key)
        await settled(shown)
        assert isinstance(shown.app.screen, HelpScreen)
        said = text_of(shown.app)
        for words in ("critical path", "graph/gantt", "light/dark", "quit", "✓ done", "◆ llm"):
            assert words in said, words
        await shown.pilot.press(key)
        await settled(shown)
        assert shown.app.current_mode == "graph"
        assert not isinstance(shown.app.screen, HelpScreen)


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_the_app_can_be_left(all_runs: Path, key: str) -> None:
    """Both keys end it."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        await shown.pilot.press(key)
        await shown.pilot.pause()
        assert not shown.app.is_running or shown.app._exit


async def test_t_changes_between_light_and_dark(all_runs: Path) -> None:
    """The colours change, the words do not."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        before, styles = text_of(shown.app), [tuple(one) for one in strips(shown.app)]
        await shown.pilot.press("t")
        await settled(shown)
        assert (shown.app.theme, text_of(shown.app)) == (LIGHT, before)
        assert [tuple(one) for one in strips(shown.app)] != styles
        await shown.pilot.press("t")
        assert shown.app.theme == DARK


async def test_the_palette_knows_commands_by_name(all_runs: Path) -> None:
    """ctrl+p opens it, esc closes it."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        await shown.pilot.press("ctrl+p")
        await shown.pilot.pause()
        assert isinstance(shown.app.screen, CommandPalette)
        await shown.pilot.press("escape")
        await shown.pilot.pause()
        assert not isinstance(shown.app.screen, CommandPalette)


async def test_g_shows_both_or_one(all_runs: Path) -> None:
    """Graph and Gantt, the graph, the Gantt, both again; the keys go to what is shown."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        screen = shown.app.screen
        graph, gantt = screen.query_one(GraphPane), screen.query_one(GanttPane)
        seen = []
        for _ in range(4):
            seen.append((graph.display, gantt.display, screen.focused is gantt))
            await shown.pilot.press("g")
            await settled(shown)
        assert seen == [(True, True, False), (True, False, False), (False, True, True), (True, True, False)]


async def test_tab_goes_from_pane_to_pane(all_runs: Path) -> None:
    """From the graph to the Gantt and back."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        screen = shown.app.screen
        assert isinstance(screen.focused, GraphPane)
        await shown.pilot.press("tab")
        assert isinstance(screen.focused, GanttPane)
        await shown.pilot.press("shift+tab")
        assert isinstance(screen.focused, GraphPane)


async def test_enter_on_a_step_shows_it_and_esc_leads_back(all_runs: Path) -> None:
    """What is chosen in the graph is what is opened, and is marked in the Gantt."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        await shown.pilot.press("l", "j")
        await settled(shown)
        chosen = shown.app.watched.selected if shown.app.watched else None
        assert chosen is not None
        await shown.pilot.press("enter")
        await settled(shown)
        assert isinstance(shown.app.screen, StepScreen)
        assert str(chosen) in text_of(shown.app)
        await shown.pilot.press("escape")
        await settled(shown)
        assert shown.app.current_mode == "graph"
        assert len(shown.app.screen_stack) == 1


async def test_the_list_is_filtered_and_opens_a_run(all_runs: Path) -> None:
    """`/` narrows it as one types, esc gives it back whole, enter watches the run under the cursor."""
    async with staged(all_runs, LIST, "dark", SIZE) as shown:
        pane = shown.app.screen.query_one(RunsPane)
        every = len(pane.shown)
        await shown.pilot.press("slash", *"survey")
        await settled(shown)
        assert [run.state.program for run in pane.shown] == ["survey"]
        await shown.pilot.press("escape")
        await settled(shown)
        assert (len(pane.shown), shown.app.screen.query_one("#find", Input).value) == (every, "")
        await shown.pilot.press("slash", *"failed mishaps", "enter")
        await settled(shown)
        assert [run.state.status for run in pane.shown] == ["failed"]
        await shown.pilot.press("enter")
        await until(lambda: shown.app.watched is not None)
        await settled(shown)
        assert shown.app.watched is not None
        assert (shown.app.watched.view.program, shown.app.current_mode) == ("mishaps", "graph")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def test_a_replay_is_steered(all_runs: Path) -> None:
    """Pause, speed and jumps change what is shown, and are told beside the tabs; back is really back."""
    async with staged(all_runs, LIVE, "dark", SIZE) as shown:
        app = shown.app
        replay, watched = app.replayed, app.watched
        assert replay is not None
        assert watched is not None
        clock: Any = replay._clock
        done = watched.view.finished
        await shown.pilot.press("greater_than_sign")
        assert (replay.speed, "replay 2x" in app.mark) == (2.0, True)
        await shown.pilot.press("less_than_sign", "less_than_sign")
        assert replay.speed == 0.5
        await shown.pilot.press("space")
        assert (replay.paused, app.mark.startswith("‖")) == (True, True)
        clock.now += 100
        await shown.pilot.press("right_square_bracket")
        await until(lambda: replay.now == pytest.approx(2.0 + replay.end / 20))
        for _ in range(20):
            await shown.pilot.press("left_square_bracket")
        await until(lambda: watched.view.finished < done)
        assert replay.now < 2.0
        await shown.pilot.press("space", "greater_than_sign", "greater_than_sign")
        clock.now += 1000
        app.look_now()
        await until(lambda: watched.view.ended)
        assert not watched.live


async def test_a_run_that_is_not_there_ends_the_app(all_runs: Path) -> None:
    """There is nothing to look at: what would be said on the command line is handed on."""
    async with Journal(all_runs) as journal:
        app = WatchApp(journal, "nothing")
        async with app.run_test(size=SIZE) as pilot:
            await until(lambda: app.failure is not None)
            await pilot.pause()
        assert isinstance(app.failure, NoSuchRun)


async def test_trouble_with_the_journal_is_told_and_passes(all_runs: Path) -> None:
    """While it cannot be read the head says why, what is known stays, and it goes on when it can."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        watched = shown.app.watched
        assert watched is not None
        source: Any = watched.source
        look = source.look

        async def broken() -> None:
            raise JournalError("the journal x.db cannot be used: disk I/O error")

        source.look = broken
        shown.app.look_now()
        await until(lambda: "disk I/O error" in text_of(shown.app))
        assert "writer#1" in text_of(shown.app)
        source.look = look
        shown.app.look_now()
        await until(lambda: "disk I/O error" not in text_of(shown.app))


async def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Names, inputs and errors with markup and control characters reach no terminal as such."""
    from agentrt import Runtime, program, step

    @step
    async def evil(text: str) -> str:
        raise ValueError(text)

    @program
    async def hostile(text: str) -> str:
        return await evil(text)

    said = "[bold red]x[/] \x1b[2J\x1b]0;owned\x07 \u202e [@click=app.quit]y[/]"
    async with Journal(tmp_path / "runs.db") as journal:
        async with Runtime(journal=journal) as runtime:
            await runtime.run(hostile, said)
        app = WatchApp(journal, "last")
        async with app.run_test(size=SIZE) as pilot:
            await until(lambda: app.watched is not None and app.watched.view.ended)
            for keys in ((), ("1",), ("3",), ("4",), ("5",)):
                await pilot.press(*keys)
                await pilot.pause(0.1)
                seen = text_of(app)
                assert not {"\x1b", "\x07", "\u202e"} & set(seen), keys
            await app.open_step(StepId("evil#1"))
            await pilot.pause(0.2)
            seen = text_of(app)
            assert "[bold red]x[/]" in seen
            assert not {"\x1b", "\x07", "\u202e"} & set(seen)
            app.workers.cancel_all()


@pytest.mark.parametrize("width", [40, 80, 160])
async def test_the_list_names_the_program_of_each_run_at_any_width(all_runs: Path, width: int) -> None:
    """What tells runs apart is not what falls off the edge of a narrow terminal."""
    async with staged(all_runs, LIST, "dark", (width, 24)) as shown:
        lines = text_of(shown.app).splitlines()
        column = next(line for line in lines if "PROGRAM" in line).index("PROGRAM")
        (survey,) = [line for line in lines if line[column:].startswith("survey")]
        assert "failed" in survey


async def test_a_look_after_the_screens_are_closed_draws_nothing(all_runs: Path) -> None:
    """The app may be left at any time, also while a long run is being read."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        app = shown.app
        shown.pilot.app.exit(0)
    assert app.shown is None
    app.paint()


async def test_the_first_answers_are_made_when_something_changed(all_runs: Path) -> None:
    """A run that is over is not reckoned up again whenever it is looked at; in other colours it is."""
    async with staged(all_runs, DONE, "dark", SIZE) as shown:
        glance = shown.app.screen.query_one("#glance", Static)
        told = glance.content
        await shown.pilot.press("3", "2")
        shown.app.paint()
        assert glance.content is told
        await shown.pilot.press("t")
        assert glance.content is not told
