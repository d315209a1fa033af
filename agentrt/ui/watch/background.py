"""Commands that go on by themselves, whatever becomes of the screen that started them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from agentrt.engine.paths import JOURNAL_VARIABLE, home, private_folder
from agentrt.types import RunId
from agentrt.ui.words import one_line

MOST: Final = 65_536
"""Bytes at the end of what a command wrote that are looked at."""

_LOOK_S: Final = 0.2
"""Seconds between two looks whether a process has ended."""

_COMPLAINT: Final = "agentrt: "


class Background:
    """An ``agentrt`` in a session of its own: neither a key in this terminal nor the terminal's end reaches it.

    What it writes goes to files, not to pipes, which would break when who reads them ends. ``log`` may hold what
    others wrote before it; its own begins at ``start``.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, start: int) -> None:
        self.process = process
        self.log = log
        self._start = start

    @property
    def code(self) -> int | None:
        """Its exit code, ``None`` while it goes on."""
        return self.process.poll()

    async def ended(self) -> int:
        """Wait for its end; its exit code. Whoever is cancelled here does not end it."""
        while (code := self.code) is None:  # noqa: ASYNC110 - asyncio's own processes are killed when its loop closes
            await asyncio.sleep(_LOOK_S)
        return code

    def tail(self, most: int = MOST) -> str:
        """The end of what it wrote to its log, in whole lines of at most so many bytes together."""
        return tail(self.log, most, self._start)

    def complaint(self) -> str:
        """Why it ended, as it said last, in one line; empty if it did not complain."""
        said = [line for line in self.tail().splitlines() if line.startswith(_COMPLAINT)]
        return one_line(said[-1].removeprefix(_COMPLAINT)) if said else ""


def begin(words: Iterable[str], *, journal: str, log: Path, out: Path | None = None) -> Background:
    """Start ``agentrt`` with these words; its errors, and its output if ``out`` names no other file, go to ``log``.

    The journal is named in its environment, where nobody else sees its password. Raises ``OSError``.
    """
    with open_private(log) as errors, open_private(out or log) as output:
        start = errors.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            [sys.executable, "-m", "agentrt", *words],
            env={**os.environ, JOURNAL_VARIABLE: journal},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    return Background(process, log, start)


def log_of(run: RunId, folder: Path | None = None) -> Path:
    """Where a run's background processes write to; the folder is made if it is not there."""
    return private_folder(folder or home().state / "runs") / f"{run}.log"


def open_private(path: Path) -> BinaryIO:
    """A file to append to that its owner alone can read: what programs print may be private."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def tail(path: Path, most: int = MOST, start: int = 0) -> str:
    """The end of a file from ``start`` on: all of it, or whole lines of at most so many bytes; empty if it is gone."""
    try:
        with path.open("rb") as file:
            first = max(start, file.seek(0, os.SEEK_END) - most)
            file.seek(first)
            text = file.read(most).decode(errors="replace")
    except OSError:
        return ""
    return text if first == start else text.partition("\n")[2]
