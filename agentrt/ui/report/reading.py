"""Everything that a report tells of a run, read from its journal: the folds of the screens, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrt.events import Event, GraphEdited, RunResumed, StepRetried
from agentrt.store import archive
from agentrt.store.exports import PAGE
from agentrt.store.recording import Recording
from agentrt.store.rows import Entry, OwnerRow, RunRow, ShownStatus
from agentrt.store.telling import hashes_of
from agentrt.store.views import error_of, output_of, status_of
from agentrt.store.watching import Happenings
from agentrt.types import StepId
from agentrt.ui.folds.critical import critical_path
from agentrt.ui.folds.kv import KvView
from agentrt.ui.folds.timeline import Timeline
from agentrt.ui.model import RunView

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class Moment(NamedTuple):
    """Something that happened at one instant: when, of which step (``None``: of the run), and what, in words."""

    at: float
    step: StepId | None
    words: str


@dataclass(slots=True)
class Report:
    """A run as it is told. ``now`` is the moment that is shown, in seconds since it began: its end, if it has ended."""

    row: RunRow
    live: bool
    status: ShownStatus
    view: RunView = field(default_factory=RunView)
    kv: KvView = field(default_factory=KvView)
    moments: list[Moment] = field(default_factory=list)
    now: float = 0.0
    error: Mapping[str, Any] | None = None
    output: Any = None
    line: Timeline = field(init=False)
    path: Sequence[StepId] = ()

    def __post_init__(self) -> None:
        self.line = Timeline(self.view)

    def apply(self, event: Event) -> None:
        """Take in what happened next."""
        self.view.apply(event)
        self.kv.apply(event)
        match event:
            case StepRetried(_, at, step, attempt, error, delay):
                self.moments.append(Moment(at, step, f"attempt {attempt} failed, again in {delay:.3g} s: {error}"))
            case GraphEdited(_, at, version, changes):
                told = ", ".join(f"{one.change} {one.step}" for one in changes) or "nothing"
                self.moments.append(Moment(at, None, f"edit {version} of the graph: {told}"))
            case RunResumed():
                self.moments.append(Moment(event.at, None, "another process goes on with the run"))

    def settle(self, wall: float) -> None:
        """All events were taken in, and it is ``wall`` by the time of day."""
        self.now = max(self.view.last, wall - self.view.wall) if self.live else self.view.last
        self.line.update()
        self.path = critical_path(self.view)

    def moments_of(self, step: StepId) -> list[Moment]:
        """What happened to one step."""
        return [moment for moment in self.moments if moment.step == step]


async def read(connection: AsyncConnection, row: RunRow, owner: OwnerRow | None, *, wall: float) -> Report:
    """A run with everything that its events tell. ``wall`` is the time of day. Raises ``JournalError``."""
    report = Report(row, owner is not None, status_of(row, owner))
    happenings = Happenings(row, PAGE)
    while events := await happenings.page(connection):
        for event in events:
            report.apply(event)
    report.settle(wall)
    await _read_end(connection, report, happenings.end, owner)
    return report


async def _read_end(connection: AsyncConnection, report: Report, end: Entry | None, owner: OwnerRow | None) -> None:
    if end is not None:
        bodies = await archive.some_bodies(connection, report.row.id, hashes_of(end))
        recording = Recording(report.row, [end], bodies)
        report.error, report.output = error_of(recording, owner), output_of(recording)
