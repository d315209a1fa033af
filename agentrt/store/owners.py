"""Which process has a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from agentrt.store.rows import OwnerRow

BEAT_S: Final = 5.0
"""Seconds between two signs of life."""

DEAD_S: Final = 30.0
"""Seconds without a sign of life after which a process on another machine counts as dead."""


_here: Final[set[str]] = set()


def myself() -> OwnerRow:
    """This process, under a new name."""
    pid = os.getpid()
    return OwnerRow(uuid4().hex[:12], _machine(), pid, _born(pid) or 0.0, time.time())


def enter(owner: OwnerRow) -> None:
    """This process has runs under that name, from now on."""
    _here.add(owner.id)


def leave(owner: OwnerRow) -> None:
    """It has none any more, whether or not the journal could be told."""
    _here.discard(owner.id)


def alive(owner: OwnerRow, now: float) -> bool:
    """Whether the process still runs: looked up on this machine, believed of others while they give signs of life.

    ``now`` is by the clock that signs of life are given by.
    """
    if owner.host == _machine():
        born = _born(owner.pid)
        if owner.pid == os.getpid() and born == owner.born:
            return owner.id in _here
        if born != 0.0:
            return born == owner.born
    return now - owner.beat < DEAD_S


def _machine() -> str:
    """The machine's name and what tells its boots apart: a process id means nothing after a restart."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    namespace = ""
    with suppress(OSError):  # containers on one machine have processes of their own
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _born(pid: int) -> float | None:
    """When a process started, by its system's clock; ``None`` if there is none, 0 where that cannot be told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return _signalled(pid)
    except OSError:  # it ended while it was read
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else float(fields[19])


def _signalled(pid: int) -> float | None:
    """For systems that show no processes, or not those of other users."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return 0.0
