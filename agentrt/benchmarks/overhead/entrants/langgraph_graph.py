"""LangGraph's graph API: a compiled ``StateGraph``, without a checkpointer.

Nodes are wired statically; an edge from a list of nodes is its documented join. The state has no fields to merge, as
the steps hand on nothing. ``recursion_limit`` must be raised above its default of 25 for graphs of this depth.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop


class State(TypedDict, total=False):
    """Nothing is handed on but the value of a chain."""

    value: int


async def _step(state: State) -> dict[str, Any]:
    await noop()
    return {}


def _napper(seconds: float) -> Any:
    async def step(state: State) -> dict[str, Any]:
        await nap(seconds)
        return {}

    return step


def _through(state: State) -> dict[str, Any]:
    return {}


class LangGraph(Entrant):
    """Supersteps over a static graph."""

    def job(self, graph: StateGraph[State], depth: int) -> Job:
        """Runs of the compiled graph."""
        compiled = graph.compile()

        async def job() -> None:
            await compiled.ainvoke({"value": 0}, {"recursion_limit": depth + 10})

        return job

    def chain(self, steps: int) -> Job:
        """A node per step."""
        graph = StateGraph(State)
        before = START
        for number in range(steps):
            graph.add_node(f"n{number}", _step)
            graph.add_edge(before, f"n{number}")
            before = f"n{number}"
        graph.add_edge(before, END)
        return self.job(graph, steps)

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """A join node between two layers."""
        graph = StateGraph(State)
        before = START
        for layer in range(layers):
            names = [f"n{layer}-{number}" for number in range(width)]
            for name in names:
                graph.add_node(name, _step)
                graph.add_edge(before, name)
            before = f"join{layer}"
            graph.add_node(before, _through)
            graph.add_edge(names, before)
        graph.add_edge(before, END)
        return self.job(graph, 2 * layers)

    def skewed(self, skew: Skew) -> Job:
        """A path of nodes per branch."""
        graph = StateGraph(State)
        ends = []
        for row, naps in enumerate(skew.branches):
            before = START
            for column, seconds in enumerate(naps):
                graph.add_node(f"n{row}-{column}", _napper(seconds))
                graph.add_edge(before, f"n{row}-{column}")
                before = f"n{row}-{column}"
            ends.append(before)
        graph.add_node("join", _through)
        graph.add_edge(ends, "join")
        graph.add_edge("join", END)
        return self.job(graph, skew.length)


ENTRANT = LangGraph
