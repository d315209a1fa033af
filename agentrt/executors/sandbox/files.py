"""Read and write files beneath a folder whose content is not to be trusted: no link in it leads out of it.

Every name on a path is opened by itself, without following links; a link is read and walked by us, ``..`` goes back
to the folder we came from. So no race with what runs in the box can lead outside.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from agentrt.errors import UsageError

MOST_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe put in a file's place must not hold us


@dataclass(frozen=True, slots=True)
class Item:
    """One name in a folder. ``size`` is in bytes."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int


def read(root: Path, path: str, most: int) -> bytes:
    """The content of a file, at most ``most`` bytes: a longer one is refused with ``UsageError``."""
    with _place(root, path) as (folder, name):
        descriptor = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            _check_plain(os.fstat(descriptor), path)
            content = file.read(most + 1)
    if len(content) > most:
        raise UsageError(f"{path} is longer than {most:,} bytes; read a part of it by a command, or allow more")
    return content


def write(root: Path, path: str, data: bytes) -> None:
    """Write a file whole or not at all; folders on the way are made, an existing file keeps its mode."""
    with _place(root, path, make=True) as (folder, name):
        mode = _mode(folder, name, path)
        fresh = f".{name[:200]}.{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(fresh, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(data)
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with ExitStack() as ignored:
                ignored.push(lambda kind, *_: kind is FileNotFoundError)
                os.unlink(fresh, dir_fd=folder)
            raise


def listing(root: Path, path: str) -> list[Item]:
    """What is in a folder, by name."""
    with _folder_at(root, path) as folder, os.scandir(folder) as entries:
        return sorted((_item(entry) for entry in entries), key=lambda item: item.name)


def _item(entry: os.DirEntry[str]) -> Item:
    status = entry.stat(follow_symlinks=False)
    kinds: dict[int, Literal["file", "folder", "link"]] = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "folder",
        stat.S_IFLNK: "link",
    }
    return Item(entry.name, kinds.get(stat.S_IFMT(status.st_mode), "other"), status.st_size)


def _mode(folder: int, name: str, path: str) -> int | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    _check_plain(status, path)
    return stat.S_IMODE(status.st_mode) & 0o777


def _check_plain(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder", path)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is no plain file; only those are read and written from outside")


@contextmanager
def _place(root: Path, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The open folder that holds ``path`` and its name there, after every link."""
    with _Way(root, path) as way, _named(path):
        while way.left:
            name = way.left.pop()
            if not way.left and name not in (".", ".."):
                if way.follow(name):
                    continue
                yield way.here, name
                return
            way.step(name, make=make)
        raise IsADirectoryError(errno.EISDIR, "this is a folder", path)


@contextmanager
def _folder_at(root: Path, path: str) -> Iterator[int]:
    with _Way(root, path) as way, _named(path):
        while way.left:
            way.step(way.left.pop(), make=False)
        yield way.here


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Let errors name the path that was asked for."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from error


class _Way:
    """A walk beneath ``root``: the open folders from there to here, and the names left to go."""

    def __init__(self, root: Path, path: str) -> None:
        self.root, self.path = root, path
        self.links = 0
        self.left = self._parts(path)
        self._open: list[int] = []

    def __enter__(self) -> _Way:
        self._open.append(os.open(self.root, _FOLDER))
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    @property
    def here(self) -> int:
        """The folder reached."""
        return self._open[-1]

    def step(self, name: str, *, make: bool) -> None:
        """Go on to ``name``."""
        if name == ".":
            return None
        if name == "..":
            return self._back()
        if self.follow(name):
            return None
        try:
            self._open.append(os.open(name, _FOLDER, dir_fd=self.here))
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, dir_fd=self.here)
            self._open.append(os.open(name, _FOLDER, dir_fd=self.here))

    def follow(self, name: str) -> bool:
        """Where ``name`` is a link, put what it says in its place."""
        try:
            target = os.readlink(name, dir_fd=self.here)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return False
            raise
        self.links += 1
        if self.links > MOST_LINKS:
            raise OSError(errno.ELOOP, "too many links", self.path)
        if target.startswith("/"):
            while len(self._open) > 1:
                os.close(self._open.pop())
        self.left += self._parts(target)
        return True

    def _back(self) -> None:
        if len(self._open) == 1:
            raise self._outside(self.path)
        os.close(self._open.pop())

    def _parts(self, path: str) -> list[str]:
        """The names of ``path``, last one first; an absolute one must begin with the root."""
        if "\0" in path:
            raise UsageError(f"the path {path!r} has a zero byte in it")
        if path.startswith("/"):
            try:
                path = str(PurePosixPath(path).relative_to(self.root))
            except ValueError:
                raise self._outside(path) from None
        return [part for part in path.split("/") if part][::-1] or ["."]

    def _outside(self, where: str) -> UsageError:
        return UsageError(f"{self.path} leads out of the work folder {self.root} ({where}); name a path inside it")
