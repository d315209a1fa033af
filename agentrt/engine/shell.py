"""Run an installer's command: show what it says, end it when we are ended, and keep its last words for the error."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from agentrt.engine import process
from agentrt.engine.progress import Progress
from agentrt.errors import SetupError

TAIL_LINES = 12
POLL_S = 0.2
GRACE_S = 5.0

_OFFLINE = re.compile(
    r"dns error|name resolution|Name or service not known|error sending request|Network is unreachable"
    r"|NewConnectionError|Could not connect|Connection refused|ConnectTimeout|ProxyError",
    re.IGNORECASE,
)
_FULL = re.compile(r"No space left on device|os error 28|Disk quota exceeded", re.IGNORECASE)
_RAW = re.compile(r"Progress (\d+) of (\d+)")


class CommandFailed(Exception):
    """A command ended with a status other than 0; ``tail`` holds its last lines."""

    def __init__(self, argv: Sequence[str], status: int, tail: str) -> None:
        super().__init__(f"{Path(argv[0]).name} ended with status {status}")
        self.status = status
        self.tail = tail

    @property
    def last(self) -> str:
        """Its last line."""
        return self.tail.rpartition("\n")[2].strip()

    @property
    def disk_full(self) -> bool:
        """It ran out of disk."""
        return bool(_FULL.search(self.tail))

    @property
    def offline(self) -> bool:
        """It could not reach a server."""
        return bool(_OFFLINE.search(self.tail))

    def explained(self, what: str, folder: Path) -> SetupError:
        """Say in one line that ``what`` failed, why, and the way out; ``folder`` is where it would have gone."""
        if self.disk_full:
            return disk_full(what, folder)
        if self.offline:
            return SetupError(
                f"{what} failed: no package index can be reached; connect (or set the proxy or index that pip and "
                f"uv should use) and run the same command again, it goes on where it stopped: {self.last}"
            )
        return SetupError(f"{what} failed ({self}); its last words:\n{self.tail}")


def disk_full(what: str, folder: Path) -> SetupError:
    """The error for a full disk under ``folder``."""
    return SetupError(
        f"{what} failed: the disk that holds {folder} is full; free some space or set AGENTRT_HOME to a folder on "
        f"another disk, then run the same command again: it goes on where it stopped"
    )


def own_python(variables: Mapping[str, str]) -> dict[str, str]:
    """``variables`` without those meant for the user's Python; the engine's environment has its own.

    One of them matters to speed: without cached bytecode every start compiles ten thousand modules, for 15 s.
    """
    return {name: value for name, value in variables.items() if name not in _USERS_PYTHON}


_USERS_PYTHON = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS",
     "VIRTUAL_ENV"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands one after another, telling ``progress``; they inherit ``keep``, the locks held for them."""

    progress: Progress
    keep: tuple[int, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def run(self, argv: Sequence[str]) -> None:
        """Run ``argv`` to its end or raise ``CommandFailed``; whatever ends us ends it, children included."""
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        command = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=own_python(os.environ) | self.env,
            pass_fds=self.keep,
            start_new_session=True,
        )
        try:
            assert command.stdout is not None
            for line in _lines(command.stdout, self.progress):
                self._heard(line, tail)
            status = command.wait()
        except BaseException:
            _end(command)
            raise
        finally:
            if command.stdout is not None:
                command.stdout.close()
        if status:
            raise CommandFailed(argv, status, "\n".join(tail))

    def _heard(self, line: str, tail: deque[str]) -> None:
        if amount := _RAW.fullmatch(line):
            self.progress.amount(int(amount[1]), int(amount[2]), "bytes")
        else:
            tail.append(line)
            self.progress.note(line.strip())


def _lines(pipe: IO[bytes], progress: Progress) -> Iterator[str]:
    """Yield the non-empty lines of ``pipe`` as they come, calling ``tick`` while none does."""
    rest = b""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            progress.tick()
            if not ready.select(POLL_S):
                continue
            chunk = os.read(pipe.fileno(), 65536)
            *whole, rest = re.split(rb"[\r\n]", rest + chunk)
            yield from (line.decode(errors="replace") for line in whole if line.strip())
            if not chunk:
                break
    if rest.strip():
        yield rest.decode(errors="replace")


def _end(command: subprocess.Popen[bytes]) -> None:
    """End the command and what it started; when this returns none of it is left."""
    process.end_session(command.pid, grace_s=GRACE_S, reap=command.poll)
    command.wait()
