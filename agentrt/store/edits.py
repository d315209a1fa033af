"""What the entries of a run say of edits of its graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agentrt.store.rows import Entry
from agentrt.types import StepId


class Edits:
    """``rewired`` has the inputs of the steps that were given others than they were called with."""

    def __init__(self) -> None:
        self.rewired: dict[StepId, list[StepId]] = {}
        self._made: dict[StepId, list[tuple[int, dict[str, Any]]]] = {}
        self._outside: list[tuple[int, dict[str, Any]]] = []

    def take(self, entry: Entry) -> bool:
        """Note one. Whether it came from outside and was applied: then it has to be made again at the same point."""
        data = json.loads(entry.data)
        if "document" not in data:
            self._made.setdefault(entry.step, []).append((entry.seq, data))
        if "refused" in data:
            return False
        self.rewired |= {step: inputs for change, step, inputs in data["changes"] if change != "drop"}
        if "document" in data:
            self._outside.append((entry.seq, data))
        return "document" in data

    def made_by(self, maker: StepId, number: int, since: int) -> dict[str, Any] | None:
        """What became of the ``number``-th edit, 1 first, that a step made after the entry ``since``."""
        made = [data for seq, data in self._made.get(maker, ()) if seq > since]
        return made[number - 1] if number <= len(made) else None

    def touched_since(self, seq: int) -> set[StepId]:
        """The steps that edits from outside after an entry made or changed."""
        return {step for at, data in self._outside if at > seq for _, step, _ in data["changes"]}


def still_of_use(entry: Entry, finished: set[StepId]) -> dict[str, Any]:
    """The document of an edit from outside, without changes inside steps that have finished and are not run again."""

    def gone(step: str) -> bool:
        return not finished.isdisjoint(ancestors(StepId(step)))

    document = json.loads(entry.data)["document"]
    parent = document.get("parent") or ""
    inside = parent in finished or gone(parent)
    kept = [one for one in document["changes"] if not (inside if one["do"] == "insert" else gone(one["step"]))]
    return {**document, "parent": None if inside else document.get("parent"), "changes": kept}


def ancestors(step: StepId) -> Iterable[StepId]:
    """The steps around a step, the outermost first."""
    parts = step.split("/")
    return (StepId("/".join(parts[:depth])) for depth in range(1, len(parts)))
