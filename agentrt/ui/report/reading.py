"""Everything that a report tells of a run, read from its journal: the folds of the screens, and the steps' stories."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.events import Event, GraphEdited, RunResumed, StepRetried
from agentrt.store import archive
from agentrt.store.exports import PAGE, told_notes
from agentrt.store.recording import Recording
from agentrt.store.retelling import Retelling, bodies_needed
from agentrt.store.rows import Entry, NoteRow, OwnerRow, RunRow, ShownStatus
from agentrt.store.telling import entry_json, hashes_of
from agentrt.store.views import error_of, output_of, status_of
from agentrt.types import StepId
from agentrt.ui.folds.critical import critical_path
from agentrt.ui.folds.kv import KvView
from agentrt.ui.folds.timeline import Timeline
from agentrt.ui.model import RunView, StepView
from agentrt.ui.watch.sources.base import StepStory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


_REMEMBERED: Final = 1 << 24
"""Characters of conversations that are not read again."""


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
    _pauses: dict[StepId, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.line = Timeline(self.view, self._pauses_of)

    def apply(self, event: Event) -> None:
        """Take in what happened next."""
        self.view.apply(event)
        self.kv.apply(event)
        match event:
            case StepRetried(_, at, step, attempt, error, delay):
                self._pauses.setdefault(step, []).append((at, at + delay))
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

    def _pauses_of(self, step: StepView) -> Sequence[tuple[float, float]]:
        return self._pauses.get(step.id, ())


async def read(connection: AsyncConnection, row: RunRow, owner: OwnerRow | None, *, wall: float) -> Report:
    """A run with everything that its events tell. ``wall`` is the time of day. Raises ``JournalError``."""
    report = Report(row, owner is not None, status_of(row, owner))
    last: Entry | None = None
    async for entries, event in _pages(connection, row):
        last = _newest_end(entries, last)
        for one in event:
            report.apply(one)
    report.settle(wall)
    await _read_end(connection, report, last, owner)
    return report


async def _pages(connection: AsyncConnection, row: RunRow) -> AsyncIterator[tuple[list[Entry], Iterator[Event]]]:
    """The entries, page by page, each with the events that it and the notes of its time tell."""
    bodies: dict[str, str] = {}
    retelling = Retelling(row, lambda hash_: bodies[hash_])
    notes = told_notes(connection, row)
    ahead = await anext(notes, None)
    after = 0
    while True:
        entries = await archive.entries_of(connection, row.id, after=after, limit=PAGE)
        whole = len(entries) < PAGE
        told: list[NoteRow] = []
        while ahead is not None and (whole or ahead.at <= entries[-1].at):
            told.append(ahead)
            ahead = await anext(notes, None)
        bodies |= await archive.some_bodies(connection, row.id, bodies_needed(entries))
        yield entries, retelling.tell(entries, told)
        if whole:
            return
        after = entries[-1].seq


def _newest_end(entries: Sequence[Entry], last: Entry | None) -> Entry | None:
    for entry in entries:
        if entry.kind in ("over", "resumed"):
            last = entry if entry.kind == "over" else None
    return last


async def _read_end(connection: AsyncConnection, report: Report, end: Entry | None, owner: OwnerRow | None) -> None:
    if end is not None:
        bodies = await archive.some_bodies(connection, report.row.id, hashes_of(end))
        recording = Recording(report.row, [end], bodies)
        report.error, report.output = error_of(recording, owner), output_of(recording)


# -- stories ---------------------------------------------------------------------------------------------------------


async def stories(connection: AsyncConnection, row: RunRow, steps: Collection[StepId]) -> AsyncIterator[StepStory]:
    """All about some steps, in the order in which they were called. What a step streamed is not among it."""
    entries: dict[StepId, list[Entry]] = {}
    after = 0
    while page := await archive.entries_of(connection, row.id, after=after, limit=PAGE):
        for entry in page:
            if entry.step in steps and entry.kind != "text":
                entries.setdefault(entry.step, []).append(entry)
        after = page[-1].seq
    hints = [
        json.loads(note.data) | {"at": note.at} async for note in told_notes(connection, row) if note.kind == "hints"
    ]
    links = _Links(connection, row)
    for step, some in entries.items():
        yield await _story(connection, row, step, some, hints, links)


async def _story(
    connection: AsyncConnection,
    row: RunRow,
    step: StepId,
    rows: Sequence[Entry],
    hints: Sequence[Mapping[str, Any]],
    links: _Links,
) -> StepStory:
    hashes = {hash_ for entry in rows for hash_ in hashes_of(entry)}
    bodies = await archive.some_bodies(connection, row.id, list(hashes))
    entries = [entry_json(entry, bodies.__getitem__) for entry in rows]
    sent: dict[str, Any] = next((one["data"] for one in reversed(entries) if one["kind"] == "sent"), {})
    messages = await links.messages(sent.get("messages"))
    about = [["session", sent.get("session")], ["agent", sent.get("agent")]]
    told = [(note["at"], hint) for note in hints for hint in note["hints"] if list(hint["subject"][:2]) in about]
    return StepStory(step, entries, (), messages, sent.get("tools") or (), told)


class _Links:
    """What models were sent, link by link: later turns of a conversation begin with the links of earlier ones."""

    def __init__(self, connection: AsyncConnection, row: RunRow) -> None:
        self._connection = connection
        self._run = row.id
        self._known: dict[str, dict[str, Any]] = {}
        self._size = 0

    async def messages(self, link: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """A list whole: the messages of its newest link, and of all links before it that are there."""
        found: list[list[dict[str, Any]]] = []
        while link is not None:
            found.append(link["more"])
            link = await self._before(link["on"]) if link["on"] else None
        return [message for more in reversed(found) for message in more]

    async def _before(self, hash_: str) -> dict[str, Any] | None:
        if hash_ not in self._known:
            text = (await archive.some_bodies(self._connection, self._run, [hash_])).get(hash_)
            if text is None:
                return None
            if self._size > _REMEMBERED:
                self._known.clear()
                self._size = 0
            self._known[hash_] = json.loads(text)
            self._size += len(text)
        return self._known[hash_]
