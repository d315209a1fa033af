"""The app with what can be done to runs: each thing has its key, and is asked about before it is done."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from textual.binding import Binding, BindingType

from agentrt.errors import UsageError
from agentrt.types import RunId, StepId
from agentrt.ui.watch.actions import READ_ONLY, ActionName, Actions, Counts, Told, in_words, plan, resumed
from agentrt.ui.watch.app import WatchApp
from agentrt.ui.watch.background import begin, log_of
from agentrt.ui.watch.screens.confirm import NOTHING, ConfirmScreen
from agentrt.ui.watch.sources.base import RunState

if TYPE_CHECKING:
    from agentrt.store.journal import Journal


_PATIENCE_S: Final = 2.0


class Target(NamedTuple):
    """What something is done to: a run as it stands, and a step of it, if one is chosen."""

    state: RunState
    counts: Counts
    step: StepId | None


class ActingApp(WatchApp):
    """``named`` is how the user named the journal; ``words`` are told to every process that goes on with a run.

    ``recording`` is the file that is watched in place of a journal's run.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer", "answer", show=False),
        Binding("c", "act('cancel')", "cancel the run", show=False),
        Binding("r", "act('resume')", "resume the run: what failed or was broken off runs again", show=False),
        Binding("f", "act('fork')", "fork the run at the chosen step", show=False),
        Binding("x", "export", "write the run as a page", show=False),
    ]

    def __init__(
        self,
        journal: Journal | None,
        run: str | None = None,
        *,
        named: str = "",
        words: Sequence[str] = (),
        recording: str = "",
        **more: Any,
    ) -> None:
        super().__init__(journal, run, **more)
        self.actions: Actions | None = None
        self._named = named
        self._recording = recording
        if journal is not None:
            readonly = READ_ONLY if self.readonly else ""
            self.actions = Actions(journal, named or str(journal), readonly=readonly, words=words, by=_me())

    async def action_answer(self) -> None:
        """Go to what is asked; of the list, to what its chosen run asks."""
        if self.current_mode == "runs" and (target := self._target()) is not None:
            await self.open_run(target.state.id)
        await self.action_go("questions")

    def action_act(self, action: ActionName) -> None:
        """Ask whether to do it, and do it."""
        self.run_worker(self._act(action), name=action, group="act", exclusive=False)

    async def _act(self, action: ActionName) -> None:
        try:
            target = self._target()
            if target is None:
                raise UsageError("choose a run first")
            if self.actions is None:
                raise UsageError("this is a recording: nothing can be done to it")
            if self.actions.readonly:
                raise UsageError(self.actions.readonly)
            asked = plan(action, target.state, target.counts, target.step)
        except UsageError as error:
            self.notice(str(error), "warning")
            return
        chosen = await self.push_screen_wait(ConfirmScreen(asked))
        if chosen != NOTHING:
            await self._carry_out(self.actions, chosen, target)

    def action_export(self) -> None:
        """Write the run as a page into the current folder, in a process of its own: that takes seconds."""
        self.run_worker(self._export(), name="export", group="act", exclusive=False)

    async def _export(self) -> None:
        target = self._target()
        if target is None:
            self.notice("choose a run first", "warning")
            return
        file = Path.cwd() / f"{target.state.id}.html"
        words = ["export", self._recording or target.state.id, "--output", str(file), "--force"]
        try:
            background = begin(words, journal=self._named, log=log_of(target.state.id))
        except OSError as error:
            self._tell(Told(in_words(error), "error"))
            return
        if await background.ended() == 0:
            self._tell(Told(f"wrote {file}"))
        else:
            self._tell(Told(background.complaint() or f"{file} could not be written", "error"))

    def _target(self) -> Target | None:
        """The run under the cursor of the list; elsewhere the one that is watched."""
        from agentrt.ui.watch.panes.runs import RunsPane

        if self.current_mode != "runs":
            watched = self.watched
            return None if watched is None else Target(watched.state, Counts.of(watched.view), watched.selected)
        for pane in self.screen.query(RunsPane):
            if pane.cursor < len(pane.shown):
                run = pane.shown[pane.cursor]
                return Target(run.state, Counts(None, run.finished - run.failed, run.failed), None)
        return None

    async def _carry_out(self, actions: Actions, what: str, target: Target) -> None:
        """Do it, and tell what came of it."""
        run = target.state.id
        try:
            if what == "cancel":
                self._tell(await actions.cancel(run, self.notice))
            elif what == "resume":
                await self._resume(actions, run)
            else:
                new = await actions.fork(run, target.step)
                self._tell(Told(f"run {new} is a fork of {run}"))
                if what == "fork and run":
                    await self._resume(actions, new)
        except Exception as error:  # noqa: BLE001 - told to the person; the screens go on
            self._tell(Told(in_words(error), "error"))

    async def _resume(self, actions: Actions, run: RunId) -> None:
        background = actions.resume(run)
        self._tell(Told(f"run {run} goes on, in process {background.process.pid}"))
        self._tell(await resumed(background, run))

    def _tell(self, told: Told) -> None:
        self.notice(told.text, told.severity)
        self.look_now()


async def settled() -> None:
    """Wait for what read the journal when an app ended: cut off for good, it would leave a connection open."""
    from agentrt.store.journal import BEATING

    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and task.get_name() != BEATING]
    if left:
        await asyncio.wait(left, timeout=_PATIENCE_S)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""
