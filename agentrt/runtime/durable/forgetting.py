"""A long run lets go of steps that have ended: the journal has them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentrt.types import Usage

if TYPE_CHECKING:
    from agentrt.graph.machine import Machine, Node
    from agentrt.runtime.handle import Handle
    from agentrt.runtime.wiring import Wiring

KEPT: Final = 10_000
"""Finished steps that a run with a journal holds in memory, about a kilobyte each."""


class Forgetter:
    """Holds the newest ``kept`` finished steps; of the others it knows how many there were and the tokens they used.

    A step that failed, and that the program has not looked at, is held: its failure still has to reach somebody.
    """

    def __init__(self, machine: Machine, handles: dict[Node, Handle[Any]], wiring: Wiring, *, kept: int = KEPT) -> None:
        self.steps = 0
        self.usage = Usage()
        self._machine = machine
        self._handles = handles
        self._wiring = wiring
        self._kept = kept
        self._ended: deque[Node] = deque()

    def __call__(self, node: Node) -> None:
        """A node has ended."""
        self._ended.append(node)
        if len(self._ended) > self._kept:
            self._forget(self._ended.popleft())

    def _forget(self, node: Node) -> None:
        handle = self._handles.get(node)
        if handle is not None:
            if node.status in ("failed", "skipped") and not node.unwanted and not handle.observed:
                return
            del self._handles[node]
            if handle.parent is not None and handle.parent.scope is not None:
                handle.parent.scope.handles.pop(handle, None)
        self._machine.forget(node)
        self.steps += node.kind != "join"
        self.usage += node.usage
        if self.steps % 1_000 == 0:
            self._wiring.forget()
