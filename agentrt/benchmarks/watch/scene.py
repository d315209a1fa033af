"""What is measured on: a journal of its own, a model server, the run's process, and the watcher in its terminal."""

from __future__ import annotations

import json
import select
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self

from agentrt.benchmarks.watch.terminal import Terminal
from agentrt.benchmarks.watch.worker import Order
from agentrt.errors import AgentrtError


class Scene:
    """A folder with a journal in ``folder``, thrown away afterwards, and a model server that echoes."""

    def __init__(self, folder: str | None = None) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="agentrt-bench-", dir=folder)
        self.journal = str(Path(self._place.name, "bench.db"))
        self.engine = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "agentrt.testing.server"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.engine = _line(self._server.stdout).strip()
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._server)
        self._place.cleanup()

    def subject(self, chapters: int, rows: float) -> Subject:
        """The process of a run to be watched, which has not begun."""
        return Subject(Order(self.journal, chapters, rows, self.engine))

    def watch(self, *words: str) -> Terminal:
        """``agentrt watch`` with these words, on this journal."""
        return Terminal([sys.executable, "-m", "agentrt", "watch", *words, "--journal", self.journal])

    def rows_of(self, run: str) -> int:
        """How many rows the journal has on a run."""
        counts = [f"SELECT count(*) FROM agentrt_{table} WHERE run = ?" for table in ("entries", "notes")]  # noqa: S608
        with closing(sqlite3.connect(self.journal)) as connection:
            return sum(connection.execute(count, (run,)).fetchone()[0] for count in counts)


class Subject:
    """The process of one run, which begins with ``begin``; a context manager. Raises ``RunDied`` if it ends early."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", f"{__package__}.worker", json.dumps(asdict(self.order))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._process)

    def begin(self) -> str:
        """Begin the run; its id."""
        stdin = self._process.stdin
        assert stdin is not None, "it is a pipe"
        stdin.write("\n")
        stdin.flush()
        return str(self._read()["run"])

    def over_in(self, seconds: float) -> bool:
        """Wait so long at most; whether the run is over by then."""
        assert self._process.stdout is not None, "it is a pipe"
        return bool(select.select([self._process.stdout.fileno()], [], [], seconds)[0])

    def end(self) -> dict[str, Any]:
        """Wait for the run's end: what it took, as ``wall`` and ``cpu`` in seconds."""
        told = self._read()
        if told["status"] != "done":
            raise RunDied(f"the watched run ended {told['status']}, expected done")
        return told

    def _read(self) -> dict[str, Any]:
        line = _line(self._process.stdout)
        if not line:
            _, errors = self._process.communicate()
            last = [one for one in errors.splitlines() if one.strip()][-1:]
            raise RunDied(f"the process of the watched run ended before its time: {''.join(last)}")
        told: dict[str, Any] = json.loads(line)
        return told


class RunDied(AgentrtError):
    """The watched run did not come to its end, so there is nothing to measure."""


def _line(stream: IO[str] | None) -> str:
    assert stream is not None, "it is a pipe"
    return stream.readline()


def _end(process: subprocess.Popen[str]) -> None:
    with process:
        process.terminate()
