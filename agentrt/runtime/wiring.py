"""From a call to a node: its id, what it waits for, and what it comes after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agentrt.errors import ProgramError
from agentrt.graph.machine import Node
from agentrt.runtime.arguments import collect
from agentrt.runtime.handle import Handle
from agentrt.runtime.scope import Scope
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.trail import current_trail

WIDE_FRONT: Final = 4
"""A step that comes after more awaited steps than this gets one edge from a join instead, so edges stay linear."""

WIDE_INPUTS: Final = 8
"""From the second step on that takes the same inputs, if they are more than this, a join stands for them too."""


class Wiring:
    """Makes the nodes of one run. ``put`` is given each join that is made on the way, to put it into the graph.

    ``shares`` says whether steps may share a join of their inputs.
    """

    __slots__ = ("_put", "_root", "_shares", "_wide")

    def __init__(self, root: Node, put: Callable[[Node], None], *, shares: bool = True) -> None:
        self._root = root
        self._put = put
        self._shares = shares
        self._wide: dict[tuple[Node, ...], Node | None] = {}

    def node(
        self, parent: Node, scope: Scope, spec: StepSpec, found: list[Handle[Any]], place: tuple[str, int] | None
    ) -> Node:
        """The node of a call by ``parent`` that takes the values of ``found``."""
        above = None if parent is self._root else parent
        inputs = self._inputs(found, scope, above, spec) if found else ()
        front = self._front(scope, above)
        if inputs and front:
            front = tuple(node for node in front if node not in inputs)
        return Node(
            scope.name(spec.name),
            spec.name,
            spec.kind,
            inputs=inputs,
            after=front,
            parent=above,
            lane=spec.lane,
            priority=spec.priority,
            place=place,
        )

    def forget(self) -> None:
        """Let go of nodes that may be taken together again; such a step then has an edge from each of them."""
        self._wide.clear()

    def _inputs(self, found: list[Handle[Any]], scope: Scope, above: Node | None, spec: StepSpec) -> tuple[Node, ...]:
        if len(found) == 1:
            return (found[0].node,)
        inputs = tuple(dict.fromkeys([handle.node for handle in found]))
        if len(inputs) <= WIDE_INPUTS or spec.kind == "join" or not self._shares:
            return inputs
        return self._shared(inputs, scope, above)

    def _shared(self, inputs: tuple[Node, ...], scope: Scope, above: Node | None) -> tuple[Node, ...]:
        if inputs not in self._wide:
            self._wide[inputs] = None
            return inputs
        join = self._wide[inputs]
        if join is None:
            join = self._wide[inputs] = self._join(scope, above, inputs=inputs)
        return (join,)

    def _front(self, scope: Scope, above: Node | None) -> tuple[Node, ...]:
        trail = current_trail()
        if not (trail.nodes or trail.branches):
            return ()
        front = trail.front()
        if len(front) <= WIDE_FRONT:
            return front
        join = self._join(scope, above, after=front)
        trail.replace(front, join)
        return (join,)

    def _join(
        self, scope: Scope, above: Node | None, inputs: tuple[Node, ...] = (), after: tuple[Node, ...] = ()
    ) -> Node:
        node = Node(scope.name("join"), "join", "join", inputs=inputs, after=after, parent=above)
        self._put(node)
        return node


def taken(spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Handle[Any]], Any, Any]:
    """The handles inside the arguments of a call, and the arguments as they are now.

    Raises ``ProgramError`` for an argument that contains itself.
    """
    found: list[Handle[Any]] = []
    try:
        return found, collect(args, found) if args else args, collect(kwargs, found) if kwargs else kwargs
    except RecursionError as error:
        raise ProgramError(
            f"step {spec.name!r}: an argument contains itself, or is nested too deeply; pass a flat value"
        ) from error


def is_shared(node: Node) -> bool:
    """Whether it is a join that stands for nodes taken together, and nobody called it."""
    return node.kind == "join" and node.name == "join"
