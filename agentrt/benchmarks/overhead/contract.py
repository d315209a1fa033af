"""What every entrant of the overhead benchmark does: build a graph of no-op steps, then run it once per call.

The steps come from here, so that all entrants run the same ones, and each leaves a mark in ``ran``, so that none can
win by leaving steps out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

Job: TypeAlias = Callable[[], Awaitable[object]]
"""Runs a graph that has been built before, from start to end; may be called again."""

Shape: TypeAlias = Literal["chain", "wide", "layered", "dense", "skewed"]

SHAPES: Final[tuple[Shape, ...]] = ("chain", "wide", "layered", "dense", "skewed")

DURABLE_SHAPES: Final[tuple[Shape, ...]] = ("chain", "wide", "layered")

LONG_SHAPES: Final[tuple[Shape, ...]] = ("chain", "layered")

LONG_LAYER: Final = 100
"""Steps in each layer of a long run."""

Sync: TypeAlias = Literal["normal", "full"]
"""SQLite's ``synchronous``: what was committed outlives a killed process, or a power cut as well."""

SYNCS: Final[tuple[Sync, ...]] = ("normal", "full")

LONG: Final = 100_000
"""Steps of a long run, unless it is told otherwise."""

LAYERS: Final = 10
"""``layered`` and ``dense`` divide their steps among this many layers."""

ran: list[None] = []
"""One entry for each step that has run; appending is atomic, so threads may do it."""


async def noop(value: Any = None) -> Any:
    """The step whose cost is all overhead: gives back what it was given."""
    ran.append(None)
    return value


async def sink(value: Any) -> None:
    """The same for ``dense``, where handing values on would nest them ten layers deep."""
    ran.append(None)


async def nap(seconds: float) -> float:
    """The step of the skewed graph."""
    ran.append(None)
    await asyncio.sleep(seconds)
    return seconds


@dataclass(frozen=True, slots=True)
class Skew:
    """Independent chains of unequal pace: ``chains`` of ``length`` steps of ``fast`` seconds, and one step of ``slow``.

    Nothing depends on the slow step but the end, so it hides behind the chains, unless a barrier makes their second
    steps wait for it.
    """

    chains: int = 10
    length: int = 10
    fast: float = 0.02
    slow: float = 0.1

    @property
    def branches(self) -> tuple[tuple[float, ...], ...]:
        """The steps' seconds, branch by branch, the slow one first."""
        return ((self.slow,), *((self.fast,) * self.length for _ in range(self.chains)))

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return sum(len(branch) for branch in self.branches)

    @property
    def critical_path(self) -> float:
        """Seconds of the longest branch."""
        return max(sum(branch) for branch in self.branches)


class Entrant:
    """One way to run a graph. A subclass builds every shape as its library's documentation says.

    An entrant is an async context manager for what outlives single runs (a cluster, a server). A shape it has no
    meaning for raises ``NotImplementedError``.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def chain(self, steps: int) -> Job:
        """Steps one after the other, each with the value of the one before."""
        raise NotImplementedError

    def wide(self, steps: int) -> Job:
        """Steps that are all ready at once, and a join."""
        raise NotImplementedError

    def layered(self, layers: int, width: int) -> Job:
        """Layers of steps; a layer starts when the one before is complete."""
        raise NotImplementedError

    def dense(self, layers: int, width: int) -> Job:
        """Layers of steps, each of which takes the values of all steps of the layer before."""
        raise NotImplementedError

    def skewed(self, skew: Skew) -> Job:
        """Chains of unequal pace, and a join."""
        raise NotImplementedError

    def build(self, shape: Shape, steps: int, skew: Skew) -> Job:
        """The graph of that shape with that many steps (``skewed`` has its own number)."""
        if shape == "chain":
            return self.chain(steps)
        if shape == "wide":
            return self.wide(steps)
        if shape == "skewed":
            return self.skewed(skew)
        layered = self.layered if shape == "layered" else self.dense
        return layered(LAYERS, steps // LAYERS)


class DurableEntrant(Entrant):
    """An entrant that records every step's result in an SQLite file in WAL mode.

    ``recorded`` is a query that counts the steps of a chain whose results are in the file; it is asked through another
    connection, while the chain runs.
    """

    recorded: ClassVar[str]

    def __init__(self, file: Path, sync: Sync) -> None:
        self.file = file
        self.sync = sync

    async def modes(self) -> str:
        """What its own connection says of ``journal_mode`` and ``synchronous``, such as ``wal, normal``."""
        raise NotImplementedError
