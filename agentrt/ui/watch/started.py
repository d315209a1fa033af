"""The app on a run that was started for it, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import NoSuchRun
from agentrt.types import RunId
from agentrt.ui.watch.acting import ActingApp, settled
from agentrt.ui.watch.actions import Choice, Plan
from agentrt.ui.watch.app import WatchApp
from agentrt.ui.watch.background import Background
from agentrt.ui.watch.screens.confirm import ConfirmScreen
from agentrt.ui.watch.themes import theme_of
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import cut, one_line

if TYPE_CHECKING:
    from agentrt.store.journal import Journal

_KEEP: Final = "keep"
_CANCEL: Final = "cancel"
_STATUS: Final = 2_000
"""Bytes at the end of what the run's process said that are looked at for its status."""


class StartedApp(ActingApp):
    """Shows how the start of ``run`` goes on, then the run; ends by itself if it fails before the run begins."""

    def __init__(self, journal: Journal, started: RunId, *, program: str, child: Background, **more: Any) -> None:
        super().__init__(journal, started, **more)
        self.status = f"starting {program} ..."
        self._started = started
        self._child = child

    async def on_mount(self) -> None:
        """Mind the process, beside what the app does."""
        self.run_worker(self._mind(), name="mind")

    async def _open(self) -> None:
        try:
            await super()._open()
        except NoSuchRun:
            if self._wanted != self._started:
                raise
            said = self._child.tail(_STATUS).strip().rpartition("\n")[2]
            self.status = f"starting: {cut(one_line(said), 200)}" if said else self.status

    async def _mind(self) -> None:
        await self._child.ended()
        try:
            assert self.runs is not None, "it has a journal"
            await self.runs.find(self._started)
        except NoSuchRun:  # its own error says why
            self.exit(0)
        self.look_now()


def watch_started(
    journal: str,
    run: RunId,
    program: str,
    child: Background,
    *,
    words: Sequence[str] = (),
    cancel: Callable[[], object],
) -> bool:
    """Watch the run that ``child`` is starting until the person leaves; whether it shall go on then.

    ``cancel`` ends it; ``words`` are those with which it would be resumed. Raises ``JournalError``, and
    ``RuntimeError`` when the app failed; the run does not notice.
    """
    return asyncio.run(_watch(journal, run, program, child, words, Leaving(run, child, cancel)))


async def _watch(
    named: str, run: RunId, program: str, child: Background, words: Sequence[str], leaving: Leaving
) -> bool:
    from agentrt.store.journal import Journal

    async with Journal(named) as journal:
        app = StartedApp(
            journal,
            run,
            program=program,
            child=child,
            named=named,
            words=words,
            theme=theme_of(None),
            leaving=leaving,
        )
        await app.run_async()
        await settled()
    if app.return_code:
        raise RuntimeError("the terminal UI failed")
    return leaving.kept


class Leaving:
    """Asks what is to become of a run that still goes on when the app is left; ``kept`` is the answer."""

    def __init__(self, run: RunId, child: Background, cancel: Callable[[], object]) -> None:
        self.kept = False
        self._run = run
        self._child = child
        self._cancel = cancel

    async def __call__(self, app: WatchApp) -> bool:
        """Whether the app may end now."""
        if self._child.code is not None or (app.watched is not None and _is_over(app.watched, self._run)):
            return True
        asked = Plan(
            "The run goes on. What shall become of it?",
            "Kept, it goes on in the background, where it can be watched again. Cancelled, it ends now; what it did "
            "stays, and it can be resumed.",
            (Choice("k", _KEEP, "Keep it running"), Choice("c", _CANCEL, "Cancel it")),
        )
        chosen = await app.push_screen_wait(ConfirmScreen(asked, nothing="Stay here"))
        self.kept = chosen == _KEEP
        if chosen == _CANCEL:
            self._cancel()
        return chosen in (_KEEP, _CANCEL)


def _is_over(watched: Watched, run: RunId) -> bool:
    """Whether it is seen that the run has ended, though its process is still tidying up."""
    return watched.state.id == run and watched.view.ended
