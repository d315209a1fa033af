"""The screens on a stage: the app on recordings, at a moment that stands still, in a terminal of a fixed size.

Tests of what screens look like and ``scripts/pictures.py`` see the same scenes. Nothing of the day, the machine or its
speed gets in: clocks stand, the time zone is UTC, and a scene is ready when nothing of the app is at work any more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from textual.pilot import Pilot
from textual.worker import WorkerState

from agentrt.store.journal import Journal
from agentrt.store.recordings import load
from agentrt.types import StepId
from agentrt.ui.watch.acting import ActingApp
from agentrt.ui.watch.app import WatchApp
from agentrt.ui.watch.sources.journal import JournalRun
from agentrt.ui.watch.sources.replayed import Replayed
from agentrt.ui.watch.themes import DARK, LIGHT

RECORDINGS: Final = Path(__file__).parent / "recordings"
THEMES: Final = {"dark": DARK, "light": LIGHT}
SIZES: Final = {"80x24": (80, 24), "160x50": (160, 50)}
PRESENT: Final = 1_795_180_000.0
"""The time of day on the stage, some hours after the runs."""
NAMED: Final = "journal.db"
"""What the journal is called on the screens."""

_PATIENCE: Final = 60.0
_STILL: Final = 3
"""Looks at the screen in a row that have to be the same."""

_ENDLESS: Final = frozenset({"follow", "runs", "cancel"})
"""Workers that look again and again, or wait for the person."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown: a ``recording`` at a moment, in seconds since it began, or at its end; then ``keys`` are pressed.

    ``step`` is opened, if it is not empty. Without a recording the list of all is shown.
    """

    name: str
    about: str
    recording: str = ""
    at: float | None = None
    step: str = ""
    keys: tuple[str, ...] = ()


SCENES: Final = (
    Scene("runs", "the runs of a journal"),
    Scene("graph", "a run while it goes on", "report", at=2.0),
    Scene("graph-done", "a run that is over", "report"),
    Scene("graph-failed", "a run that failed", "mishaps"),
    Scene("graph-folded", "a run of 270 steps while it goes on", "survey", at=1.6),
    Scene("step", "a model turn while its text comes", "report", at=2.4, step="writer#2"),
    Scene("step-prompt", "what the model was sent", "report", step="writer#2", keys=("tab",)),
    Scene("step-failed", "a step that failed", "mishaps", step="count#1"),
    Scene("kv", "the KV cache while a run goes on", "report", at=2.6, keys=("3",)),
    Scene("kv-done", "the KV cache of a run that is over", "report", keys=("3",)),
    Scene("log", "what a journal holds of a run", "mishaps", keys=("4",)),
    Scene("questions", "what people are asked", "approve", keys=("5",)),
    Scene("help", "the keys and signs of a screen", "report", keys=("question_mark",)),
    Scene("confirm", "what cancelling would do", "approve", keys=("c",)),
)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown(NamedTuple):
    """The app on the stage, and who presses its keys."""

    app: WatchApp
    pilot: Pilot[Any]


async def journal_of_all(file: Path) -> Path:
    """A journal with all recordings in it."""
    for recording in sorted(RECORDINGS.glob("*.jsonl")):
        await load(recording, file)
    return file


@contextmanager
def utc() -> Iterator[None]:
    """Times of day are those of UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@asynccontextmanager
async def staged(file: Path, scene: Scene, theme: str, size: tuple[int, int]) -> AsyncIterator[Shown]:
    """A scene, ready to be looked at; ``file`` is the journal with all recordings, ``theme`` one of ``THEMES``."""
    clock = Clock()
    async with Journal(file) as journal:
        app = await _app(journal, scene, THEMES[theme], clock)
        app.animation_level = "none"
        with utc():
            async with app.run_test(size=size) as pilot:
                await _at_its_moment(Shown(app, pilot), scene, clock)
                yield Shown(app, pilot)
                app.workers.cancel_all()  # nobody looks any more


async def _app(journal: Journal, scene: Scene, theme: str, clock: Clock) -> WatchApp:
    if not scene.recording:
        return ActingApp(journal, named=NAMED, theme=theme, clock=clock, wall=lambda: PRESENT)
    async with journal.connect() as connection:
        from agentrt.store import archive

        runs = {row.program: row.id for row in await archive.list_runs(connection, limit=100)}
    run = runs[_PROGRAMS.get(scene.recording, scene.recording)]
    source = None if scene.at is None else Replayed(JournalRun(journal, run), clock)
    return ActingApp(journal, run, named=NAMED, source=source, theme=theme, clock=clock, wall=lambda: PRESENT)


_PROGRAMS: Final = {"approve": "article", "tools": "weather"}
"""Programs that are called otherwise than their recordings."""


async def _at_its_moment(shown: Shown, scene: Scene, clock: Clock) -> None:
    """Go there as a person would."""
    app, pilot = shown
    if scene.recording:
        while app.watched is None:
            await asyncio.sleep(0.005)
        clock.now = 1.0 if scene.at is None else scene.at
        app.look_now()
    await settled(shown)
    if scene.step:
        await app.open_step(StepId(scene.step))
        await settled(shown)
    for key in scene.keys:
        await pilot.press(key)
        await settled(shown)


async def settled(shown: Shown) -> None:
    """Wait until nothing is at work but what looks again and again, and the screen stays as it is when it is painted
    again, as the app does every quarter of a second."""
    app, pilot = shown
    deadline = time.monotonic() + _PATIENCE
    before: object = None
    same = 0
    while same < _STILL:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the screen did not come to rest in {_PATIENCE:g} s")
        app.paint()
        await pilot.pause()
        now = None if _busy(app) else [tuple(strip) for strip in strips(app)]
        same = same + 1 if now is not None and now == before else 0
        before = now


def _busy(app: WatchApp) -> bool:
    going = any(one.state is WorkerState.RUNNING and one.name not in _ENDLESS for one in app.workers)
    replay = app.replayed
    behind = replay is not None and app.watched is not None and app.watched.now != replay._clock()
    waits = app.watched is None and (app._wanted is not None or app._source is not None)
    return going or behind or waits or _unread(app)


def _unread(app: WatchApp) -> bool:
    """Whether a part of the app has a message that it has not read, or something to draw."""
    screen = app.screen
    pumps = (app, screen, *screen.walk_children())
    return any(pump.message_queue_size or pump._next_callbacks for pump in pumps) or screen._layout_required


async def dressed(shown: Shown, theme: str) -> None:
    """The same in another theme."""
    shown.app.theme = THEMES[theme]
    shown.app.paint()
    await settled(shown)


def strips(app: WatchApp) -> list[Any]:
    """The lines on the screen, with their styles."""
    return app.screen._compositor.render_strips(app.size)
