"""A loop of one's own over a networkx graph: what a careful developer writes in an afternoon, without a library."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import networkx as nx

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop

Work = Callable[[], Awaitable[object]]


async def _through() -> None:
    """A join between layers: no step of anybody's, so it leaves no mark."""


async def _run(graph: nx.DiGraph[int]) -> None:
    """Start every node in a task group as soon as its last predecessor is done."""
    missing = dict(graph.in_degree())

    async def run(node: int) -> None:
        work: Work = graph.nodes[node]["work"]
        await work()
        for after in graph.successors(node):
            missing[after] -= 1
            if not missing[after]:
                group.create_task(run(after))

    async with asyncio.TaskGroup() as group:
        for node in [node for node, count in missing.items() if not count]:
            group.create_task(run(node))


def _job(graph: nx.DiGraph[int]) -> Job:
    async def job() -> None:
        await _run(graph)

    return job


class NetworkxLoop(Entrant):
    """The loop."""

    def chain(self, steps: int) -> Job:
        """A path."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        for node in range(steps):
            graph.add_node(node, work=noop)
        nx.add_path(graph, range(steps))
        return _job(graph)

    def wide(self, steps: int) -> Job:
        """Nodes without edges; the task group is the join."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        for node in range(steps):
            graph.add_node(node, work=noop)
        return _job(graph)

    def layered(self, layers: int, width: int) -> Job:
        """A join node between two layers keeps the edges few."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        for layer in range(layers):
            for node in range(layer * width, (layer + 1) * width):
                graph.add_node(node, work=noop)
                if layer:
                    graph.add_edge(-layer, node)
                if layer + 1 < layers:
                    graph.add_node(-layer - 1, work=_through)
                    graph.add_edge(node, -layer - 1)
        return _job(graph)

    def skewed(self, skew: Skew) -> Job:
        """A path for each branch."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        for naps in skew.branches:
            path = range(len(graph), len(graph) + len(naps))
            for node, seconds in zip(path, naps, strict=True):
                graph.add_node(node, work=lambda seconds=seconds: nap(seconds))
            nx.add_path(graph, path)
        return _job(graph)


ENTRANT = NetworkxLoop
