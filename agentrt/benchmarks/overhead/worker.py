"""One entrant's measurement, in a process of its own: reads an ``Order`` from its argument, prints a ``Report``.

Run as ``python -m agentrt.benchmarks.overhead.worker JSON``. The report is the last line of standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module

from agentrt.benchmarks.overhead.contract import Entrant, Job, Shape, Skew, ran

WARM_UP_STEPS = 50
REPEAT_SECONDS = 1.5
MOST_REPEATS = 7


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure: ``entrant`` is a module of this package's ``entrants``."""

    entrant: str
    shapes: tuple[Shape, ...]
    steps: int
    skew: Skew


@dataclass(frozen=True, slots=True)
class Figure:
    """One shape: seconds of CPU, all threads of the process, and of wall time, for one run of ``steps`` steps.

    Medians of several runs; ``best`` is the shortest wall time of any.
    """

    steps: int
    cpu: float
    wall: float
    best: float


@dataclass(frozen=True, slots=True)
class Report:
    """What one process found. ``import_seconds`` is CPU; ``peak_mib`` its largest resident set."""

    figures: dict[str, Figure]
    import_seconds: float
    peak_mib: float


async def measure(entrant: Entrant, order: Order) -> dict[str, Figure]:
    """Every shape that the entrant has a meaning for."""
    figures: dict[str, Figure] = {}
    async with entrant:
        for shape in order.shapes:
            try:
                await _warm_up(entrant, shape, order)
                job = entrant.build(shape, order.steps, order.skew)
            except NotImplementedError:
                continue
            figures[shape] = await _repeat(job, order.skew.steps if shape == "skewed" else order.steps)
    return figures


async def _warm_up(entrant: Entrant, shape: Shape, order: Order) -> None:
    """Imports that happen late and code that is specialised by running are nobody's cost per step."""
    skew = Skew(chains=2, length=2, fast=0.001, slow=0.001)
    await entrant.build(shape, min(order.steps, WARM_UP_STEPS), skew)()


async def _repeat(job: Job, steps: int) -> Figure:
    """The median of a few runs; slow ones are run once."""
    figures: list[Figure] = []
    began = time.perf_counter()
    while not figures or (len(figures) < MOST_REPEATS and time.perf_counter() - began < REPEAT_SECONDS):
        figures.append(await _once(job, steps))
    cpu, wall = (statistics.median(getattr(one, name) for one in figures) for name in ("cpu", "wall"))
    return Figure(steps, cpu, wall, min(one.best for one in figures))


async def _once(job: Job, steps: int) -> Figure:
    ran.clear()
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await job()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if len(ran) != steps:
        raise RuntimeError(f"{len(ran)} steps ran, expected {steps}")
    return Figure(steps, cpu, wall, wall)


def main(argument: str) -> None:
    """Measure what the order says."""
    fields = json.loads(argument)
    order = Order(fields["entrant"], tuple(fields["shapes"]), fields["steps"], Skew(**fields["skew"]))
    cpu = time.process_time()
    entrant: Entrant = import_module(f"{__package__}.entrants.{order.entrant}").ENTRANT()
    imported = time.process_time() - cpu
    figures = asyncio.run(measure(entrant, order))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print("\n" + json.dumps(asdict(Report(figures, imported, peak))))


if __name__ == "__main__":
    main(sys.argv[1])
