"""What happens in a run, as it happens: one frozen record per event, in order.

Times are seconds on the run's monotonic clock, 0 when the run started. Observers are plain callables; one that
raises is logged and dropped, it never breaks the run it watches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from agentrt.types import RunId, RunStatus, SessionId, StepId, StepKind, StepStatus, Usage

TurnPhase: TypeAlias = Literal["queued", "prefill", "decode"]
"""queued: held back, for room in the engine's pool or for another turn that computes its prefix; prefill: the engine
has it, and has said nothing yet; decode: its text comes."""


class RunStarted(NamedTuple):
    """The run exists. ``wall`` is the time of day, in seconds since the epoch."""

    run: RunId
    program: str
    inputs: dict[str, Any]
    wall: float


class StepAdded(NamedTuple):
    """The graph has one more node. ``inputs`` are its data edges, ``after`` what the program had awaited by then."""

    run: RunId
    at: float
    step: StepId
    name: str
    kind: StepKind
    parent: StepId | None
    inputs: tuple[StepId, ...]
    after: tuple[StepId, ...]


class StepStarted(NamedTuple):
    """The step runs now, for the ``attempt``-th time, 1 first."""

    run: RunId
    at: float
    step: StepId
    attempt: int


class StepText(NamedTuple):
    """A piece of streamed text of a running step."""

    run: RunId
    at: float
    step: StepId
    text: str


class TurnSent(NamedTuple):
    """A step asks a model something. ``session`` is the context of ``agent`` that the turn belongs to, if to any."""

    run: RunId
    at: float
    step: StepId
    model: str
    agent: str
    session: SessionId | None


class TurnMoved(NamedTuple):
    """A turn enters another phase."""

    run: RunId
    at: float
    step: StepId
    phase: TurnPhase


class StepRetried(NamedTuple):
    """An attempt failed and another follows after ``delay`` seconds."""

    run: RunId
    at: float
    step: StepId
    attempt: int
    error: str
    delay: float


class StepEnded(NamedTuple):
    """The step reached its final status. ``error`` is one line; ``usage`` counts its own tokens, 0 but for llm."""

    run: RunId
    at: float
    step: StepId
    status: StepStatus
    error: str | None
    usage: Usage


class GraphChange(NamedTuple):
    """One change of a graph: a step came, left, or takes other ``inputs`` than before, or works on something else."""

    change: Literal["insert", "drop", "rewire", "split", "replace"]
    step: StepId
    inputs: tuple[StepId, ...]


class GraphEdited(NamedTuple):
    """Steps that had not started were changed, all at once; ``version`` counts such edits from 1."""

    run: RunId
    at: float
    version: int
    changes: tuple[GraphChange, ...]


class HintsSent(NamedTuple):
    """An engine was told these hints on contexts of this run: as JSON, as ``Hint.to_wire`` makes it, without token ids
    and tenants."""

    run: RunId
    at: float
    model: str
    hints: tuple[Mapping[str, Any], ...]


class KvSampled(NamedTuple):
    """What an engine said of its KV cache: one scheduler's answer to ``GET /agentrt/kv``, with the subjects of this
    run only."""

    run: RunId
    at: float
    model: str
    state: Mapping[str, Any]


class RunResumed(NamedTuple):
    """Another process goes on with the run; the steps ``again`` count as not finished. ``wall`` is the time of day."""

    run: RunId
    at: float
    wall: float
    again: tuple[StepId, ...]


class RunEnded(NamedTuple):
    """Nothing of the run is left running."""

    run: RunId
    at: float
    status: RunStatus
    error: str | None


Note: TypeAlias = StepText | TurnMoved | HintsSent | KvSampled
"""What only those want to know who watch: a journal keeps it beside its entries, and may lose it."""

Event: TypeAlias = (
    RunStarted
    | StepAdded
    | StepStarted
    | TurnSent
    | StepRetried
    | StepEnded
    | GraphEdited
    | RunResumed
    | RunEnded
    | Note
)
Observer: TypeAlias = Callable[[Event], None]
