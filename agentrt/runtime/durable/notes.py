"""What only those want to know who watch, on its way into the journal: little of it, and never in anybody's way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agentrt.events import HintsSent, KvSampled, Note, StepText, TurnMoved
from agentrt.store.rows import PROGRAM, NoteKind, NoteRow
from agentrt.store.writer import Writer
from agentrt.types import RunId, StepId

if TYPE_CHECKING:
    from agentrt.graph.machine import Node
    from agentrt.runtime.driver import Driver

TOGETHER_S: Final = 0.25
"""Seconds for which pieces of streamed text are gathered: a row for each token would be all that is written."""

LOOK_S: Final = 0.5
"""Seconds between two looks at which plain steps run: the entries tell of that with their ends only."""


class Notes:
    """One for each run with a journal: takes notes as they come, and looks which plain steps run."""

    def __init__(self, writer: Writer, run: RunId, driver: Driver, now: Callable[[], float]) -> None:
        self._writer = writer
        self._run = run
        self._driver = driver
        self._now = now
        self._texts: dict[StepId, list[str]] = {}
        self._told: set[Node] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = driver.loop.call_later(LOOK_S, self._look)

    def __call__(self, note: Note) -> None:
        """Take one note."""
        match note:
            case StepText():
                self._text(note)
            case TurnMoved():
                self._said(note.step, self._texts.pop(note.step, []))  # before the text of the next attempt
                self._write(note.at, "phase", note.step, note.phase)
            case HintsSent():
                self._write(note.at, "hints", PROGRAM, {"model": note.model, "hints": list(note.hints)})
            case KvSampled():
                self._write(note.at, "kv", PROGRAM, {"model": note.model, "state": dict(note.state)})

    def close(self) -> None:
        """The run has ended: write what is left, and nothing further."""
        self._flush()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _text(self, note: StepText) -> None:
        self._texts.setdefault(note.step, []).append(note.text)
        if self._flushing is None:
            self._flushing = self._driver.loop.call_later(TOGETHER_S, self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        texts, self._texts = self._texts, {}
        for step, pieces in texts.items():
            self._said(step, pieces)

    def _said(self, step: StepId, pieces: list[str]) -> None:
        if pieces:
            self._write(self._now(), "text", step, "".join(pieces))

    def _look(self) -> None:
        """Tell which plain steps run, each once; what else runs has said so itself."""
        tasks = self._driver.tasks
        running = {handle.node for handle in tasks if handle.parent is not None and handle.node.kind == "python"}
        self._told &= running
        new = sorted((node.started, node.id, node.attempt) for node in running - self._told if node.started is not None)
        self._told |= running
        if new:
            self._write(self._now(), "runs", PROGRAM, new)
        self._looking = self._driver.loop.call_later(LOOK_S, self._look)

    def _write(self, at: float, kind: NoteKind, step: StepId, data: object) -> None:
        told = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self._writer.note(NoteRow(self._run, at, kind, step, told))
