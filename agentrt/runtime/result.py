"""What is left of a run when it is over."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from agentrt.errors import AgentrtError, RunCancelled, RunError, UpstreamFailed
from agentrt.graph.analysis import critical_path
from agentrt.graph.machine import NO_USAGE, Node
from agentrt.types import RunId, RunStatus, StepId, StepKind, StepStatus, Usage

R_co = TypeVar("R_co", covariant=True)


class StepRecord(NamedTuple):
    """One step of a finished run. Times are seconds since the run started; ``None`` when that never happened."""

    id: StepId
    name: str
    kind: StepKind
    status: StepStatus
    parent: StepId | None
    started: float | None
    ended: float | None
    usage: Usage
    error: str | None

    @classmethod
    def of(cls, node: Node) -> StepRecord:
        """The record of a node."""
        return cls(
            node.id,
            node.name,
            node.kind,
            node.status,
            node.parent.id if node.parent else None,
            node.started,
            node.ended,
            node.usage,
            brief(node.error) if node.error else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The step as ``agentrt run --json`` prints it."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "parent": self.parent,
            "started": _rounded(self.started),
            "ended": _rounded(self.ended),
            "prompt_tokens": self.usage.prompt,
            "cached_tokens": self.usage.cached,
            "completion_tokens": self.usage.completion,
            "error": self.error,
        }


@dataclass(frozen=True)
class RunResult(Generic[R_co]):
    """How a run ended, and its finished graph. ``seconds`` is the whole time it took.

    Of a long run with a journal only the last steps are in it: ``forgotten`` counts the others, which the journal has.
    """

    id: RunId
    program: str
    status: RunStatus
    seconds: float
    error: RunError | None
    value: R_co | None
    nodes: tuple[Node, ...] = field(repr=False)
    forgotten: int = 0
    forgotten_usage: Usage = NO_USAGE

    @property
    def output(self) -> R_co:
        """The program's result. Raises ``RunFailed`` or ``RunCancelled`` when there is none."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # without an error it is the program's, None included

    @cached_property
    def steps(self) -> tuple[StepRecord, ...]:
        """Every step, in the order in which the program called them."""
        return tuple(StepRecord.of(node) for node in self.nodes)

    @cached_property
    def edges(self) -> tuple[tuple[StepId, StepId], ...]:
        """Pairs (before, after) of step ids: data that was handed on, and what the program had awaited."""
        return tuple((before.id, node.id) for node in self.nodes for before in (*node.inputs, *node.after))

    @cached_property
    def usage(self) -> Usage:
        """The tokens of all steps together."""
        return sum((node.usage for node in self.nodes), self.forgotten_usage)

    @cached_property
    def critical_path_seconds(self) -> float:
        """The time of the longest chain of steps, each after what it depended on."""
        return critical_path(self.nodes).seconds

    def to_json(self) -> dict[str, Any]:
        """The run as ``agentrt run --json`` prints it; ``output`` becomes plain JSON, see ``plain``."""
        return {
            "run_id": self.id,
            "program": self.program,
            "status": self.status,
            "output": plain(self.value),
            "error": None if self.error is None else _error_json(self.error),
            "seconds": round(self.seconds, 6),
            "critical_path_seconds": round(self.critical_path_seconds, 6),
            "steps": [step.to_json() for step in self.steps if step.kind != "join"],
            "forgotten_steps": self.forgotten,
            "tokens": {
                "prompt": self.usage.prompt,
                "cached": self.usage.cached,
                "completion": self.usage.completion,
            },
            "graph": {
                "nodes": [step.id for step in self.steps],
                "edges": [list(edge) for edge in self.edges],
            },
        }


def plain(value: Any) -> Any:
    """A value as plain JSON: what has no other form by ``str``; all bytes in base64 when some are no text."""
    from pydantic_core import to_jsonable_python

    modes: tuple[Literal["utf8", "base64"], ...] = ("utf8", "base64")
    for mode in modes:
        with suppress(Exception):  # the user's own serializers may raise anything
            return to_jsonable_python(value, fallback=_text, bytes_mode=mode)
    return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the user's own type, whose text is broken
        return object.__repr__(value)


def brief(error: BaseException) -> str:
    """One line for an error: the first line of agentrt's own messages, others whole after the name of their type."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the user's own exception, whose text is broken too
        said = ""
    text = " ".join(said.split())
    if isinstance(error, AgentrtError) and text:
        return " ".join(said.partition("\n")[0].split())
    if isinstance(error, BaseExceptionGroup):
        text = f"{text}: {'; '.join(brief(one) for one in error.exceptions)}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _error_json(error: RunError) -> dict[str, Any]:
    cause = first_cause(error.__cause__ or error)
    step = getattr(cause, "__agentrt_step__", None)
    return {
        "type": "RunCancelled" if isinstance(error, RunCancelled) else type(cause).__name__,
        "message": str(error),
        "step": step,
        "story": list(getattr(cause, "__notes__", [])),
    }


def first_cause(error: BaseException) -> BaseException:
    """The failure that started it all: what a step that never started says to be its cause."""
    error = alone(error)
    while isinstance(error, UpstreamFailed) and error.__cause__ is not None:
        error = alone(error.__cause__)
    return error


def alone(error: BaseException) -> BaseException:
    """The error inside a group that holds no other, as a ``TaskGroup`` raises; any other error itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
