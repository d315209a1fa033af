"""What travels to and from a journal's tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from agentrt.types import RunId, RunStatus, StepId

EntryKind: TypeAlias = Literal[
    "called", "begun", "sent", "asked", "answered", "text", "retried", "ended", "edited", "resumed", "over"
]
"""called: a step is in the graph; begun: an attempt starts; sent: a model was sent something; asked: a person was asked
something; answered: an answer was taken, or did not fit; text: a piece of streamed text was handed on; retried: an
attempt failed and another follows; ended: a step's final status; edited: the graph was changed, or an edit of it was
refused; resumed: another process went on from here; over: the run's end, or that it was put aside."""

NoteKind: TypeAlias = Literal["text", "phase", "runs", "hints", "kv"]
"""text: streamed text of a step, some pieces together; phase: a model turn enters another phase; runs: which plain
steps run, of those that no such note has named; hints: what an engine was told; kv: what it said of its cache."""

PROGRAM: Final = StepId("")
"""The step of entries and letters that are about the program itself."""

StoredStatus: TypeAlias = RunStatus
"""``running`` also of a run whose process died; ``waiting`` of one that was put aside until a person answers."""

ShownStatus: TypeAlias = StoredStatus | Literal["interrupted"]
"""``running`` of a run whose process lives, ``interrupted`` of one whose process died."""

STATUSES: Final[tuple[ShownStatus, ...]] = (*get_args(RunStatus), "interrupted")
"""All of these."""


class Entry(NamedTuple):
    """One line of a run's journal. ``at`` is in seconds since the run began; ``data`` is JSON text, or empty.

    ``seen`` counts the results and texts that the program had been handed when it was written; those of one ``batch``
    are handed on together.
    """

    run: RunId
    seq: int
    batch: int
    at: float
    kind: EntryKind
    step: StepId
    seen: int
    data: str


class NoteRow(NamedTuple):
    """Something that only those want to know who watch: kept beside a run's entries, never needed to resume it.

    ``kind`` is one of ``NoteKind``, ``at`` in seconds since the run began, ``data`` JSON text.
    """

    run: RunId
    at: float
    kind: NoteKind
    step: StepId
    data: str


class RunRow(NamedTuple):
    """One run, as lists show it. ``wall`` is when it began, in seconds since the epoch; ``seconds`` how long it took.

    ``target`` says where its program is found again, ``origin`` which run it is a fork of, ``owner`` which process
    has it, or had it when it died.
    """

    id: RunId
    program: str
    target: str
    inputs: str
    status: StoredStatus
    wall: float
    seconds: float
    error: str | None
    owner: str | None
    origin: str | None


class RunChange(NamedTuple):
    """How a run stands now; in the order of the columns of its ``UPDATE``."""

    status: StoredStatus
    seconds: float
    error: str | None
    owner: str | None
    id: RunId


class StepStory(NamedTuple):
    """All that a journal holds of one step: what tells of it to people is made of that.

    ``entries`` and ``notes`` are those of the step, as JSON, the former with their large texts in their places
    (``telling.entry_json``); ``messages`` what the model was sent last, whole, and the ``tools`` it was offered;
    ``hints`` those on its context, newest last, as (when, wire).
    """

    step: StepId
    entries: Sequence[dict[str, Any]]
    notes: Sequence[dict[str, Any]]
    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]]
    hints: Sequence[tuple[float, dict[str, Any]]]


class OwnerRow(NamedTuple):
    """A process that runs programs. ``born`` is its start by its system's clock, ``beat`` its last sign of life."""

    id: str
    host: str
    pid: int
    born: float
    beat: float


class Letter(NamedTuple):
    """Something for the process that has a run: an answer to a question, an edit, the wish to cancel."""

    id: int
    run: RunId
    kind: str
    step: StepId
    data: str
    wall: float


@dataclass(slots=True)
class Batch:
    """What is committed together. ``owner`` gives a sign of life; ``bodies`` are large texts by run and hash,
    ``size`` counts their characters; ``then`` is called in order after it, each for its run."""

    number: int
    owner: OwnerRow | None = None
    runs: list[RunRow] = field(default_factory=list)
    changes: list[RunChange] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    notes: list[NoteRow] = field(default_factory=list)
    bodies: dict[tuple[RunId, str], str] = field(default_factory=dict)
    size: int = 0
    then: list[tuple[RunId, Callable[[], Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.entries or self.runs or self.changes or self.then or self.owner or self.notes)

    @property
    def about(self) -> list[RunId]:
        """The runs that something is said of."""
        rows = (*(row.id for row in self.runs), *(row.id for row in self.changes))
        return list(dict.fromkeys((*rows, *(entry.run for entry in self.entries))))

    def only(self, wanted: Callable[[RunId], bool]) -> Batch:
        """The part that belongs to these runs."""
        return Batch(
            self.number,
            self.owner,
            [row for row in self.runs if wanted(row.id)],
            [row for row in self.changes if wanted(row.id)],
            [row for row in self.entries if wanted(row.run)],
            [row for row in self.notes if wanted(row.run)],
            {key: text for key, text in self.bodies.items() if wanted(key[0])},
            self.size,
            [(run, then) for run, then in self.then if wanted(run)],
        )
