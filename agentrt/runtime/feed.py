"""Tells observers what happens in a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from agentrt.events import (
    Event,
    GraphChange,
    GraphEdited,
    Note,
    Observer,
    RunEnded,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    StepText,
    TurnSent,
)
from agentrt.graph.machine import Node
from agentrt.runtime.result import brief
from agentrt.types import ModelRequest, RunId, RunStatus, SessionId

_log = logging.getLogger("agentrt")


class Feed:
    """The events of one run, in order; nothing is built while nobody watches.

    An observer that raises is logged and dropped: it never breaks the run. ``root`` is the run itself, no step.
    """

    __slots__ = ("_hushed", "_now", "_observers", "_root", "_run", "aside", "forget")

    def __init__(self, run: RunId, root: Node, observers: Iterable[Observer], now: Callable[[], float]) -> None:
        self._run = run
        self._root = root
        self._observers = list(observers)
        self._now = now
        self._hushed = False
        self.forget: Callable[[Node], None] | None = None  # told last of each node that has ended
        self.aside: Callable[[Note], None] | None = None  # told of what only those want to know who watch

    def attach(self, observer: Observer) -> None:
        """Have one more observer, told of what happens from now on."""
        self._observers = [*self._observers, observer]

    def hush(self) -> None:
        """Tell of no further ends of steps: the run is put aside, and what becomes of its steps is not their end."""
        self._hushed = True

    def begun(self, program: str, args: tuple[Any, ...], kwargs: dict[str, Any], wall: float) -> None:
        """The run exists."""
        if self._observers:
            inputs = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
            self._emit(RunStarted(self._run, program, inputs, wall))

    def over(self, status: RunStatus, error: BaseException | None) -> None:
        """Nothing of the run is left running."""
        self._emit(RunEnded(self._run, self._now(), status, None if error is None else str(error)))

    def added(self, node: Node) -> None:
        """The graph has one more node."""
        if self._observers and node is not self._root:
            inputs, after = (tuple(before.id for before in edges) for edges in (node.inputs, node.after))
            above = node.parent.id if node.parent else None
            self._emit(StepAdded(self._run, node.added, node.id, node.name, node.kind, above, inputs, after))

    def started(self, node: Node) -> None:
        """An attempt begins."""
        if self._observers and node is not self._root:
            self._emit(StepStarted(self._run, self._now(), node.id, node.attempt))

    def text(self, node: Node, text: str) -> None:
        """A running step has a piece of text."""
        if node is not self._root:
            self.note(StepText(self._run, self._now(), node.id, text))

    def sent(self, node: Node, model: str, request: ModelRequest) -> None:
        """A step asks a model something."""
        if self._observers:
            session = None if request.session is None else SessionId(request.session)
            self._emit(TurnSent(self._run, self._now(), node.id, model, request.agent, session))

    def note(self, note: Note) -> None:
        """Something that only those want to know who watch."""
        if self.aside is not None:
            self.aside(note)
        self._emit(note)

    def retried(self, node: Node, error: BaseException, delay: float) -> None:
        """An attempt failed, another follows."""
        if self._observers and node is not self._root:
            self._emit(StepRetried(self._run, self._now(), node.id, node.attempt, brief(error), delay))

    def ended(self, node: Node) -> None:
        """The node reached its final status."""
        if self._observers and node is not self._root and not self._hushed:
            error = brief(node.error) if node.error else None
            at = self._now() if node.ended is None else node.ended
            self._emit(StepEnded(self._run, at, node.id, node.status, error, node.usage))
        if self.forget is not None and node is not self._root:
            self.forget(node)

    def edited(self, version: int, changes: tuple[GraphChange, ...]) -> None:
        """The graph was changed."""
        self._emit(GraphEdited(self._run, self._now(), version, changes))

    def _emit(self, event: Event) -> None:
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - whatever it is, it must not break the run
                _log.exception("run %s: observer %r failed and is told nothing further", self._run, observer)
                self._observers = [one for one in self._observers if one is not observer]
