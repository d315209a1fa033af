"""How much a box has written: exact where it matters, and cheap where it does not.

A walk over its folders tells exactly, and takes time. What the file system has free tells at once, but others write
to it too. So the second decides when to do the first.
"""

from __future__ import annotations

import os
import time

from agentrt.executors.sandbox.inside.processes import deleted_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Amount = tuple[int, int]  # bytes, files

_AT_ONCE = 500  # directory entries looked at between two looks at the rest of the box
_SLACK = (1 << 20, 100)  # a box that is full may still clean up: this much more it may write while it does


class Walk:
    """One walk over ``folders``, a bit at a time."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.bytes = self.files = 0
        self.complete = True
        self.done = False
        self._seen: set[tuple[int, int]] = set()
        self._steps = self._walk(list(folders))

    def step(self) -> None:
        """Look at some more entries."""
        self.done = next(self._steps, None) is None

    def finish(self) -> Walk:
        """Look at all that are left."""
        while not self.done:
            self.step()
        return self

    def _walk(self, left: list[str]) -> Iterator[bool]:
        looked = 0
        while left:
            try:
                with os.scandir(left.pop()) as entries:
                    for entry in entries:
                        self._add(entry, left)
                        looked += 1
                        if looked % _AT_ONCE == 0:
                            yield True
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.complete = False  # closed to us, or nested too deep to be named

    def _add(self, entry: os.DirEntry[str], left: list[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # gone since the folder was read
        if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
            if (status.st_dev, status.st_ino) in self._seen:
                return
            self._seen.add((status.st_dev, status.st_ino))
        self.files += 1
        self.bytes += status.st_blocks * 512
        if entry.is_dir(follow_symlinks=False):
            left.append(entry.path)


class Disk:
    """Watches one box's folders during one call.

    ``state`` goes from call to call: ``base`` (what was there when the box began), ``used`` (what the last walk found
    beyond that), ``free`` and ``free_at_first`` (what the file systems had left then, and when the box began).
    """

    def __init__(self, state: Mapping[str, Amount], folders: Sequence[str], limit: Amount) -> None:
        self.folders, self.limit = folders, limit
        self.base, self.used, self.free = state["base"], state["used"], state["free"]
        self.free_at_first = state["free_at_first"]
        self.allowed = _each(max, limit, _each(int.__add__, self.used, _SLACK))
        self.free_at_start = free(folders)
        self._walk: Walk | None = None
        self._began = self._walked = time.monotonic()
        self._took = 0.0

    @property
    def state(self) -> dict[str, Amount]:
        """What the next call of the same box needs."""
        return {"base": self.base, "used": self.used, "free": self.free, "free_at_first": self.free_at_first}

    def over(self, pids: list[int]) -> bool:
        """Whether more was written than is allowed, as far as is known by now."""
        if self._walk is None and self._suspicious():
            self._walk = Walk(self.folders)
            self._began = time.monotonic()
        if self._walk is not None:
            self._go_on(self._walk, pids)
        return any(used > allowed for used, allowed in zip(self.used, self.allowed, strict=True))

    def settle(self, *, surely: bool) -> bool:
        """The same at the end of a call, to the last entry; ``surely`` walks without a suspicion."""
        if surely or self._walk is not None or self._suspicious():
            self._began = time.monotonic()
            self._go_on(Walk(self.folders).finish(), [])
        return any(used > allowed for used, allowed in zip(self.used, self.allowed, strict=True))

    def _suspicious(self) -> bool:
        """So much is gone since the last walk that it could matter; or that walk was long ago."""
        gone = _each(int.__sub__, self.free, free(self.folders))
        left = _each(int.__sub__, self.allowed, self.used)
        if any(lost > max(rest // 4, least) for lost, rest, least in zip(gone, left, _SLACK, strict=True)):
            return True
        return time.monotonic() - self._walked > 2.0 + 20 * self._took

    def _go_on(self, walk: Walk, pids: list[int]) -> None:
        walk.step()
        if not walk.done:
            return
        self._walked, self._walk = time.monotonic(), None
        self._took = self._walked - self._began
        self.free = free(self.folders)
        self.used = _each(int.__sub__, (walk.bytes, walk.files), self.base)
        if not walk.complete:  # what cannot be looked into is taken for all that the file system lost
            self.used = _each(max, self.used, _each(int.__sub__, self.free_at_first, self.free))
        elif self.free_at_start[0] - self.free[0] > self.limit[0]:  # others wrote, or there are files without a name
            self.used = (self.used[0] + deleted_files(pids), self.used[1])


def free(folders: Sequence[str]) -> Amount:
    """Bytes and files that the file systems of ``folders`` have left, each counted once."""
    systems = {os.stat(folder).st_dev: folder for folder in folders if os.path.isdir(folder)}
    told = [os.statvfs(folder) for folder in systems.values()]
    return sum(one.f_bfree * one.f_frsize for one in told), sum(one.f_ffree for one in told)


def _each(do: Callable[[int, int], int], left: Amount, right: Amount) -> Amount:
    return do(left[0], right[0]), do(left[1], right[1])
