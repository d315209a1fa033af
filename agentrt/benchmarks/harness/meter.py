"""Whose CPU time a run took: the engine's, ours, and that of others, who make times mean less."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from agentrt.engine.process import session_members

PROC = Path("/proc")


class Reading(NamedTuple):
    """Seconds so far: of the wall clock; CPU of the engine's processes, of our own, and of the whole machine."""

    wall: float
    engine: float
    own: float
    machine: float


def read(session: int) -> Reading:
    """A reading now; ``session`` is the process id by which the engine's processes are known."""
    engine = sum(cpu_seconds(pid) for pid in session_members(session))
    times = os.times()
    return Reading(time.monotonic(), engine, times.user + times.system, machine_seconds())


def others(before: Reading, after: Reading) -> float:
    """The share of the machine's CPU time that went to neither the engine nor us, from 0 to 1."""
    spent = Reading(*(late - early for early, late in zip(before, after, strict=True)))
    whole = spent.wall * (os.cpu_count() or 1)
    return max(0.0, min(1.0, (spent.machine - spent.engine - spent.own) / whole)) if whole > 0 else 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, 0 when it has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Time that all cores were busy, or were taken from a virtual machine."""
    user, nice, system, _, _, irq, softirq, steal = map(int, (PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
