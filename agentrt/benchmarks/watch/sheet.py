"""What was found: tables, verdicts and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import exp, log, sqrt
from statistics import fmean, median, quantiles, stdev
from typing import Any, Final, NamedTuple

from agentrt.benchmarks.overhead.sheet import Sheet, with_disk
from agentrt.benchmarks.watch.measures import Arm, Key, Paint, Watch

SHARE: Final = 0.15
"""Of one core, that a watcher may take."""

KEY_S: Final = 0.05
PAINT_S: Final = 1.0
NOTICED: Final = 0.01
MIB: Final = 2**20

_T95: Final = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t for 95% and 1, 2, ... degrees of freedom."""


@dataclass(slots=True)
class Findings:
    """Everything that was measured; ``arms`` by how fast the program ran."""

    paint: Paint | None = None
    watches: list[Watch] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    arms: dict[str, list[Arm]] = field(default_factory=dict)


class Ratio(NamedTuple):
    """A ratio and its confidence interval at 95%."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value - 1:+.1%} ({self.low - 1:+.1%} to {self.high - 1:+.1%})"


def ratio(ours: Sequence[float], base: Sequence[float]) -> Ratio:
    """The mean ratio of pairs, a round each, with its interval: by Student's t on their logarithms."""
    logs = [log(one / other) for one, other in zip(ours, base, strict=True)]
    mean = fmean(logs)
    if len(logs) < 2:
        return Ratio(exp(mean), 0.0, float("inf"))
    reach = _T95[min(len(logs) - 2, len(_T95) - 1)] * stdev(logs) / sqrt(len(logs))
    return Ratio(exp(mean), exp(mean - reach), exp(mean + reach))


def percentile(seconds: Sequence[float], percent: int) -> float:
    """The time that so many percent did not exceed."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] if len(seconds) > 1 else seconds[0]


def sheet(found: Findings, folder: str | None) -> Sheet:
    """The tables, the verdicts and what the figures depend on."""
    tables = [table for table in (_watches(found), _keys(found), _paint(found), _arms(found)) if len(table) > 1]
    where = with_disk(folder) | {"load at the end": f"{os.getloadavg()[0]:.1f}"}
    return Sheet("terminal of 160 by 50", tables, remarks(found), where)


def _watches(found: Findings) -> list[list[str]]:
    names = ("1st", "2nd", "3rd", "4th")
    head = [f"CPU of one core, MiB: {name} quarter" for name in names]
    rows = [
        [
            watch.screen,
            f"{watch.steps:,} in {watch.seconds:.0f} s",
            f"{watch.rows:.0f}",
            *(f"{quarter.share:.1%}, {quarter.resident / MIB:.0f}" for quarter in watch.quarters),
            f"{watch.share:.1%}",
            f"{watch.bytes_a_step:,.0f}",
        ]
        for watch in found.watches
    ]
    return [["screen", "steps", "events a second", *head, "CPU over all", "bytes a step"], *rows]


def _keys(found: Findings) -> list[list[str]]:
    rows = [[key.name, key.does, str(len(key.seconds)), *_spread(key.seconds), str(key.missed)] for key in found.keys]
    return [["key", "does", "presses", "p50 ms", "p95 ms", "most ms", "not within 1 s"], *rows]


def _spread(seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return ["-", "-", "-"]
    return [f"{1000 * one:.0f}" for one in (median(seconds), percentile(seconds, 95), max(seconds))]


def _paint(found: Findings) -> list[list[str]]:
    head = ["from the command to", "starts", "median s", "most s"]
    if found.paint is None:
        return [head]
    named = (("the first text", found.paint.text), ("the run on the screen", found.paint.picture))
    rows = [[name, str(len(times)), f"{median(times):.2f}", f"{max(times):.2f}"] for name, times in named]
    return [head, *rows]


def _arms(found: Findings) -> list[list[str]]:
    rows = []
    for pace, (alone, *others) in found.arms.items():
        rows.append([pace, alone.name, f"{median(alone.cpu):.2f}", "", f"{median(alone.wall):.2f}", ""])
        for arm in others:
            cpu, wall = ratio(arm.cpu, alone.cpu), ratio(arm.wall, alone.wall)
            rows.append([pace, arm.name, f"{median(arm.cpu):.2f}", str(cpu), f"{median(arm.wall):.2f}", str(wall)])
    return [["the run's process", "", "CPU s", "CPU to alone (95%)", "wall s", "wall to alone (95%)"], *rows]


def remarks(found: Findings) -> list[str]:
    """Verdicts on what is promised."""
    return list(_verdicts(found))


def _verdicts(found: Findings) -> Iterator[str]:
    if found.watches:
        most = max(found.watches, key=lambda watch: watch.share)
        yield _verdict(f"{most.share:.1%} of one core on {most.screen}", most.share < SHARE, f"below {SHARE:.0%}")
    if times := [one for key in found.keys for one in key.seconds]:
        late = percentile(times, 95)
        missed = sum(key.missed for key in found.keys)
        met = late < KEY_S and not missed
        yield _verdict(f"a key is answered in {1000 * late:.0f} ms (p95), {missed} missed", met, f"{1000 * KEY_S:g} ms")
    if found.paint is not None:
        first = median(found.paint.text)
        yield _verdict(f"first text after {first:.2f} s", first < PAINT_S, f"{PAINT_S:g} s")
    for pace, (alone, *others) in found.arms.items():
        cpu = ratio(others[-1].cpu, alone.cpu)
        if cpu.low - 1 < NOTICED < cpu.high - 1:
            yield f"{pace}: watched, the run takes {cpu} CPU, target below {NOTICED:.0%}: cannot be told"
        else:
            yield _verdict(f"{pace}: watched, the run takes {cpu} CPU", cpu.high - 1 < NOTICED, f"below {NOTICED:.0%}")


def _verdict(what: str, met: bool, target: str) -> str:
    return f"{what}, target {target}: {'met' if met else 'MISSED'}"


def as_json(found: Findings, folder: str | None) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "environment": with_disk(folder) | {"load": os.getloadavg()[0]},
        "paint": None if found.paint is None else asdict(found.paint),
        "watches": [
            {**asdict(watch), "quarters": [one._asdict() for one in watch.quarters], "bytes_a_step": watch.bytes_a_step}
            for watch in found.watches
        ],
        "keys": [key._asdict() for key in found.keys],
        "arms": {pace: [asdict(arm) for arm in arms] for pace, arms in found.arms.items()},
    }
