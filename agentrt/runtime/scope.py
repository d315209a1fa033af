"""What a running step has called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.runtime.handle import Handle


class Scope:
    """The steps that a program, or any step that calls steps, has called so far."""

    __slots__ = ("_counts", "handles", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.handles: dict[Handle[Any], None] = {}  # in the order of the calls
        self._counts: dict[str, int] = {}

    def name(self, step: str) -> StepId:
        """A new id for a step of this name: the same program gives the same ids in the same order."""
        count = self._counts.get(step, 0) + 1
        self._counts[step] = count
        return StepId(f"{self.prefix}{step}#{count}")
