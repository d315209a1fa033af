"""LangGraph's graph API with its SQLite saver.

``durability="sync"`` has every checkpoint written before the next superstep. A graph of 1,000 nodes would be slower, as
each checkpoint holds the versions of all nodes that ran before. So the chain is one node that goes to itself until a
counter in the state says so, and layers are sent to one node, which is the documented way to map over a list.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Self

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from agentrt.benchmarks.overhead.contract import DurableEntrant, Job, noop
from agentrt.benchmarks.overhead.entrants.langgraph_graph import LangGraph, State
from agentrt.benchmarks.overhead.ledger import modes


class Saved(DurableEntrant):
    """Opens the saver, with a connection of its own."""

    saver: AsyncSqliteSaver

    async def __aenter__(self) -> Self:
        self._connection = await aiosqlite.connect(self.file)
        await self._connection.execute(f"PRAGMA synchronous={self.sync}")
        self.saver = AsyncSqliteSaver(self._connection)
        await self.saver.setup()
        self._threads = count(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def modes(self) -> str:
        """Asked of the saver's connection."""
        return await modes(self._connection)

    def config(self, depth: int) -> dict[str, Any]:
        """A thread of its own for each run."""
        return {"configurable": {"thread_id": str(next(self._threads))}, "recursion_limit": depth + 10}


class DurableLangGraph(Saved, LangGraph):
    """Supersteps with a checkpoint after each."""

    recorded = "SELECT count(*) FROM checkpoints WHERE json_extract(CAST(metadata AS TEXT), '$.step') > 0"

    def job(self, graph: StateGraph[State], depth: int) -> Job:
        """Runs of the compiled graph, each a new thread."""
        compiled = graph.compile(checkpointer=self.saver)

        async def job() -> None:
            await compiled.ainvoke({"value": 0}, self.config(depth), durability="sync")

        return job

    def chain(self, steps: int) -> Job:
        """One node, again and again."""

        async def step(state: State) -> dict[str, Any]:
            await noop()
            return {"value": state["value"] + 1}

        graph = StateGraph(State)
        graph.add_node("step", step)
        graph.add_edge(START, "step")
        graph.add_conditional_edges("step", lambda state: "step" if state["value"] < steps else END)
        return self.job(graph, steps)

    def layered(self, layers: int, width: int) -> Job:
        """One node counts the layers and sends each to another."""

        async def step(state: State) -> dict[str, Any]:
            await noop()
            return {}

        async def next_layer(state: State) -> dict[str, Any]:
            return {"value": state["value"] + 1}

        def spread(state: State) -> Any:
            return [Send("step", {})] * width if state["value"] <= layers else END

        graph = StateGraph(State)
        graph.add_node("next", next_layer)
        graph.add_node("step", step)
        graph.add_edge(START, "next")
        graph.add_conditional_edges("next", spread, ["step", END])
        graph.add_edge("step", "next")
        return self.job(graph, 2 * layers)


ENTRANT = DurableLangGraph
