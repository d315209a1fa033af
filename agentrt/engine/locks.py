"""One process at a time: a lock on a file that goes away with its holder, and tells the others who that is.

``flock`` belongs to an open file, so a child that inherits the descriptor keeps the lock: a download outlives a
killed parent, and nobody else writes into the same folder meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentrt.engine.progress import Progress

POLL_S = 0.1


@contextmanager
def locked(path: Path, purpose: str, progress: Progress) -> Iterator[int]:
    """Hold the lock at ``path`` and yield its file descriptor; say for whom we wait while another holds it.

    ``purpose`` is what others read while they wait: "process 123 is <purpose>".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(descriptor, progress)
        _write(descriptor, f"process {os.getpid()} is {purpose}")
        yield descriptor
        _write(descriptor, "")
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, progress: Progress) -> None:
    told = None
    while not _try(descriptor):
        holder = _read(descriptor)
        if holder != told:
            told = holder
            progress.step(f"Waiting: {holder or 'another process is at it'}")
        progress.tick()
        time.sleep(POLL_S)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode(errors="replace")


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
