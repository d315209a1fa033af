"""Names for what a process may leave behind: they say whose it is, and whether that one still runs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def owner() -> str:
    """This process in a name: its id and when it started."""
    return f"{os.getpid()}-{started(os.getpid())}"


def alive(name: str) -> bool:
    """Whether the process that a name begins with (see ``owner``) still runs."""
    pid, _, rest = name.partition("-")
    return not pid.isdigit() or started(int(pid)) == rest.split("-")[0]


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
