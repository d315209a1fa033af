"""Policies on whole workloads in simulated time: a forecast in seconds, before any engine is started."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agentrt.kvcache.admission import Admission
from agentrt.kvcache.policies import POLICIES, policy
from agentrt.kvcache.simulator.closed import simulate
from agentrt.kvcache.simulator.engine import EngineModel
from agentrt.kvcache.simulator.hinted import Hinted, Truth
from agentrt.kvcache.simulator.jobs import Job, coding_jobs, draw, shrink, working_set
from agentrt.kvcache.simulator.orders import Lru, Order, Slru
from agentrt.kvcache.simulator.replay import belady
from agentrt.kvcache.simulator.traces import read_jobs

TURNS: Final = 10
REPLIES: Final = (4, 16)
"""Shortest and longest reply, in tokens."""
GAP_S: Final = 0.7
LONGEST_GAP_S: Final = 3.0
"""Mean and longest tool time, in seconds."""
MADE_UP: Final = 64


@dataclass(frozen=True, slots=True)
class Forecast:
    """One policy against one pool. Times are simulated seconds, ``regenerated`` and ``oracle`` tokens; ``oracle`` is
    what Bélády's order would have regenerated on the sequence that this policy led to."""

    programs: int
    pressure: float
    pool: int
    policy: str
    admission: bool
    mean: float
    p95: float
    regenerated: int
    oracle: int
    over_lru: float


def simulated(
    trace: Path | None, programs: Sequence[int], pressures: Sequence[float], tokens: int, seed: int
) -> Iterator[Forecast]:
    """Every policy with and without admission.

    ``tokens`` are those of all contexts together. What they share counts once in the working set, of which the pool is
    a part. Raises ``ConfigError`` for a bad trace, or a pool that is too small for a context.
    """
    source = coding_jobs(MADE_UP, seed=seed) if trace is None else read_jobs(trace)
    for count in programs:
        drawn = draw(source, count, seed=seed, least=TURNS)
        jobs = shrink(
            drawn, context=tokens // count, gap=GAP_S, longest_gap=LONGEST_GAP_S, turns=TURNS, outputs=REPLIES
        )
        for pressure in pressures:
            yield from _against(jobs, pressure)


def _against(jobs: Sequence[Job], pressure: float) -> Iterator[Forecast]:
    pool = round(working_set(jobs) / pressure)
    base = 0.0
    for order, held in _contestants(pool):
        found = simulate(jobs, EngineModel(pool=pool), order, admission=Admission(pool) if held else None)
        base = base or found.mean
        oracle = belady(found.accesses, pool).regenerated
        yield Forecast(
            len(jobs), pressure, pool, order.name, held, found.mean, found.at(0.95), found.regenerated, oracle,
            found.mean / base,
        )  # fmt: skip


def _contestants(pool: int) -> Iterator[tuple[Order, bool]]:
    """Orders of eviction and whether programs are held back; plain LRU first. ``truth`` knows when all are needed."""
    yield Lru(), False
    yield Slru(), False
    yield Lru(), True
    for name in POLICIES:
        if name != "none":
            yield Hinted(policy(name), pool, whole=False), False
            yield Hinted(policy(name), pool, whole=False), True
    yield Hinted(Truth(), pool, whole=False), False


def as_text(found: Sequence[Forecast]) -> str:
    """A line for each forecast."""
    head = f"{'programs':>8}{'pressure':>10}{'pool':>10}  {'policy':<16}{'admission':>9}{'mean s':>10}{'p95 s':>10}"
    lines = [head + f"{'regenerated':>13}{'/ Bélády':>10}{'/ lru':>8}"]
    for one in found:
        over = f"{one.regenerated / one.oracle:.2f}" if one.oracle else "-"
        lines.append(
            f"{one.programs:>8}{one.pressure:>10g}{one.pool:>10,}  {one.policy:<16}{_yes(one.admission):>9}"
            f"{one.mean:>10.2f}{one.p95:>10.2f}{one.regenerated:>13,}{over:>10}{one.over_lru:>8.2f}"
        )
    return "\n".join([*lines, "Simulated seconds of a 135M model on two CPU cores: a forecast, no measurement."])


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def as_json(found: Sequence[Forecast]) -> str:
    """The forecasts as one JSON array."""
    return json.dumps([asdict(one) for one in found], indent=2)
