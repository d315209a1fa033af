"""Whose CPU time a run took: the engine's, ours, and that of others, who make times mean less."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

PROC = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OFTEN: Final = 0.5


class Reading(NamedTuple):
    """Seconds so far: of the wall clock; CPU of the engine's processes, of our own and those that it started (tools,
    graders), and of the whole machine."""

    wall: float
    engine: float
    own: float
    machine: float


class _Row(NamedTuple):
    """What a living process tells: CPU seconds of its own, and of those that it started and that have ended."""

    parent: int
    session: int
    own: float
    reaped: float


def read(session: int) -> Reading:
    """A reading now; ``session`` is the process id by which the engine's processes are known."""
    rows = {int(name): row for name in os.listdir(PROC) if name.isdigit() and (row := _row(name))}  # noqa: PTH208 - fast
    engine = {pid for pid, row in rows.items() if session and row.session == session}
    own = _below(os.getpid(), rows) - engine
    return Reading(
        time.monotonic(),
        sum(rows[pid].own for pid in engine),
        sum(rows[pid].own + rows[pid].reaped for pid in own),
        machine_seconds(),
    )


class Share:
    """The share that others take while several entries run at once. One reading serves many of them: it costs
    milliseconds on a machine with many processes, and tells little of less time than ``_OFTEN`` seconds."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._last = read(session)
        self._share = 0.0

    def reading(self) -> Reading:
        """Not much older than now."""
        if time.monotonic() - self._last.wall >= _OFTEN:
            before, self._last = self._last, read(self._session)
            self._share = others(before, self._last)
        return self._last

    def since(self, before: Reading) -> float:
        """The share since then; of no time at all, the one that was known last."""
        now = self.reading()
        return others(before, now) if now.wall > before.wall else self._share


def _below(root: int, rows: Mapping[int, _Row]) -> set[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid, row in rows.items():
        children.setdefault(row.parent, []).append(pid)
    found, new = set(), [root]
    while new:
        pid = new.pop()
        found.add(pid)
        new += children.get(pid, ())
    return found & rows.keys()


def _row(pid: str) -> _Row | None:
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as stream:  # noqa: PTH123 - fast
            text = stream.read()
    except OSError:  # it has ended
        return None
    fields = text.rpartition(b")")[2].split()
    user, system, reaped_user, reaped_system = (int(one) / _TICKS for one in fields[11:15])
    return _Row(int(fields[1]), int(fields[3]), user + system, reaped_user + reaped_system)


def others(before: Reading, after: Reading) -> float:
    """The share of the machine's CPU time that went to neither the engine nor us, from 0 to 1."""
    spent = Reading(*(late - early for early, late in zip(before, after, strict=True)))
    whole = spent.wall * (os.cpu_count() or 1)
    return max(0.0, min(1.0, (spent.machine - spent.engine - spent.own) / whole)) if whole > 0 else 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, 0 when it has ended."""
    row = _row(str(pid))
    return row.own if row is not None else 0.0


def machine_seconds() -> float:
    """Time that all cores were busy, or were taken from a virtual machine."""
    user, nice, system, _, _, irq, softirq, steal = map(int, (PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS
