"""The process that forks supervisors: one for each process of ours, started when it is first needed."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from agentrt.errors import SandboxError

_INSIDE = Path(__file__).parent / "inside"
_BOOT = """
import sys
name = "agentrt.executors.sandbox.inside"
for at, letter in enumerate(name + "."):
    if letter == ".":
        module = type(sys)(name[:at])
        module.__path__ = [sys.argv[1]]
        sys.modules[name[:at]] = module
from agentrt.executors.sandbox.inside.keeper import main
main(0)
"""
"""Imports the keeper without the packages around it: it stays small, and each fork of it is quick."""


class Keeper:
    """Our end of the keeper. It ends when this end is closed, and is started anew should it be gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: socket.socket | None = None
        self._owner = 0

    def supervise(self, control: int, streams: Sequence[int]) -> None:
        """Have a supervisor serve ``control`` with these three streams; all four may be closed afterwards."""
        with self._lock:
            if self._calls is None or self._owner != os.getpid():  # a fork of ours has a keeper of its own
                self._start()
            try:
                self._send(control, streams)
            except OSError:
                self._start()
                self._send(control, streams)

    def close(self) -> None:
        """Let it end; calls that run are not disturbed."""
        if self._calls is not None:
            self._calls.close()
            self._calls = None

    def _send(self, control: int, streams: Sequence[int]) -> None:
        assert self._calls is not None
        socket.send_fds(self._calls, [b"c"], [control, *streams])

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        argv = [sys.executable, "-I", "-S", "-c", _BOOT, str(_INSIDE)]
        with theirs:
            try:
                os.posix_spawn(
                    sys.executable,
                    argv,
                    environment,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    ],
                    setsid=True,
                )
            except OSError as error:
                ours.close()
                raise SandboxError(f"the sandbox's own Python, {sys.executable}, does not start: {error}") from error
        self._calls, self._owner = ours, os.getpid()


keeper = Keeper()
atexit.register(keeper.close)
