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
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from agentrt.benchmarks.overhead import contract, ledger
from agentrt.benchmarks.overhead.contract import DurableEntrant, Entrant, Job, Shape, Skew, Sync

WARM_UP_STEPS = 50
REPEAT_SECONDS = 1.5
MOST_REPEATS = 7


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure: ``entrant`` is a module of this package's ``entrants``.

    With ``sync`` it is a durable one, whose database lies in ``folder``: ``None`` for the system's temporary one.
    """

    entrant: str
    shapes: tuple[Shape, ...]
    steps: int
    skew: Skew
    sync: Sync | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One shape: seconds of CPU, all threads of the process, and of wall time, for one run of ``steps`` steps.

    Medians of several runs; ``best`` is the shortest wall time of any. ``stored`` is the bytes by which a run makes the
    database longer, their mean.
    """

    steps: int
    cpu: float
    wall: float
    best: float
    stored: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What one process found. ``import_seconds`` is CPU; ``peak_mib`` its largest resident set.

    Of a durable entrant, ``modes`` is what its connection says of itself, and ``late`` how many results at most were
    used before they were on record.
    """

    figures: dict[str, Figure]
    import_seconds: float
    peak_mib: float
    modes: str = ""
    late: int = 0


async def measure(entrant: Entrant, order: Order) -> dict[str, Figure]:
    """Every shape that the entrant, which is open, has a meaning for."""
    figures: dict[str, Figure] = {}
    for shape in order.shapes:
        try:
            await _warm_up(entrant, shape, order)
            job = entrant.build(shape, order.steps, order.skew)
        except NotImplementedError:
            continue
        steps = order.skew.steps if shape == "skewed" else order.steps
        if isinstance(entrant, DurableEntrant):
            figures[shape] = await _repeat_and_weigh(job, steps, entrant.file)
        else:
            figures[shape], _ = await _repeat(job, steps)
    return figures


async def _warm_up(entrant: Entrant, shape: Shape, order: Order) -> None:
    """Imports that happen late and code that is specialised by running are nobody's cost per step."""
    skew = Skew(chains=2, length=2, fast=0.001, slow=0.001)
    await entrant.build(shape, min(order.steps, WARM_UP_STEPS), skew)()


async def _repeat_and_weigh(job: Job, steps: int, file: Path) -> Figure:
    before = ledger.used(file)
    figure, runs = await _repeat(job, steps)
    return replace(figure, stored=(ledger.used(file) - before) / runs)


async def _repeat(job: Job, steps: int) -> tuple[Figure, int]:
    """The median of a few runs, and how many there were; slow ones are run once."""
    figures: list[Figure] = []
    began = time.perf_counter()
    while not figures or (len(figures) < MOST_REPEATS and time.perf_counter() - began < REPEAT_SECONDS):
        figures.append(await _once(job, steps))
    cpu, wall = (statistics.median(getattr(one, name) for one in figures) for name in ("cpu", "wall"))
    return Figure(steps, cpu, wall, min(one.best for one in figures)), len(figures)


async def _once(job: Job, steps: int) -> Figure:
    contract.ran.clear()
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await job()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if len(contract.ran) != steps:
        raise RuntimeError(f"{len(contract.ran)} steps ran, expected {steps}")
    return Figure(steps, cpu, wall, wall)


def main(argument: str) -> None:
    """Measure what the order says."""
    fields = json.loads(argument)
    order = Order(**{**fields, "shapes": tuple(fields["shapes"]), "skew": Skew(**fields["skew"])})
    cpu = time.process_time()
    make = import_module(f"{__package__}.entrants.{order.entrant}").ENTRANT
    imported = time.process_time() - cpu
    report = asyncio.run(_report(make, order))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print("\n" + json.dumps(asdict(replace(report, import_seconds=imported, peak_mib=peak))))


async def _report(make: Callable[..., Entrant], order: Order) -> Report:
    if order.sync is None:
        async with make() as entrant:
            return Report(await measure(entrant, order), 0.0, 0.0)
    with TemporaryDirectory(prefix="agentrt-bench-", dir=order.folder) as folder:
        async with make(Path(folder, "bench.db"), order.sync) as entrant:
            assert isinstance(entrant, DurableEntrant)
            modes, late = await entrant.modes(), await ledger.late(entrant, min(order.steps, WARM_UP_STEPS))
            return Report(await measure(entrant, order), 0.0, 0.0, modes, late)


if __name__ == "__main__":
    main(sys.argv[1])
