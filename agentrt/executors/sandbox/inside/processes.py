"""The processes of a box, seen from outside: which there are, what they hold, and signals to them."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def descendants(root: int, most: int = 1 << 22) -> list[int]:
    """All processes below ``root``, parents before children; some of them when they are more than ``most``.

    They may grow faster than one can look.
    """
    found: list[int] = []
    fresh = [root]
    while fresh and len(found) <= most:
        fresh = [child for parent in fresh for child in children(parent)]
        found += fresh
    return found


def children(parent: int) -> list[int]:
    """The processes that ``parent`` started, or had left to it."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    except _GONE:
        pass
    return found


def held(pids: list[int]) -> tuple[int, int]:
    """How many threads these processes have, and how many bytes of memory, shared pages counted for each."""
    threads = memory = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except _GONE:
            continue
        threads += int(fields[17])
        memory += int(fields[21]) * _PAGE
    return threads, memory


def fair(pids: list[int]) -> int:
    """The same memory with shared pages divided among those who share them: slower to ask."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith(b"Pss:")), 0) * 1024
        except _GONE:
            continue
    return total


def deleted_files(pids: list[int]) -> int:
    """Bytes on disk of files that have no name any more and are held open."""
    sizes: dict[tuple[int, int], int] = {}
    for status in (status for pid in pids for status in _open_files(pid)):
        if status.st_nlink == 0:
            sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            yield os.stat(f"/proc/{pid}/fd/{number}")
    except OSError:
        pass


def tell(pids: list[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except _GONE:
            pass


def end_all(root: int) -> None:
    """Kill everything below ``root``, which starts anew as long as it can: it is stopped before it is killed."""
    before: list[int] = []
    for _ in range(100):
        pids = descendants(root)
        if pids == before:
            break
        tell(pids, signal.SIGSTOP)
        before = pids
    tell(before, signal.SIGKILL)
