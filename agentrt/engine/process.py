"""What Linux tells about processes, read from ``/proc``; and the way to end a whole session of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_S = 0.05
TAIL_LINES = 30


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The few fields of ``/proc/PID/stat`` that matter here."""

    pid: int
    state: str
    session: int
    started: int
    """Clock ticks after boot; with the pid it names one process for good, pids being used again."""

    @property
    def alive(self) -> bool:
        """It runs; a zombie has ended and only waits for its parent to look."""
        return self.state not in "ZX"


def stat(pid: int) -> ProcessStat | None:
    """What is known of ``pid``, or ``None`` when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return ProcessStat(pid, state=fields[0], session=int(fields[3]), started=int(fields[19]))


def running(pid: int, started: int) -> bool:
    """Whether the process that had ``pid`` and began at ``started`` still runs."""
    found = stat(pid)
    return found is not None and found.started == started and found.alive


def session_members(session: int) -> list[int]:
    """The pids of all living processes of ``session``."""
    found = (stat(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [each.pid for each in found if each and each.session == session and each.alive]


def memory_bytes(session: int) -> int:
    """The memory that the processes of ``session`` hold, a shared page divided among those that share it."""
    return sum(_proportional_bytes(pid) for pid in session_members(session))


def _proportional_bytes(pid: int) -> int:
    try:
        rows = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it ended, or is not ours to look into
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def uptime_of(found: ProcessStat) -> float:
    """For how many seconds ``found`` has been running."""
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return since_boot - found.started / os.sysconf("SC_CLK_TCK")


def end_session(session: int, *, grace_s: float, reap: Callable[[], object] = lambda: None) -> bool:
    """End every process of ``session``: ask, wait ``grace_s``, then kill. Return whether asking was enough.

    ``reap`` is called while waiting; the parent passes what collects its ended child.
    """
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        for pid in session_members(session):
            _signal(pid, number)
        deadline = time.monotonic() + patience
        while session_members(session) and time.monotonic() < deadline:
            reap()
            time.sleep(POLL_S)
        reap()
        if not session_members(session):
            return number == signal.SIGTERM
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile, which is what we wanted
        os.kill(pid, number)


def tail(path: Path | str, lines: int = TAIL_LINES) -> str:
    """The last ``lines`` lines of a text file, or nothing when it cannot be read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(max(0, size - 400 * lines))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
