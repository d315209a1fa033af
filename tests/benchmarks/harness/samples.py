"""Folders with results in them, without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentrt.benchmarks.harness.entries import Measures, Outcome, Verdict
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.sittings import Sitting

TOLD: Mapping[str, Any] = {
    "benchmark": "toy",
    "model": "tiny",
    "kv": "agentrt",
    "seed": 1,
    "timeout": 600.0,
    "limit": 0,
    "ids": [],
    "options": {},
    "at_once": 8,
    "environment": {"engine": {"kind": "sglang", "version": "0.5"}, "agentrt": "0.1.0", "cores": 2},
    "began": "2026-01-01T00:00:00+00:00",
}


def outcome(name: str, seconds: float = 1.0, **more: Any) -> Outcome:
    """A finished entry; ``more`` are fields of its line."""
    measures = Measures(
        seconds,
        steps=3,
        turns=2,
        tools=1,
        prompt=100,
        cached=60,
        completion=10,
        model_s=seconds / 2,
        tool_s=seconds / 4,
        first=(seconds / 10, seconds / 5),
    )
    fields = {"category": "plain", "run": name, "status": "done", "output": None, "error": None, "measures": measures}
    return Outcome(entry=name, **(fields | more))


def folder(
    path: Path,
    outcomes: Sequence[Outcome],
    scores: Mapping[str, float] | None = None,
    told: Mapping[str, Any] | None = None,
    sittings: Sequence[Sitting] = (),
) -> Folder:
    """A folder in which these entries are finished; ``scores`` are the verdicts on some of them."""
    made = Folder(path)
    made.begin({**TOLD, **(told or {})})
    for one in outcomes:
        made.add(one)
    categories = {one.entry: one.category for one in outcomes}
    made.judged(Verdict(name, categories[name], score, "said so") for name, score in (scores or {}).items())
    if sittings:
        made.sat(sittings)
    return made
