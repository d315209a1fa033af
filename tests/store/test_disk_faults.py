"""A disk that is full or cannot be written: runs wait, lose nothing, and go on."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentrt import Runtime
from agentrt.errors import JournalError
from agentrt.store import Journal
from agentrt.store.sqlite import SQLiteCommits
from tests.store.stored import A, begun, numbers
from tests.store.working import counted, counting

STEPS = 1_000
TOTAL = sum(range(STEPS))


class Worker:
    """A process that runs the program of ``tests.store.working``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.handed: list[int] = []

    def line(self) -> str:
        """The next thing it says; what it was handed is noted beside."""
        assert self.process.stdout is not None, "asked for"
        line = self.process.stdout.readline().rstrip("\n")
        assert line, "it has ended"
        if line.startswith("handed "):
            self.handed.append(int(line.split()[1]))
        return line

    def until(self, beginning: str) -> str:
        """What it says with this beginning, the first time from now on."""
        while not (line := self.line()).startswith(beginning):
            continue
        return line

    def tell(self, line: str) -> None:
        """Say something to it."""
        assert self.process.stdin is not None, "asked for"
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def working(file: Path, counts: Path, patience: float = 60.0, prefix: tuple[str, ...] = ()) -> Iterator[Worker]:
    """A worker with a journal in this file."""
    command = [*prefix, sys.executable, "-m", "tests.store.working", str(file), str(counts), str(STEPS), str(patience)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(90, process.kill)  # what it says is waited for without an end
        guard.start()
        try:
            yield Worker(process)
        finally:
            guard.cancel()
            process.kill()


def recorded(file: Path) -> int:
    """How many steps have a result in a journal, as another process reads it."""
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        query = "SELECT count(*) FROM agentrt_entries WHERE kind = 'ended' AND step <> 'counting'"
        (number,) = connection.execute(query).fetchone()
    return int(number)


def limit(worker: Worker, size: int) -> None:
    """How large the worker's files may become; what it writes beyond that fails."""
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process as Linux does")
def test_a_run_waits_for_a_file_that_cannot_grow(tmp_path: Path) -> None:
    """Nothing is handed on that is not on disk, and nothing runs twice, when the file could not grow for a while."""
    file, counts = tmp_path / "runs.db", tmp_path / "counted"
    with working(file, counts) as worker:
        worker.until("handed 20")
        limit(worker, (tmp_path / "runs.db-wal").stat().st_size)
        complaint = worker.until("the journal cannot be written, runs wait for it:")
        assert "disk I/O error" in complaint or "full" in complaint
        assert recorded(file) >= worker.handed[-1] + 1
        assert counted(counts)[-1] <= worker.handed[-1] + 1
        limit(worker, resource.RLIM_INFINITY)
        worker.until("the journal is written again")
        assert worker.until("ended") == f"ended done {TOTAL}"
    assert worker.handed == counted(counts) == list(range(STEPS))
    assert recorded(file) == STEPS


def test_a_run_waits_for_a_full_disk(tmp_path: Path) -> None:
    """A file system without room, and room again."""
    (tmp_path / "disk").mkdir()
    mounted = f'mount -t tmpfs -o size=700k none {tmp_path / "disk"} && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh")
    if sys.platform != "linux" or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    with working(tmp_path / "disk" / "runs.db", tmp_path / "counted", prefix=prefix) as worker:
        complaint = worker.until("the journal cannot be written, runs wait for it:")
        assert "database or disk is full" in complaint
        assert counted(tmp_path / "counted")[-1] <= worker.handed[-1] + 1
        inside = ("nsenter", "-t", str(worker.process.pid), "-U", "-m", "--preserve-credentials")
        subprocess.run([*inside, "mount", "-o", "remount,size=20m", str(tmp_path / "disk")], check=True)
        assert worker.until("ended") == f"ended done {TOTAL}"
    assert worker.handed == counted(tmp_path / "counted") == list(range(STEPS))


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process as Linux does")
def test_a_run_that_waited_too_long_ends_and_is_gone_on_with(tmp_path: Path) -> None:
    """Beyond its patience a run ends with what was wrong; the same process goes on with it when that is mended."""
    file, counts = tmp_path / "runs.db", tmp_path / "counted"
    with working(file, counts, patience=0.3) as worker:
        worker.until("handed 20")
        limit(worker, (tmp_path / "runs.db-wal").stat().st_size)
        ending = worker.until("ended")
        assert ending.startswith("ended failed the journal could not be written for 0.3 s: ")
        assert ending.endswith("when that is mended, resume its runs: agentrt runs list")
        handed = list(worker.handed)
        assert handed == list(range(len(handed)))
        assert recorded(file) >= len(handed)
        limit(worker, resource.RLIM_INFINITY)
        worker.tell("go on")
        assert worker.until("ended") == f"ended done {TOTAL}"
    ran = counted(counts)
    assert ran[: len(handed)] == handed
    assert sorted(set(ran)) == list(range(STEPS))
    assert len(ran) - STEPS <= 1  # the one that was in flight
    assert recorded(file) == STEPS


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process as Linux does")
def test_another_process_goes_on_with_what_a_full_disk_ended(tmp_path: Path) -> None:
    """Killed while it waited for room, a run is as another process needs it."""
    file, counts = tmp_path / "runs.db", tmp_path / "counted"
    with working(file, counts) as worker:
        worker.until("handed 20")
        limit(worker, (tmp_path / "runs.db-wal").stat().st_size)
        worker.until("the journal cannot be written")
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
    there = recorded(file)

    async def go_on() -> int:
        async with Runtime(journal=file) as runtime:
            result = await (await runtime.resume(counting))
            assert result.error is None
            assert result.value is not None
            return result.value

    assert asyncio.run(go_on()) == TOTAL
    ran = counted(counts)
    assert ran[:there] == list(range(there))
    assert len(ran) - STEPS <= 1
    assert there >= len(worker.handed)


# -- within one process ----------------------------------------------------------------------------------------------


def connections(journal: Journal) -> Iterator[sqlite3.Connection]:
    """Those that a journal writes through."""
    commits = journal._commits
    assert isinstance(commits, SQLiteCommits)
    for one in (commits._fast, commits._slow):
        assert one is not None, "it is open"
        yield one


def may_write(journal: Journal, yes: bool) -> None:
    """Have SQLite refuse to write, as on a disk that was mounted again for reading only; or not any more."""
    for connection in connections(journal):
        connection.execute(f"PRAGMA query_only={not yes}")


async def test_runs_wait_for_a_disk_that_is_read_only(file: Journal, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written now is handed on when it can be; it is said twice, and no oftener."""
    (told,) = await begun(file, A)
    may_write(file, False)
    told.put(1, 2)
    flushed = asyncio.create_task(told.writer.flush())
    await asyncio.sleep(0.3)
    told.put(3)
    assert (told.landed, flushed.done()) == ([], False)
    may_write(file, True)
    await flushed
    assert (told.landed, told.lost) == ([1, 2, 3], None)
    first, second = (one.message for one in caplog.records)
    assert "runs wait for it" in first
    assert "attempt to write a readonly database" in first
    assert "written again, after " in second


async def test_beyond_patience_every_run_is_told(tmp_path: Path) -> None:
    """When the journal stays as it is, all runs and who waits for a flush are told; new runs begin anew."""
    async with Journal(tmp_path / "runs.db", patience=0.2) as journal:
        first, second = await begun(journal, *"ab")
        may_write(journal, False)
        first.put(1)
        second.put(1)
        with pytest.raises(JournalError, match=r"could not be written for 0\.2 s: .*readonly"):
            await journal.writer().flush()
        assert "readonly" in str(first.lost)
        assert "readonly" in str(second.lost)
        first.put(2)
        may_write(journal, True)
        (third,) = await begun(journal, "c")
        third.put(1)
        await journal.writer().flush()
        assert (first.landed, second.landed, third.landed) == ([], [], [1])
        assert [await numbers(journal, run) for run in "abc"] == [[], [], [1]]


async def test_a_runtime_outlives_its_journals_bad_hours(tmp_path: Path) -> None:
    """After a run ended because nothing could be written, the same runtime runs others, and goes on with that one."""
    counts = str(tmp_path / "counted")
    async with Journal(tmp_path / "runs.db", patience=0.1) as journal, Runtime(journal=journal) as runtime:
        await runtime.run(counting, 3, counts)
        may_write(journal, False)
        broken = await runtime.run(counting, 5, counts)
        assert isinstance(broken.error, Exception)
        assert isinstance(broken.error.__cause__, JournalError)
        may_write(journal, True)
        assert (await runtime.run(counting, 4, counts)).value == 6
    async with Journal(tmp_path / "runs.db") as journal, journal.connect() as connection:
        found = await connection.exec_driver_sql("SELECT status, owner FROM agentrt_runs ORDER BY wall")
        assert found.all() == [("done", None)] * 2  # of the one between nothing could be written


def test_a_file_that_may_not_be_written_is_said_at_once(tmp_path: Path) -> None:
    """Without the right to write, opening a journal is one clear line, and no waiting."""
    file = tmp_path / "runs.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (x)")
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    said, missing = _without_might(file), _without_might(tmp_path / "missing.db")
    assert said.startswith(f"JournalError the journal '{file}' cannot be opened: attempt to write a readonly database;")
    assert "cannot be opened: [Errno 13] Permission denied" in missing


def _without_might(file: Path) -> str:
    """The error of a process that opens a journal, and that permissions are there for even if it is root's."""
    child = f"""
import asyncio
from agentrt.store import Journal
async def main():
    Journal({str(file)!r}).writer()
try:
    asyncio.run(main())
except Exception as error:
    print(type(error).__name__, error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, check=True, preexec_fn=_obey_permissions
    )
    return ended.stdout


def _obey_permissions() -> None:
    """Give up root's way around them (CAP_DAC_OVERRIDE), from the next program on; others have none to give up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(24, 1)
