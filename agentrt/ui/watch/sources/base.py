"""The contract of everything a run can be watched from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agentrt.events import Event
from agentrt.store.rows import StepStory
from agentrt.types import RunId, StepId


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands. ``status`` is a ``ShownStatus``; ``wall`` is when it began, in seconds since the epoch.

    ``now`` is the moment to show, in seconds since the run began; ``None`` for the present, by the time of day.
    ``live``: it goes on.
    """

    id: RunId
    program: str
    status: str
    wall: float
    now: float | None
    live: bool
    error: str | None = None
    origin: str | None = None
    target: str = ""


class Look(NamedTuple):
    """One look at a run: how it stands, and what has happened since the last one. ``more`` can be told at once."""

    state: RunState
    events: Sequence[Event] = ()
    more: bool = False


class LogLine(NamedTuple):
    """One line of the log: when (seconds since the run began), of which step (empty: of the run), what, in words."""

    seq: int
    at: float
    kind: str
    step: StepId
    text: str


class RunSource(Protocol):
    """One run to be watched. Everything may raise ``JournalError``, and can be tried again."""

    async def look(self) -> Look:
        """How the run stands, and what has happened since the last look: some thousand events at most."""
        ...

    async def story(self, step: StepId) -> StepStory:
        """What there is to know of a step."""
        ...

    async def count(self, find: str = "") -> int:
        """How many lines the log has, of those that hold ``find`` in any letter case."""
        ...

    async def lines(self, first: int, most: int, find: str = "") -> Sequence[LogLine]:
        """Lines of the log from the ``first``-th on, 0 is the oldest, of those that hold ``find``."""
        ...
