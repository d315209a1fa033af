"""A run in the vocabulary of NVIDIA Dynamo's agent traces, schema ``dynamo.agent.trace.v1``, as JSON lines.

What is taken from it: ``request_end`` for each model turn and ``tool_end`` or ``tool_error`` for each tool, each with
an ``agent_context`` of ``session_type_id`` (the program), ``session_id`` (the run), ``trajectory_id`` (one growing
context) and ``parent_trajectory_id`` (whose sub-program it works in); lengths, cached tokens and times of the request;
class, status and times of the tool. Each record stands in the envelope ``{"timestamp", "event"}`` of Dynamo's own
files. No text of the run is in it, and no hashes of prompts: a context is taken to grow by its lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from agentrt.events import Event, RunStarted, StepAdded, StepEnded, StepStarted, TurnMoved, TurnSent
from agentrt.types import StepId, StepKind

SCHEMA: Final = "dynamo.agent.trace.v1"
_SOURCE: Final = "agentrt"
_STATUS: Final = {"done": "succeeded", "failed": "error", "cancelled": "cancelled"}


class _Sent(NamedTuple):
    at: float
    model: str
    trajectory: str


class Tracing:
    """``take`` takes the events of one run in order and gives the records that they end."""

    def __init__(self) -> None:
        self._run = ""
        self._program = ""
        self._wall = 0.0
        self._kinds: dict[StepId, tuple[StepKind, str]] = {}
        self._began: dict[StepId, float] = {}
        self._sent: dict[StepId, _Sent] = {}
        self._first: dict[StepId, float] = {}
        self._latest: dict[str, str] = {}
        """The context that had the last turn, by the sub-program it works in."""
        self._parents: dict[str, str | None] = {}

    def take(self, event: Event) -> Iterator[dict[str, Any]]:
        """The records that this event completes."""
        match event:
            case RunStarted():
                self._run, self._program, self._wall = event.run, event.program, event.wall
            case StepAdded():
                self._kinds[event.step] = (event.kind, event.name)
            case StepStarted():
                self._began[event.step] = event.at
            case TurnSent():
                self._send(event)
            case TurnMoved() if event.phase == "decode":
                self._first.setdefault(event.step, event.at)
            case StepEnded() if event.step in self._sent:
                yield self._enveloped(event.at, self._request(event, self._sent.pop(event.step)))
            case StepEnded() if event.step in self._began and self._kinds[event.step][0] == "tool":
                yield self._enveloped(event.at, self._tool(event))

    def _send(self, event: TurnSent) -> None:
        trajectory = event.session or f"{self._run}/{event.step}"
        scope = self._scope(event.step)
        if trajectory not in self._parents:
            self._parents[trajectory] = self._above(scope)
        self._latest[scope] = trajectory
        self._sent[event.step] = _Sent(event.at, event.model, trajectory)
        self._first.pop(event.step, None)

    def _above(self, scope: str) -> str | None:
        """The context that had the last turn around a sub-program."""
        while scope:
            scope = self._scope(StepId(scope))
            if scope in self._latest:
                return self._latest[scope]
        return None

    def _scope(self, step: StepId) -> str:
        """The sub-program that a step belongs to, past agents' loops; empty for the program itself."""
        above = step.rpartition("/")[0]
        while above and self._kinds.get(StepId(above), ("program", ""))[0] != "program":
            above = above.rpartition("/")[0]
        return above

    def _request(self, event: StepEnded, sent: _Sent) -> dict[str, Any]:
        request = {
            "request_id": str(event.step),
            "model": sent.model,
            "input_tokens": event.usage.prompt,
            "output_tokens": event.usage.completion,
            "cached_tokens": event.usage.cached,
            "request_received_ms": self._ms(sent.at),
            "total_time_ms": round((event.at - sent.at) * 1000, 3),
        }
        if event.step in self._first:
            request["ttft_ms"] = round((self._first.pop(event.step) - sent.at) * 1000, 3)
        return self._record("request_end", event.at, sent.trajectory, {"request": request})

    def _tool(self, event: StepEnded) -> dict[str, Any]:
        began, status = self._began.pop(event.step), _STATUS.get(event.status, "error")
        tool = {
            "tool_call_id": str(event.step),
            "tool_class": self._kinds[event.step][1],
            "status": status,
            "started_at_unix_ms": self._ms(began),
            "ended_at_unix_ms": self._ms(event.at),
            "duration_ms": round((event.at - began) * 1000, 3),
        }
        kind = "tool_end" if event.status == "done" else "tool_error"
        trajectory = self._latest.get(self._scope(event.step), self._run)
        return self._record(kind, event.at, trajectory, {"tool": tool})

    def _record(self, kind: str, at: float, trajectory: str, more: dict[str, Any]) -> dict[str, Any]:
        context = {"session_type_id": self._program, "session_id": self._run, "trajectory_id": trajectory}
        if parent := self._parents.get(trajectory):
            context["parent_trajectory_id"] = parent
        return {
            "schema": SCHEMA,
            "event_type": kind,
            "event_time_unix_ms": self._ms(at),
            "event_source": _SOURCE,
            "agent_context": context,
            **more,
        }

    def _enveloped(self, at: float, record: dict[str, Any]) -> dict[str, Any]:
        return {"timestamp": round(at * 1000), "event": record}

    def _ms(self, at: float) -> int:
        return round((self._wall + at) * 1000)


def records_of(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """The records of one run's events, in the order in which they ended."""
    tracing = Tracing()
    for event in events:
        yield from tracing.take(event)
