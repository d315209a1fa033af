"""pydantic-graph's builder API: steps, map edges and joins. Building checks the graph; that is not measured."""

from __future__ import annotations

from typing import Any

from pydantic_graph import GraphBuilder, StepContext
from pydantic_graph.join import reduce_null

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop


async def _step(context: StepContext[None, None, Any]) -> Any:
    return await noop(context.inputs)


def _napper(seconds: float) -> Any:
    async def step(context: StepContext[None, None, Any]) -> None:
        await nap(seconds)

    return step


class PydanticGraph(Entrant):
    """The builder API."""

    def chain(self, steps: int) -> Job:
        """A step node per step."""
        graph = GraphBuilder(input_type=int, output_type=int)
        before: Any = graph.start_node
        for number in range(steps):
            node = graph.step(_step, node_id=f"n{number}")
            graph.add(graph.edge_from(before).to(node))
            before = node
        graph.add(graph.edge_from(before).to(graph.end_node))
        built = graph.build()
        return lambda: built.run(inputs=0)

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """A map over a list, and a join, for each layer."""

        async def spread(context: StepContext[None, None, Any]) -> list[int]:
            return items

        items = list(range(width))
        graph = GraphBuilder(input_type=int, output_type=int)
        before: Any = graph.start_node
        for layer in range(layers):
            source = graph.step(spread, node_id=f"spread{layer}")
            node = graph.step(_step, node_id=f"n{layer}")
            join = graph.join(reduce_null, initial=None, node_id=f"join{layer}")
            graph.add(
                graph.edge_from(before).to(source),
                graph.edge_from(source).map().to(node),
                graph.edge_from(node).to(join),
            )
            before = join
        graph.add(graph.edge_from(before).to(graph.end_node))
        built = graph.build()
        return lambda: built.run(inputs=0)

    def skewed(self, skew: Skew) -> Job:
        """A broadcast to the branches, and a join."""
        graph = GraphBuilder(input_type=int, output_type=int)
        join = graph.join(reduce_null, initial=None)
        heads = []
        for row, naps in enumerate(skew.branches):
            nodes = [graph.step(_napper(seconds), node_id=f"n{row}-{column}") for column, seconds in enumerate(naps)]
            heads.append(nodes[0])
            for before, after in zip(nodes, [*nodes[1:], join], strict=True):
                graph.add(graph.edge_from(before).to(after))
        graph.add(graph.edge_from(graph.start_node).to(*heads), graph.edge_from(join).to(graph.end_node))
        built = graph.build()
        return lambda: built.run(inputs=0)


ENTRANT = PydanticGraph
