"""Burr: an application per run over a graph built once; parallel steps are sub-applications of a parallel action.

Its chain is a ring of one action, run until a counter in the state says so: a graph of 1,000 actions is not how it is
meant to be used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any, TypeAlias

from burr.core import ApplicationBuilder, ApplicationContext, Condition, GraphBuilder, State, action, default
from burr.core.parallelism import RunnableGraph, SubGraphTask, TaskBasedParallelAction
from burr.core.persistence import AsyncBaseStatePersister, BaseStatePersister

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop

Persister: TypeAlias = BaseStatePersister | AsyncBaseStatePersister
"""Writes in the event loop, or elsewhere."""


@action(reads=[], writes=[])
async def _step(state: State) -> State:
    await noop()
    return state


@action(reads=["count"], writes=["count"])
async def _counted(state: State) -> State:
    await noop()
    return state.update(count=state["count"] + 1)


@action(reads=[], writes=[])
async def _end(state: State) -> State:
    return state


def _napper(seconds: float) -> Any:
    @action(reads=[], writes=[])
    async def step(state: State) -> State:
        await nap(seconds)
        return state

    return step


class _Parallel(TaskBasedParallelAction):
    """Runs the given graphs side by side."""

    def __init__(self, graphs: list[RunnableGraph], persister: Persister | None) -> None:
        super().__init__()
        self._graphs = graphs
        self._persister = persister

    @property
    def reads(self) -> list[str]:
        return []

    @property
    def writes(self) -> list[str]:
        return []

    def is_async(self) -> bool:
        return True

    async def tasks(
        self, state: State, context: ApplicationContext, inputs: dict[str, Any]
    ) -> AsyncGenerator[SubGraphTask, None]:
        for number, graph in enumerate(self._graphs):
            yield SubGraphTask(
                graph=graph,
                inputs={},
                state=state,
                application_id=f"{context.app_id}-{context.sequence_id}-{number}",
                state_persister=self._persister,
            )

    async def reduce(self, state: State, states: AsyncGenerator[State, None]) -> State:
        async for _ in states:
            pass
        return state


def _line(actions: list[Any]) -> RunnableGraph:
    """A graph of actions one after the other."""
    names = [f"n{number}" for number in range(len(actions))]
    builder = GraphBuilder().with_actions(**dict(zip(names, actions, strict=True)))
    return RunnableGraph(builder.with_transitions(*pairwise(names)).build(), names[0], [names[-1]])


class Burr(Entrant):
    """State machine applications."""

    persister: Persister | None = None

    def job(self, runnable: RunnableGraph, **state: Any) -> Job:
        """An application for each run."""

        async def job() -> None:
            builder = ApplicationBuilder().with_graph(runnable.graph).with_entrypoint(runnable.entrypoint)
            if self.persister is not None:
                builder = builder.with_state_persister(self.persister)
            builder = builder.with_state(**state)
            in_loop = isinstance(self.persister, BaseStatePersister)
            application = builder.build() if in_loop else await builder.abuild()
            await application.arun(halt_after=runnable.halt_after)

        return job

    def chain(self, steps: int) -> Job:
        """One action, again and again."""
        graph = (
            GraphBuilder()
            .with_actions(step=_counted, end=_end)
            .with_transitions(
                ("step", "end", Condition(["count"], lambda state: state["count"] >= steps)),
                ("step", "step", default),
            )
            .build()
        )
        return self.job(RunnableGraph(graph, "step", ["end"]), count=0)

    def wide(self, steps: int) -> Job:
        """One parallel action."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """A parallel action after the other."""
        single = _line([_step])
        return self.job(_line([_Parallel([single] * width, self.persister) for _ in range(layers)]))

    def skewed(self, skew: Skew) -> Job:
        """A sub-application per branch."""
        branches = [_line([_napper(seconds) for seconds in naps]) for naps in skew.branches]
        return self.job(_line([_Parallel(branches, self.persister)]))


ENTRANT = Burr
