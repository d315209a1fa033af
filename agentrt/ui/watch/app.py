"""The app: it opens what is to be watched, looks at it four times a second, and tells the screen that is shown."""

from __future__ import annotations

import asyncio
import select
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen

from agentrt.errors import AgentrtError, NoSuchRun, UsageError
from agentrt.types import RunId, StepId
from agentrt.ui.watch.messages import Notice, RunOpened, StepChosen, StepOpened
from agentrt.ui.watch.panes.edges import TABS, Head
from agentrt.ui.watch.screens.base import WatchScreen, headline
from agentrt.ui.watch.sources.base import RunSource
from agentrt.ui.watch.sources.journal import JournalRuns
from agentrt.ui.watch.sources.replayed import Replayed, Steering
from agentrt.ui.watch.themes import DARK, LIGHT, ThemedApp
from agentrt.ui.watch.watched import Watched

if TYPE_CHECKING:
    from agentrt.store.journal import Journal

LOOK_S: Final = 0.25
"""Seconds between two looks at a run that goes on."""

REST_S: Final = 2.0
"""Seconds between two looks at one that is over; it may be resumed."""

PAINT_S: Final = 0.2
"""Seconds between two pictures at least."""

SCREENS: Final[dict[str, str]] = {
    "runs": "runs:RunsScreen",
    "graph": "graph:GraphScreen",
    "kv": "kv:KvScreen",
    "log": "log:LogScreen",
    "questions": "questions:QuestionsScreen",
}
"""The first screen of each mode, imported when it is gone to."""

_CSS: Final = """
Screen { background: $background; color: $foreground; }
Pane { background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
       scrollbar-gutter: stable; }
Pane:focus { background-tint: $foreground 3%; }
"""


def screen_class(name: str) -> type[WatchScreen]:
    """The class of a screen by ``module:Class``."""
    module, _, cls = name.partition(":")
    found: type[WatchScreen] = getattr(import_module(f"agentrt.ui.watch.screens.{module}"), cls)
    return found


def hung_up() -> bool:
    """Whether the terminal, or the browser's server, is gone, and has not said so by a signal."""
    if sys.__stdin__ is None or sys.__stdin__.closed:
        return True
    poll = select.poll()
    poll.register(sys.__stdin__.fileno(), 0)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))


