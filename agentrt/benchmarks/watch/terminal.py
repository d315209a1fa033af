"""A program in a pseudo-terminal: what it draws is read at once and timed, and its load is looked at."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from agentrt.benchmarks.harness.meter import cpu_seconds

PATIENCE: Final = 60.0
"""Seconds after which something that is waited for does not come."""

_MOST: Final = 1 << 22
"""Bytes that are kept of what is drawn; nobody waits for something that far back."""


class NotShown(Exception):
    """What was waited for was not drawn in time; the message says what, and how the program stands."""


class Load(NamedTuple):
    """What a process has taken so far: ``cpu`` in seconds, ``resident`` in bytes; ``at`` by the monotonic clock."""

    at: float
    cpu: float
    resident: int


class Terminal:
    """``command`` in a terminal of ``columns`` by ``lines``, from its start to its end; a context manager.

    ``began`` is when it was started, by ``time.perf_counter``, as all times here.
    """

    def __init__(self, command: Sequence[str], columns: int = 160, lines: int = 50) -> None:
        self._command = list(command)
        self._size = struct.pack("HHHH", lines, columns, 0, 0)
        self._drawn = bytearray()
        self._ends: list[tuple[int, float]] = []
        self._came = threading.Condition()
        self._over = False
        self.began = 0.0

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        known = {"COLUMNS", "LINES", "NO_COLOR", "COLORFGBG"}
        environ = {name: value for name, value in os.environ.items() if name not in known}
        environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            self._command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)
        os.close(self._ours)

    def send(self, keys: bytes) -> float:
        """Press keys; forgets what was drawn before. Returns when that was."""
        with self._came:
            self._drawn.clear()
            self._ends.clear()
            at = time.perf_counter()
            os.write(self._ours, keys)
        return at

    def until(self, pattern: bytes, patience: float = PATIENCE) -> float:
        """When the last byte of what fits the pattern was drawn, since keys were sent last. Raises ``NotShown``."""
        wanted, searched = re.compile(pattern, re.DOTALL), 0
        deadline = time.perf_counter() + patience
        with self._came:
            while True:
                if found := wanted.search(self._drawn, max(0, searched - 4096)):
                    return next(at for end, at in self._ends if end >= found.end())
                searched = len(self._drawn)
                left = deadline - time.perf_counter()
                if self._over or left <= 0 or not self._came.wait(left):
                    raise NotShown(self._excuse(pattern))

    def load(self) -> Load:
        """What the process has taken so far."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return Load(time.perf_counter(), cpu_seconds(self._process.pid), pages * os.sysconf("SC_PAGE_SIZE"))

    def _excuse(self, pattern: bytes) -> str:
        how = "had ended" if self._over else "was running"
        words = re.sub(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*)", b" ", bytes(self._drawn[-2000:]))
        seen = " ".join(words.decode(errors="replace").split())
        return f"{pattern!r} was not drawn; {self._command[-3:]} {how}, and drew last: {seen[-300:]}"

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 1 << 16)
            except OSError:  # the other side is closed: it ended
                piece = b""
            at = time.perf_counter()
            with self._came:
                self._take(piece, at)
                self._came.notify_all()
            if not piece:
                return

    def _take(self, piece: bytes, at: float) -> None:
        if len(self._drawn) > _MOST:
            self._drawn.clear()
            self._ends.clear()
        self._drawn += piece
        self._ends.append((len(self._drawn), at))
        self._over = not piece
