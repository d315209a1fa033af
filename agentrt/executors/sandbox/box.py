"""A box: one work folder, and commands run in it so that nothing they do reaches anything else."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from agentrt.errors import ConfigError, UsageError
from agentrt.executors.sandbox import files
from agentrt.executors.sandbox.base import MIB, Finished, KilledBy, Limits, Way
from agentrt.executors.sandbox.calling import called
from agentrt.executors.sandbox.inside.disk import Walk, free
from agentrt.executors.sandbox.leftovers import box_folder, remove, sweep
from agentrt.executors.sandbox.probing import chosen, group_name, numbers
from agentrt.executors.sandbox.view import TMP, Mount, checked, mounts, not_nested

if TYPE_CHECKING:
    from agentrt.executors.sandbox.inside.supervisor import Spec

Words = list[str]  # inside the class, ``list`` is a method
Mounts = list[Mount]
Items = list[files.Item]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sandbox:
    """Runs commands for an agent, contained and measured.

        async with Sandbox("work") as box:
            done = await box.run("python -m pytest -q", timeout=60)

    A command sees the system read-only, ``workdir`` and ``writable`` for writing, ``readonly`` for reading, each under
    its own path, and a ``/tmp`` of the box's own; what else there is it does not see. ``env`` is its environment beside
    a plain ``PATH``, ``HOME`` and the like: nothing of ours is handed on. Without ``network`` it reaches only itself.
    When a command ends, all it started ends with it; files stay, also those in ``/tmp``, until the box is left.

    ``ways`` says how, best first; by default those that contain (see ``SOUND``), and ``SandboxError`` says why when
    none works here. ``way`` tells which it is. Commands of one box may run at the same time.
    """

    def __init__(
        self,
        workdir: Path | str,
        *,
        limits: Limits | None = None,
        network: bool = False,
        writable: Iterable[Path | str] = (),
        readonly: Iterable[Path | str] = (),
        env: Mapping[str, str] | None = None,
        ways: Sequence[Way] | None = None,
    ) -> None:
        self.workdir = checked(workdir)
        self.limits = limits or Limits()
        self.network = network
        self._writable = [checked(path) for path in writable]
        self._readonly = [checked(path) for path in readonly]
        not_nested([self.workdir, *self._writable], [self.workdir, *self._writable, *self._readonly])
        self._env = dict(env or {})
        self._ways = ways
        self._folder: Path | None = None
        self._way: Way | None = None
        self._group = ""
        self._disk: dict[str, tuple[int, int]] = {}

    @property
    def way(self) -> Way:
        """How commands are held here; known once the box is entered."""
        if self._way is None:
            raise _not_entered()
        return self._way

    async def __aenter__(self) -> Self:
        self._way, self._group = await chosen(self._ways)
        self._folder = await asyncio.to_thread(self._begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        folder, self._folder, self._way = self._folder, None, None
        if folder is not None:
            await asyncio.to_thread(remove, folder)

    def _begin(self) -> Path:
        sweep(Path(tempfile.gettempdir()))
        folder = box_folder(Path(tempfile.gettempdir()))
        counted = self._counted(folder)
        walk = Walk(counted).finish()
        left = free(counted)
        self._disk = {"base": (walk.bytes, walk.files), "used": (0, 0), "free": left, "free_at_first": left}
        return folder

    async def run(self, command: str | Sequence[str], *, timeout: float = 120.0, stdin: bytes = b"") -> Finished:  # noqa: ASYNC109
        """Run a program with its arguments, or shell text; how it ended, whatever it did.

        After ``timeout`` seconds it is asked to end, and made to. Without ``stdin`` it reads nothing. Being cancelled
        ends it. Raises ``UsageError`` for what no kernel can run and ``SandboxError`` when the box cannot be made.
        """
        report, out, err = await called(self._spec(_argv(command), timeout), self.limits, stdin)
        self._disk = report["disk"]
        said = f"{report['said']}\n" if report["said"] else ""
        return Finished(
            code=report["code"],
            out=out.text,
            err=said + err.text,
            seconds=report["seconds"],
            cpu_s=report["cpu_s"],
            peak_memory=report["peak"],
            killed_by=cast("KilledBy", report["killed_by"]),
            truncated=bool(out.left_out or err.left_out),
            exact=report["exact"],
        )

    async def read(self, path: str, *, most: int = 16 * MIB) -> bytes:
        """The content of a file in the work folder.

        Raises ``UsageError`` for a path that leads outside, for what is no plain file and for more than ``most``
        bytes, and the usual ``OSError`` for a file that is not there.
        """
        return await asyncio.to_thread(files.read, self.workdir, path, most)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file in the work folder, whole or not at all; folders on the way are made. Errors as in ``read``."""
        await asyncio.to_thread(files.write, self.workdir, path, data)

    async def list(self, path: str = ".") -> Items:
        """What is in a folder of the work folder, by name. Errors as in ``read``."""
        return await asyncio.to_thread(files.listing, self.workdir, path)

    def _spec(self, argv: Words, timeout: float) -> Spec:
        if self._folder is None or self._way is None:
            raise _not_entered()
        return {
            "way": self._way,
            "argv": argv,
            "env": self._environment(self._folder),
            "cwd": str(self.workdir),
            "mounts": self._mounts(self._folder),
            "root": str(self._folder / "root"),
            "bwrap": shutil.which("bwrap") or "bwrap",
            "network": self.network,
            "limits": numbers(self.limits, timeout),
            "timeout": timeout,
            "grace": self.limits.grace,
            "group": group_name(self._group),
            "folders": self._counted(self._folder),
            "disk": self._disk,
        }

    def _mounts(self, folder: Path) -> Mounts:
        return mounts(
            self.workdir,
            folder / "tmp",
            readonly=self._readonly,
            writable=self._writable,
            network=self.network,
            shared_memory=self.limits.shared_memory,
        )

    def _counted(self, folder: Path) -> Words:
        return [str(path) for path in (self.workdir, folder / "tmp", *self._writable)]

    def _environment(self, folder: Path) -> dict[str, str]:
        home = str(folder / "tmp" if self._way == "plain" else TMP)
        usual = {"PATH": PATH, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "TERM": "dumb", "USER": "box"}
        return usual | self._env


def interpreter_folders(python: Path | str) -> list[Path]:
    """The folders that ``python`` needs to run, a virtual environment's own and the one it was made of: ``readonly``.

    Those of the system are not among them, because every box sees them.
    """
    link = Path(python).expanduser().absolute()
    found = [link.parent.parent] if (link.parent.parent / "pyvenv.cfg").exists() else []
    real = link.resolve()
    found.append(real.parent.parent)
    return [folder for folder in dict.fromkeys(found) if not folder.is_relative_to("/usr")]


def _argv(command: str | Sequence[str]) -> list[str]:
    if isinstance(command, str):
        words = [next(shell for shell in ("/bin/bash", "/bin/sh") if os.access(shell, os.X_OK)), "-c", command]
    else:
        words = list(command)
    if not words:
        raise UsageError("there is no command to run: give shell text, or a program and its arguments")
    if any("\0" in word for word in words):
        raise UsageError("a command cannot have a zero byte in it; write such data to a file, or give it as stdin")
    return words


def _not_entered() -> ConfigError:
    return ConfigError("the sandbox is not there: use it inside `async with Sandbox(...) as box`")
