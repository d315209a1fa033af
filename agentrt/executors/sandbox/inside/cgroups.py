"""Control groups (version 2): exact limits and counts where the machine lets one make them."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "agentrt-box-"


class Group:
    """One call's group. ``counted`` says whether it bounds memory and processes, or only ends them and adds up CPU."""

    __slots__ = ("counted", "path")

    def __init__(self, path: str, limits: Mapping[str, int]) -> None:
        os.mkdir(path)
        self.path = path
        self.counted = all(os.path.exists(f"{path}/{name}") for name in ("memory.max", "pids.max"))
        if self.counted:
            self._bound(limits)

    def _bound(self, limits: Mapping[str, int]) -> None:
        self._write("memory.max", limits["memory"])
        self._write("pids.max", limits["processes"])
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            if os.path.exists(f"{self.path}/{name}"):
                self._write(name, value)
        if limits["cpu_percent"] and os.path.exists(f"{self.path}/cpu.max"):
            self._write("cpu.max", f"{limits['cpu_percent'] * 1000} 100000")

    def add(self, pid: int) -> None:
        """Move a process, and all that it starts from now on, into the group."""
        self._write("cgroup.procs", pid)

    def kill(self) -> None:
        """End every process in it at once (Linux 5.14; nothing before)."""
        if os.path.exists(f"{self.path}/cgroup.kill"):
            self._write("cgroup.kill", 1)

    @property
    def over(self) -> str:
        """Which limit was met: ``memory``, ``processes``, or nothing."""
        if not self.counted:
            return ""
        if self._table("memory.events").get("oom_kill", 0):
            return "memory"
        return "processes" if self._table("pids.events").get("max", 0) else ""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all that were ever in it."""
        return self._table("cpu.stat").get("usage_usec", 0) / 1e6

    @property
    def peak(self) -> int:
        """The most memory it held at once, bytes; 0 where the kernel does not say (before 5.19)."""
        if self.counted and os.path.exists(f"{self.path}/memory.peak"):
            return int(self._read("memory.peak"))
        return 0

    def remove(self, patience: float = 2.0) -> None:
        """Take it away; the last process of it may need a moment to be gone."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return os.rmdir(self.path)
            except OSError:
                if time.monotonic() > deadline:
                    return None  # found and removed at the next start
                time.sleep(0.002)

    def _table(self, name: str) -> dict[str, int]:
        return {key: int(value) for key, value in (line.split() for line in self._read(name).splitlines())}

    def _read(self, name: str) -> str:
        with open(f"{self.path}/{name}") as file:
            return file.read()

    def _write(self, name: str, value: object) -> None:
        with open(f"{self.path}/{name}", "w") as file:
            file.write(str(value))
