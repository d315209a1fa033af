"""What is shown of runs to people and scripts: folds over rows and entries, with no need of the programs.

Everything here is pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from agentrt.errors import JournalError
from agentrt.store.codec import KIND
from agentrt.store.joins import edges_of
from agentrt.store.readable import readable
from agentrt.store.recording import Recorded, Recording
from agentrt.store.rows import OwnerRow, RunRow, ShownStatus
from agentrt.types import StepId, StepKind, StepStatus, Usage

_PASSED_ON: Final = ("agentrt.errors:RunFailed", "agentrt.errors:UpstreamFailed")
"""Errors that only tell of the one that caused them."""


class ShownStep(NamedTuple):
    """One step of a run. Times are seconds since the run began, ``None`` when that never happened or is not known.

    ``depth`` counts the steps around it. A step without an end is ``pending`` before its first attempt, and then
    ``running``, ``waiting`` or ``interrupted`` as its run is; ``waiting`` in any case when it asks a person.
    """

    id: StepId
    name: str
    kind: StepKind
    status: StepStatus | Literal["interrupted", "waiting"]
    parent: StepId | None
    depth: int
    attempts: int
    started: float | None
    ended: float | None
    usage: Usage
    error: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took, waiting between attempts included."""
        return None if self.started is None or self.ended is None else self.ended - self.started

    def to_json(self) -> dict[str, Any]:
        """The step with the names that ``agentrt run --json`` gives its fields."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "parent": self.parent,
            "attempts": self.attempts,
            "started": _rounded(self.started),
            "ended": _rounded(self.ended),
            "prompt_tokens": self.usage.prompt,
            "cached_tokens": self.usage.cached,
            "completion_tokens": self.usage.completion,
            "error": self.error,
        }


# -- runs ------------------------------------------------------------------------------------------------------------


def status_of(row: RunRow, owner: OwnerRow | None) -> ShownStatus:
    """How a run stands; ``owner`` is the living process that has it."""
    if owner is not None:
        return "running"
    fork = row.status == "failed" and row.error is None  # a fork that has not gone on yet: nothing has failed
    return "interrupted" if row.status == "running" or fork else row.status


def run_json(row: RunRow, owner: OwnerRow | None) -> dict[str, Any]:
    """What a list shows of a run. ``seconds`` is ``None`` before it ended."""
    status = status_of(row, owner)
    return {
        "run_id": row.id,
        "program": row.program,
        "target": row.target,
        "status": status,
        "began": datetime.fromtimestamp(row.wall, UTC).isoformat(timespec="seconds"),
        "seconds": None if status in ("running", "interrupted") else _rounded(row.seconds),
        "error": None if status in ("running", "waiting") else row.error,
        "origin": row.origin,
        "owner": None if owner is None else {"host": host_of(owner), "pid": owner.pid},
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def host_of(owner: OwnerRow) -> str:
    """The name of the machine that a process runs on."""
    return owner.host.partition("/")[0]


def inputs_of(row: RunRow) -> dict[str, Any] | None:
    """A run's inputs, readable, positional ones by their number; ``None`` when they were no data."""
    if not row.inputs:
        return None
    args, kwargs = json.loads(row.inputs)
    return {**{str(index): readable(value) for index, value in enumerate(args)}, **readable(kwargs)}


def details_json(recording: Recording, owner: OwnerRow | None) -> dict[str, Any]:
    """Everything that is shown of one run, with the names that ``agentrt run --json`` gives its fields."""
    steps = steps_of(recording, owner)
    used = total(steps)
    return {
        **run_json(recording.run, owner),
        "inputs": inputs_of(recording.run),
        "output": output_of(recording),
        "error": error_of(recording, owner),
        "steps": [step.to_json() for step in steps],
        "tokens": {"prompt": used.prompt, "cached": used.cached, "completion": used.completion},
        "graph": graph_of(recording),
    }


def output_of(recording: Recording) -> Any:
    """What the program returned, readable; ``None`` when it returned nothing that was kept."""
    over = recording.over
    if over is None or over["status"] != "done" or "unstorable" in over:
        return None
    return readable(recording.value(over))


def error_of(recording: Recording, owner: OwnerRow | None) -> dict[str, Any] | None:
    """What ended the run: ``{type, message, step, story}``, as ``agentrt run --json`` has it."""
    over = recording.over
    if owner is not None or over is None or "error" not in over or over["status"] == "waiting":
        return None
    try:
        first = _first_cause(recording.value(over))
    except JournalError:
        first = {}
    state = first.get("state") or {}
    cancelled = over["status"] == "cancelled"
    return {
        "type": "RunCancelled" if cancelled else first.get("c", "").rpartition(":")[2],
        "message": over["error"],
        "step": state.get("__agentrt_step__", over.get("step")),
        "story": list(state.get("__notes__", ())),
    }


def graph_of(recording: Recording) -> dict[str, Any]:
    """Ids of steps, and pairs (before, after) of them: data that was handed on, and what the program had awaited.

    Many steps that were taken together by others are gathered by a node of their own, so that edges stay few.
    """
    known: set[StepId] = set()
    joins: list[StepId] = []
    edges: list[list[str]] = []
    for step in recording.steps.values():
        inputs, after = edges_of(json.loads(step.called.data))
        for join, gathered in recording.new_joins((*inputs, *after), known):
            joins.append(join)
            edges += [[before, join] for before in gathered]
        edges += [[before, step.step] for before in (*inputs, *after)]
    return {"nodes": [*recording.steps, *joins], "edges": edges}


def _first_cause(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stored error that started it all."""
    while True:
        inside = _alone(plain)
        if inside is None and plain.get("c") in _PASSED_ON:
            inside = plain.get("cause")
        if not inside:
            return plain
        plain = inside


def _alone(plain: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The only error of a group, ``None`` for anything else."""
    args = (plain.get("args") or {}).get("v", ())
    held = args[1] if len(args) == 2 and isinstance(args[1], list) else ()
    return held[0] if len(held) == 1 and isinstance(held[0], dict) and held[0].get(KIND) == "error" else None


# -- steps -----------------------------------------------------------------------------------------------------------


def steps_of(recording: Recording, owner: OwnerRow | None) -> list[ShownStep]:
    """Every step, each followed by the steps it called, in the order of the calls."""
    inside: dict[str, list[Recorded]] = {}
    for step in recording.steps.values():
        inside.setdefault(step.step.rpartition("/")[0], []).append(step)
    run = status_of(recording.run, owner)
    unfinished: Literal["running", "waiting", "interrupted"] = run if run in ("running", "waiting") else "interrupted"
    found, left = [], inside.get("", [])[::-1]
    while left:
        step = left.pop()
        found.append(_shown(step, unfinished))
        left.extend(reversed(inside.get(step.step, ())))
    return found


def total(steps: Iterable[ShownStep]) -> Usage:
    """The tokens of all steps together."""
    return sum((step.usage for step in steps), Usage())


def _shown(step: Recorded, unfinished: Literal["running", "waiting", "interrupted"]) -> ShownStep:
    above, _, last = step.step.rpartition("/")
    return ShownStep(
        step.step,
        last.rpartition("#")[0],
        step.kind,
        step.status or ("waiting" if step.asked else unfinished if step.attempts else "pending"),
        StepId(above) if above else None,
        above.count("/") + 1 if above else 0,
        step.attempts,
        step.began,
        None if step.ended is None else step.ended.at,
        step.usage,
        _error(step),
    )


def _error(step: Recorded) -> str | None:
    end = step.end or {}
    if "error" in end:
        return str(end["error"])
    return f"because of {end['because']}" if end.get("because") else None
