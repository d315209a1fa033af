"""Control edges: what a program had awaited when it called a step.

``for section in await outline`` makes steps that depend on the outline though no handle says so. Each asyncio task has
a trail of the steps it waited for; a new step comes *after* those that are done. A task inherits from the one that
made it, keeps its own steps to itself, and gives them back when it has ended, so that branches run side by side in
``gather`` stay apart in the graph and join behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final
from weakref import ref

from agentrt.graph.machine import Node

_NOTHING: Final[Mapping[Node, None]] = {}


class Trail:
    """What one asyncio task has waited for. ``nodes`` is an ordered set; those implied by later ones are left out.

    ``inherited`` are the nodes it began with: one that has left ``nodes`` since then is implied by others there.
    ``above`` is the trail that they are from.
    """

    __slots__ = ("__weakref__", "above", "branches", "inherited", "nodes", "task")

    def __init__(
        self,
        task: asyncio.Task[Any] | None,
        inherited: Mapping[Node, None] = _NOTHING,
        above: ref[Trail] | None = None,
    ) -> None:
        self.task = task
        self.above = above
        self.inherited = inherited
        self.nodes: dict[Node, None] = dict(inherited)
        self.branches: list[Trail] | None = None  # most steps have none

    def front(self) -> tuple[Node, ...]:
        """The steps that a step made now comes after: watched, done, and not before another such step."""
        if self.branches:
            self._gather()
        done = [node for node in self.nodes if node.ended is not None]
        if len(done) < 2:
            return tuple(done)
        implied = {before for node in done for before in (*node.after, *node.inputs)}
        if implied.isdisjoint(self.nodes):
            return tuple(done)
        self.nodes = {node: None for node in self.nodes if node not in implied}
        return tuple(node for node in done if node not in implied)

    def replace(self, front: tuple[Node, ...], join: Node) -> None:
        """Let one join stand for a wide front, also above if it is from there, for further branches to begin with."""
        above = None if self.above is None else self.above()
        for one in (self, above):
            if one is not None and all(node in one.nodes for node in front):
                for node in front:
                    del one.nodes[node]
                one.nodes[join] = None

    def _gather(self) -> None:
        """Take over the trails of branches whose task has ended."""
        running = []
        for branch in self.branches or ():
            if branch.task is None or branch.task.done():
                branch._gather()
                self._take_over(branch)
            else:
                running.append(branch)
        self.branches = running or None

    def _take_over(self, branch: Trail) -> None:
        for node in branch.inherited:
            if node not in branch.nodes:
                self.nodes.pop(node, None)
        for node in branch.nodes:
            if node not in branch.inherited:
                self.nodes[node] = None


trail: ContextVar[Trail | None] = ContextVar("agentrt_trail", default=None)


def current_trail() -> Trail:
    """The trail of the running asyncio task, made on first use."""
    task = asyncio.current_task()
    here = trail.get()
    if here is None:
        here = Trail(task)
        trail.set(here)
    elif here.task is not task:
        branch = Trail(task, dict(here.nodes), ref(here))
        if here.branches is None:
            here.branches = []
        here.branches.append(branch)
        trail.set(branch)
        return branch
    return here


def watch(node: Node) -> None:
    """The running task waits for the node, or has just seen its value."""
    try:
        here = current_trail()
    except RuntimeError:  # no running loop: somebody looks at a finished run
        return
    nodes = here.nodes
    if len(nodes) == 1:  # the common loop, each step after the last one: keep only the newest
        (last,) = nodes
        if last in node.after or last in node.inputs:
            nodes.clear()
    nodes[node] = None
