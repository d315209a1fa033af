"""What a box is told and what it tells: limits, and how a command ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agentrt.errors import ConfigError

KilledBy = Literal["", "time", "memory", "processes", "output", "disk"]
"""The limit that ended a command; empty when it ended by itself."""

Way = Literal["bwrap", "unshare", "plain"]
"""How a command is held: by bubblewrap, by namespaces made here, or hardly at all."""

SOUND: tuple[Way, ...] = ("bwrap", "unshare")
"""The ways that contain what they run, best first."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may use; passing any but ``kept`` ends it."""

    memory: int = 2048 * MIB
    """Bytes that all its processes hold together."""
    processes: int = 256
    """Processes and threads at once."""
    disk: int = 2048 * MIB
    """Bytes by which the box's folders may grow since the box began, all calls together; also the largest file."""
    files: int = 200_000
    """The same in files and folders."""
    shared_memory: int = 64 * MIB
    """Bytes in ``/dev/shm``."""
    output: int = 64 * MIB
    """Bytes written to either of the two streams."""
    kept: int = 64 * 1024
    """Bytes kept of each stream: the first half of them from its beginning, the others from its end."""
    open_files: int = 1024
    """Files open at once in one process."""
    cpus: float | None = None
    """Cores it may use at once, where a control group can hold it to that; ``None`` for all."""
    grace: float = 1.0
    """Seconds between being asked to end and being killed, when the time is up."""

    def __post_init__(self) -> None:
        for name in ("memory", "processes", "disk", "files", "shared_memory", "output", "kept", "open_files"):
            if getattr(self, name) < 1:
                raise ConfigError(f"a sandbox's limit {name}={getattr(self, name)!r} must be at least 1")
        if self.grace < 0 or (self.cpus is not None and self.cpus < 0.01):
            raise ConfigError(f"a sandbox takes grace >= 0 and cpus >= 0.01, not {self.grace!r} and {self.cpus!r}")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended, and what it took."""

    code: int
    """Its exit status as a shell tells it: 127 not found, 128 + n ended by signal n."""
    out: str
    """What it wrote, with the middle left out when it was much; bytes that are no UTF-8 are replaced."""
    err: str
    seconds: float
    cpu_s: float
    """CPU seconds of all its processes, those that it left behind included."""
    peak_memory: int
    """The most memory its processes held at once, bytes; see ``exact``."""
    killed_by: KilledBy
    truncated: bool
    """Something was left out of ``out`` or ``err``."""
    exact: bool
    """``peak_memory`` was counted by a control group; otherwise it is the largest of many looks, where pages shared
    between processes count for each, and at least what its largest process held at its peak."""

    @property
    def ok(self) -> bool:
        """It ended by itself, with status 0."""
        return self.code == 0 and not self.killed_by
