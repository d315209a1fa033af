"""What goes into a benchmark and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from agentrt.types import RunStatus


@dataclass(frozen=True, slots=True)
class Entry:
    """One task. ``id`` is the field's own name for it, ``data`` what its program is given, as plain JSON.

    ``arrives`` is how many seconds after the first of those that are not finished its turn comes.
    """

    id: str
    category: str
    data: Mapping[str, Any] = field(repr=False, default_factory=dict)
    arrives: float = 0.0


@dataclass(frozen=True, slots=True)
class Measures:
    """What one entry's run took. Times are seconds, tokens as the engine counts them.

    ``seconds`` from the run's start to its end, ``model_s`` and ``tool_s`` the time in which at least one model turn or
    at least one tool was under way, ``queued_s`` the sum over turns of being held back. ``first`` are the times to
    first token of its turns, ``others`` the share of the machine that neither we nor the engine took meanwhile, from
    0 to 1.
    """

    seconds: float
    steps: int = 0
    turns: int = 0
    tools: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    model_s: float = 0.0
    tool_s: float = 0.0
    queued_s: float = 0.0
    first: tuple[float, ...] = ()
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished entry: its run, what the program returned (plain JSON), or the error in one line."""

    entry: str
    category: str
    run: str
    status: RunStatus
    output: Any
    error: str | None
    measures: Measures

    def to_json(self) -> dict[str, Any]:
        """A line of ``results.jsonl``."""
        return asdict(self)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote. Raises ``KeyError`` or ``TypeError`` for anything else."""
        measures = dict(line["measures"])
        measures["first"] = tuple(measures.get("first", ()))
        return cls(**{**line, "measures": Measures(**measures)})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the official grader says of one entry: ``score`` from 0 to 1, and why, in the grader's words."""

    entry: str
    category: str
    score: float
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """A line of ``verdicts.jsonl``."""
        return asdict(self)
