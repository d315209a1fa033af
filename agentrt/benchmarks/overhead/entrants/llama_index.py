"""LlamaIndex Workflows: events between steps, lists of events for fan-out and fan-in.

``num_workers`` must be raised from 4, or it would queue. A chain is one step that sends the event of its next round.
"""

from __future__ import annotations

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop

PLACES = 10_000


class Turn(Event):
    """The next step of a chain."""

    left: int


class Layer(Event):
    """The next layer."""

    left: int


class Item(Event):
    """One step of a layer."""

    left: int


class Done(Event):
    """One step of a layer is done."""

    left: int


class Nap(Event):
    """The next step of a branch."""

    naps: tuple[float, ...]


class Woken(Event):
    """A branch is done."""


class Chain(Workflow):
    """A loop over one step."""

    @step
    async def start(self, event: StartEvent) -> Turn:
        """Begin."""
        return Turn(left=event.steps)

    @step
    async def turn(self, event: Turn) -> Turn | StopEvent:
        """One step."""
        await noop()
        return Turn(left=event.left - 1) if event.left > 1 else StopEvent()


class Layers(Workflow):
    """Fan-out and fan-in, again and again."""

    width: int

    @step
    async def start(self, event: StartEvent) -> Layer:
        """Begin."""
        return Layer(left=event.layers)

    @step
    async def spread(self, event: Layer) -> list[Item]:
        """Fan out."""
        return [Item(left=event.left) for _ in range(self.width)]

    @step(num_workers=PLACES)
    async def item(self, event: Item) -> Done:
        """One step."""
        await noop()
        return Done(left=event.left)

    @step
    async def join(self, events: list[Done]) -> Layer | StopEvent:
        """Fan in."""
        left = events[0].left - 1
        return Layer(left=left) if left else StopEvent()


class Branches(Workflow):
    """A loop per branch, all at once."""

    branches: tuple[tuple[float, ...], ...]

    @step
    async def start(self, context: Context, event: StartEvent) -> Nap | None:
        """Fan out."""
        for naps in self.branches:
            context.send_event(Nap(naps=naps))
        return None

    @step(num_workers=PLACES)
    async def rest(self, event: Nap) -> Nap | Woken:
        """One step."""
        await nap(event.naps[0])
        return Nap(naps=event.naps[1:]) if len(event.naps) > 1 else Woken()

    @step
    async def join(self, context: Context, event: Woken) -> StopEvent | None:
        """Fan in."""
        done = context.collect_events(event, [Woken] * len(self.branches))
        return None if done is None else StopEvent()


class LlamaIndex(Entrant):
    """Event-driven workflows."""

    def chain(self, steps: int) -> Job:
        """A loop."""
        flow = Chain(timeout=None)

        async def job() -> None:
            await flow.run(steps=steps)

        return job

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """A list of events for each layer."""
        flow = Layers(timeout=None)
        flow.width = width

        async def job() -> None:
            await flow.run(layers=layers)

        return job

    def skewed(self, skew: Skew) -> Job:
        """A loop per branch."""
        flow = Branches(timeout=None)
        flow.branches = skew.branches

        async def job() -> None:
            await flow.run()

        return job


ENTRANT = LlamaIndex
