"""What is run: cells of the table, each with those who take part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agentrt.benchmarks.kv.contestants import THUNDERAGENT, Contestant, named
from agentrt.benchmarks.kv.workloads import Size, Workload
from agentrt.errors import ConfigError

NONE: Final = 0.5
"""The pressure that is called none: the pool is twice the working set."""
ROOM: Final = 1.05
"""A pool is used only where the largest context, times this, fits into it."""

STOCK: Final = "lru,slru,priority,tlru,session"
HICACHE: Final = "hicache"
FAULTS: Final = "dropped,delayed,random"
HOST_SCARCE: Final = 1.5
HOST_AMPLE: Final = 6.0
"""Size of the host tier over that of the pool."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table: a workload at one size against one pool.

    ``pressure`` is the working set over the pool. ``host`` is the size of the host tier over that of the pool, 0 where
    there is none.
    """

    workload: Workload
    size: Size
    pressure: float
    contestants: tuple[Contestant, ...]
    host: float = 0.0

    @property
    def pool(self) -> int:
        """Tokens of the engines' pool."""
        return round(self.size.working_set / self.pressure)

    @property
    def fits(self) -> bool:
        """Whether the largest context has room in the pool."""
        return self.workload.largest(self.size) * ROOM <= self.pool

    @property
    def name(self) -> str:
        """``loops 16 x2``, ``flow 1 x4 host 1.5``."""
        pressure = "fits" if self.pressure < 1 else f"x{self.pressure:g}"
        return f"{self.workload.name} {self.size.programs} {pressure}" + (f" host {self.host:g}" if self.host else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells and how often each is run. ``device`` is cpu or cuda; ``together`` engines run at once, 0 for as many
    as memory holds; ``patience`` is the seconds after which a run is given up. A run in which other processes took
    more than ``still`` of the machine is repeated up to ``again`` times, and the least disturbed counts."""

    cells: tuple[Cell, ...]
    rounds: int = 3
    device: str = "cpu"
    together: int = 0
    patience: float = 600.0
    still: float = 1.0
    again: int = 2


def standard(workloads: dict[str, Workload], base: Size, *, thunderagent: bool = False) -> list[Cell]:
    """The rows of the table of targets; with ``thunderagent`` it takes part where many programs run."""
    loops, flow, branches = workloads["loops"], workloads["flow"], workloads["branches"]
    many = replace(base, programs=16)
    one = replace(base, programs=1, working_set=base.working_set * 5 // 4)
    more = f",{THUNDERAGENT}" if thunderagent else ""
    everybody = named(f"{STOCK},none,agentrt,hints{more}")
    single = named(f"{STOCK},none,agentrt")
    return [
        Cell(loops, many, NONE, named("none,agentrt")),
        Cell(loops, many, 2, named(f"{STOCK},none,agentrt,hints,{FAULTS}{more}")),
        Cell(loops, many, 4, everybody),
        Cell(flow, one, 2, single),
        Cell(flow, one, 4, single),
        Cell(branches, replace(base, programs=8), 2, named("slru,agentrt,hints")),
        Cell(flow, one, 4, hosts(), HOST_SCARCE),
        Cell(flow, one, 4, hosts(), HOST_AMPLE),
    ]


def hosts() -> tuple[Contestant, ...]:
    """Stock HiCache and ours with a host tier."""
    return _tiered(named("host"))


def _tiered(contestants: Sequence[Contestant]) -> tuple[Contestant, ...]:
    """Those with a host tier, measured beside stock HiCache; nobody when none has one."""
    names = [one.name for one in contestants if one.engine.tiers == 2]
    return tuple(one for one in named(",".join([HICACHE, *names])) if one.engine.tiers == 2) if names else ()


def quick(workloads: dict[str, Workload], base: Size) -> list[Cell]:
    """Two rows that take a few minutes."""
    small = replace(base, programs=8, working_set=base.working_set // 2)
    return [
        Cell(workloads["loops"], small, 2, named("agentrt")),
        Cell(workloads["flow"], replace(small, programs=1), 2, named("agentrt")),
    ]


def crossed(
    workloads: Sequence[Workload],
    base: Size,
    programs: Sequence[int],
    pressures: Sequence[float],
    contestants: Sequence[Contestant],
) -> list[Cell]:
    """Every workload with every number of programs at every pressure. Contestants with a host tier get rows of their
    own. Raises ``ConfigError`` when nothing fits."""
    flat = tuple(one for one in contestants if one.engine.tiers == 1)
    tiered = _tiered(contestants)
    cells = []
    for workload in workloads:
        for count in programs:
            size = replace(base, programs=count)
            cells += [Cell(workload, size, pressure, flat) for pressure in pressures]
            if tiered:
                ratios = (HOST_SCARCE, HOST_AMPLE)
                cells += [Cell(workload, size, pressure, tiered, one) for pressure in pressures for one in ratios]
    fitting = [cell for cell in cells if cell.fits]
    if not fitting:
        raise ConfigError("in no pool is there room for a context: ask for more --programs or less --pressure")
    return fitting