class WatchApp(ThemedApp):
    """Watches the runs of ``journal``, beginning with ``run``, or with their list.

    ``source`` is watched instead of a run of the journal, as a recording that is told again. ``readonly``: nothing
    can be done to a run. ``leaving`` is asked before the app ends, and says whether it may. ``wall`` is the time of
    day in seconds since the epoch, ``clock`` any that goes on.
    """

    TITLE = "agentrt"
    CSS = f"{ThemedApp.CSS}\n{_CSS}"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"go('{mode}')", name, show=False) for number, (mode, name) in enumerate(TABS, start=1)),
        Binding("question_mark,f1", "help", "help"),
        Binding("t", "light", "light/dark", show=False),
        Binding("q", "leave", "quit"),
        Binding("ctrl+q", "leave", "quit", show=False, priority=True),
        Binding("ctrl+c", "leave", "quit", show=False),  # a field copies, as the terminal's own selection does
        Binding("space", "replay('pause')", "pause", show=False),
        Binding("greater_than_sign", "replay('faster')", "faster", show=False),
        Binding("less_than_sign", "replay('slower')", "slower", show=False),
        Binding("left_square_bracket", "replay('back')", "5% back", show=False),
        Binding("right_square_bracket", "replay('on')", "5% on", show=False),
    ]

    def __init__(
        self,
        journal: Journal | None,
        run: str | None = None,
        *,
        source: RunSource | None = None,
        readonly: bool = False,
        theme: str = DARK,
        replay: float | None = None,
        leaving: Callable[[WatchApp], Awaitable[bool]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(theme)
        self.journal = journal
        self.runs = None if journal is None else JournalRuns(journal, wall)
        self.readonly = readonly
        self.watched: Watched | None = None
        self.trouble = ""
        self.failure: AgentrtError | None = None
        """Why the app ended before there was anything to see."""
        self.status = ""
        """What goes on before the run begins, as the start of an engine."""
        self._wanted = run
        self._source = source
        self._replay = replay
        self._leaving = leaving
        self._clock = clock
        self.wall = wall
        self._painted = -PAINT_S
        self._made = False
        self._wake = asyncio.Event()

    # -- beginning and end -------------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """Show the first screen; everything else comes to it."""
        for mode, name in SCREENS.items():
            self.add_mode(mode, _Maker(name))
        await self.switch_mode("runs" if self._wanted is None and self._source is None else "graph")
        self.run_worker(self._follow(), name="follow")

    async def _follow(self) -> None:
        """Look at what is watched, as long as the app runs."""
        while True:
            more = False
            try:
                if self.watched is None and (self._source is not None or self._wanted is not None):
                    await self._open()
                if self.watched is not None:
                    more = await self.watched.look()
                self.trouble = ""
            except AgentrtError as error:
                if self.watched is None and self.current_mode != "runs" and isinstance(error, (NoSuchRun, UsageError)):
                    self.failure = error  # there is nothing to look at
                    self.exit(0)
                    return
                self.trouble = str(error)
            self.paint(soon=more)
            if not self.is_headless and hung_up():
                self.exit(0)  # nobody sees it, and drawing for nobody is work all the same
                return
            if self.watched is not None and not more:
                self._make_ready()
            live = self.watched is None or self.watched.live
            await self._rest(0.0 if more else LOOK_S if live else REST_S)

    def _make_ready(self) -> None:
        """Have what is gone to first be there already."""
        if not self._made:
            self._made = True
            self.run_worker(self._make_all(), name="ready")

    async def _make_all(self) -> None:
        for mode, name in SCREENS.items():
            if mode == "runs" and self.runs is None:
                continue
            await asyncio.to_thread(screen_class, name)
            await self._init_mode(mode)  # Textual does it when a mode is gone to, which takes up to 0.2 s
        for name in ("help:HelpScreen", "step:StepScreen", "confirm:ConfirmScreen"):
            await asyncio.to_thread(screen_class, name)

    async def _rest(self, seconds: float) -> None:
        if not seconds:
            await asyncio.sleep(0)
            return
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def _open(self) -> None:
        source = self._source
        if source is None:
            assert self.runs is not None, "there is a journal, or a source"
            assert self._wanted is not None, "there is a run, or a source"
            source = await self.runs.find(self._wanted)
        if self._replay is not None and not isinstance(source, Replayed):
            source = Replayed(source, self._clock, self._replay)
        self.watched = Watched(source, await source.look(), self.wall)

    def paint(self, *, soon: bool = False) -> None:
        """Have the shown screen take over what has changed; with ``soon``, only if the last picture is old enough."""
        now = self._clock()
        if soon and now - self._painted < PAINT_S:
            return
        screen = self.shown
        if isinstance(screen, WatchScreen) and screen.is_mounted:
            self._painted = now
            try:
                screen.refresh_all()
            except NoMatches:
                if screen.query(Head) and not self._exit:  # else it is being made, or taken down
                    raise

    # -- for screens -------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> Screen[Any] | None:
        """The screen that is shown; none once the app is being left."""
        stack = self.screen_stack
        return stack[-1] if stack else None

    @property
    def replayed(self) -> Replayed | None:
        """The replay that is watched, if it is one."""
        source = None if self.watched is None else self.watched.source
        return source if isinstance(source, Replayed) else None

    @property
    def mark(self) -> str:
        """What has to be said beside the tabs."""
        told = [] if self.replayed is None else [self.replayed.told]
        if self.readonly:
            told.append("read-only")
        return "  ".join(told)

    def headline(self, width: int) -> Text:
        """The first line of every screen."""
        if self.trouble:
            return Text(f"! {self.trouble}", self.look("failed"), no_wrap=True, overflow="ellipsis")
        if self.watched is not None:
            return headline(self, self.watched, width)
        return Text(self.status or ("agentrt" if self._wanted is None else "looking for the run ..."))

    async def open_run(self, run: RunId) -> None:
        """Watch another run of the journal."""
        self._wanted, self._source, self.watched = str(run), None, None
        self._wake.set()
        await self.action_go("graph")

    def look_now(self) -> None:
        """Something was done to the run: see at once what came of it."""
        self._wake.set()

    def notice(self, text: str, severity: Any = "information") -> None:
        """Tell the person something, for some seconds."""
        self.notify(text, severity=severity, markup=False)

    async def go_back(self) -> None:
        """Leave the screen: for the one below it, or the list of runs."""
        if len(self.screen_stack) > 1:
            await self.pop_screen()
            self.paint()
        elif self.current_mode != "runs" and self.runs is not None:
            await self.action_go("runs")

    # -- messages ----------------------------------------------------------------------------------------------------

    def on_step_chosen(self, message: StepChosen) -> None:
        """Mark a step everywhere."""
        if self.watched is not None and self.watched.selected != message.step:
            self.watched.selected = message.step
            self.watched.version += 1
            self.paint()

    async def on_step_opened(self, message: StepOpened) -> None:
        """Show everything about a step."""
        await self.open_step(message.step)

    async def open_step(self, step: StepId) -> None:
        """Show everything about a step."""
        from agentrt.ui.watch.screens.step import StepScreen

        if self.watched is not None:
            self.watched.selected = step
            await self.push_screen(StepScreen(step))

    async def on_run_opened(self, message: RunOpened) -> None:
        """Watch another run."""
        await self.open_run(message.run)

    def on_notice(self, message: Notice) -> None:
        """Tell the person something."""
        self.notice(message.text, message.severity)

    # -- actions -----------------------------------------------------------------------------------------------------

    async def action_go(self, mode: str) -> None:
        """Show another tab."""
        if mode == "runs" and self.runs is None:
            return
        with self.batch_update():
            await self.switch_mode(mode)
            self.paint()

    def delay_update(self, delay: float = 0.0) -> None:
        """Hold no picture back: Textual waits 50 ms with every change of modes, so that nobody sees a screen being
        made; ``action_go`` waits until it is made."""

    async def action_help(self) -> None:
        """Show the keys."""
        from agentrt.ui.watch.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            await self.push_screen(HelpScreen(self.screen))

    def action_light(self) -> None:
        """Change between light and dark."""
        self.theme = DARK if self.theme == LIGHT else LIGHT
        self.paint()

    async def action_leave(self) -> None:
        """End the app, if that is all right."""
        if self._leaving is None:
            self.exit(0)
        else:
            self.run_worker(self._leave(self._leaving), name="leave", exclusive=True, group="leave")

    async def _leave(self, leaving: Callable[[WatchApp], Awaitable[bool]]) -> None:
        if await leaving(self):
            self.exit(0)

    def action_replay(self, what: Steering) -> None:
        """Steer a replay."""
        if self.replayed is not None:
            self.replayed.steer(what)
            self._wake.set()


class _Maker:
    """Makes the first screen of a mode when it is gone to."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self) -> Screen[Any]:
        return screen_class(self._name)()
