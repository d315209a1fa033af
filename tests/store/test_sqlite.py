"""What is special to journals in files."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentrt.errors import ConfigError, JournalError
from agentrt.store import Journal, sqlite
from tests.store.stored import A, begun, entries, entry, numbers

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock for writing, until its input is closed."""
    command = [sys.executable, "-c", _HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None, "asked for"
        assert holder.stdout.readline() == "held\n"
        yield holder


class Gaps:
    """The longest time in which the loop did not turn."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._turn())

    async def _turn(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now

    async def stop(self) -> float:
        """The longest gap so far, in seconds."""
        self._task.cancel()
        await asyncio.wait({self._task})
        return self.longest


async def test_only_its_owner_reads_the_file(file: Journal, tmp_path: Path) -> None:
    """The journal and what SQLite keeps beside it are readable by this user alone, whatever the umask."""
    before = os.umask(0)
    try:
        await begun(file, A)
    finally:
        os.umask(before)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("runs.db", "runs.db-wal", "runs.db-shm"), 0o600)


async def test_nothing_is_left_of_a_closed_journal(tmp_path: Path) -> None:
    """A closed journal is one file: no log beside it, no file open, no thread running."""
    await asyncio.to_thread(int)  # asyncio's own thread
    threads, files = set(threading.enumerate()), _open_files()
    async with Journal(tmp_path / "new" / "runs.db") as journal:
        (told,) = await begun(journal, A)
        told.put(1, 2, 3)
        assert await numbers(journal, A) == [1, 2, 3]
    assert set(threading.enumerate()) <= threads | {one for one in threading.enumerate() if "asyncio" in one.name}
    assert _open_files() == files
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["runs.db"]


async def test_a_journal_that_is_only_read_leaves_nothing_either(tmp_path: Path) -> None:
    """Reading opens the file, and closes it."""
    async with Journal(tmp_path / "runs.db") as journal:
        assert await entries(journal, A) == []
    assert [one.name for one in tmp_path.iterdir()] == ["runs.db"]


async def test_the_log_does_not_grow_with_the_run(
    file: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is written without a pause, the log stays about as large as what is written between two
    checkpoints."""
    monkeypatch.setattr(sqlite, "_CHECKPOINT_EVERY", 500)
    (told,) = await begun(file, A)
    for seq in range(1, 8_001):
        told.put(seq)
        await asyncio.sleep(0)
    await told.writer.flush()
    log = (tmp_path / "runs.db-wal").stat().st_size
    assert await numbers(file, A) == list(range(1, 8_001))
    assert log < 20_000_000  # without an end, it is twice that


async def test_a_lock_that_another_holds_does_not_stop_the_loop(file: Journal, tmp_path: Path) -> None:
    """While another process holds the lock, the loop goes on turning, and the entry is handed on when it is free."""
    (told,) = await begun(file, A)
    with held(tmp_path / "runs.db") as holder:
        gaps = Gaps()
        told.put(1)
        await asyncio.sleep(2)
        assert told.landed == []
        assert holder.stdin is not None, "asked for"
        holder.stdin.close()
        await told.writer.flush()
        assert await gaps.stop() < 0.5
    assert told.landed == [1]


async def test_a_journal_is_opened_while_another_writes(tmp_path: Path) -> None:
    """Opening a journal that is there waits for no lock."""
    async with Journal(tmp_path / "runs.db") as first:
        await begun(first, A)
        with held(tmp_path / "runs.db"):
            began = time.perf_counter()
            second = Journal(tmp_path / "runs.db")
            second.writer()
            assert await entries(second, A) == []
            assert time.perf_counter() - began < 2
        await second.close()


async def test_what_is_large_is_written_beside_the_loop(file: Journal) -> None:
    """Megabytes in one group do not stop the loop for as long as they take to write."""
    (told,) = await begun(file, A)
    threads: set[str] = set()
    for seq in range(1, 4):
        told.writer.keep(A, f"h{seq}", "x" * (2 << 20))
        told.writer.put_then(entry(A, seq), lambda: threads.add(threading.current_thread().name))
        assert not threads, "not at once"
    await told.writer.flush()
    assert threads == {threading.main_thread().name}


async def test_what_cannot_be_a_journal_is_said_at_once(tmp_path: Path) -> None:
    """A folder, a file of something else, a file below a file: one line that says what, where, and what to do."""
    (tmp_path / "text").write_text("this is no database, and it is long enough to have been one" * 100)
    (tmp_path / "folder").mkdir()
    for name, complaint in (
        ("text", "file is not a database"),
        ("folder", "unable to open database file"),
        ("text/runs.db", "File exists"),
        ("/proc/none/runs.db", "No such file or directory"),
    ):
        began = time.perf_counter()
        with pytest.raises(JournalError, match=f"cannot be opened: .*{complaint}.*AGENTRT_JOURNAL or --journal"):
            Journal(tmp_path / name).writer()
        assert time.perf_counter() - began < 5
    assert (tmp_path / "text").read_text().startswith("this is no database")


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A journal that a newer agentrt has written is left alone, and the line names both versions."""
    async with Journal(tmp_path / "runs.db") as journal:
        await begun(journal, A)
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as connection:
        connection.execute("UPDATE agentrt_schema SET version = 7")
    before = (tmp_path / "runs.db").read_bytes()
    with pytest.raises(JournalError, match=r"has version 7, this agentrt knows versions up to 4; install a newer"):
        Journal(tmp_path / "runs.db").writer()
    assert (tmp_path / "runs.db").read_bytes() == before


async def test_a_file_that_is_damaged_ends_its_runs(file: Journal, tmp_path: Path) -> None:
    """A table that is gone is no reason to wait: the run is told at once."""
    (told,) = await begun(file, A)
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE agentrt_entries")
    told.put(1)
    with pytest.raises(JournalError, match="cannot be written: no such table"):
        await told.writer.flush()
    assert told.landed == []
    assert "no such table" in str(told.lost)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "expected a file"),
        ("mysql://host/runs", "expected a file"),
        ("sqlite://", "expected a file"),
        ("no url://at all", "expected a file"),
        ("sqlite:///runs.db?sync=sometimes", "sync='sometimes': expected sync=normal, sync=full, or nothing"),
        ("sqlite:///runs.db?sink=full", "sink='full': expected sync=normal, sync=full, or nothing"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, complaint: str) -> None:
    """The message says what an address looks like."""
    with pytest.raises(ConfigError, match=complaint):
        Journal(url)


def test_a_journal_shows_where_it_is_but_no_password(tmp_path: Path) -> None:
    """Text of a journal is its file, or its address without the password."""
    assert str(Journal(tmp_path / "runs.db")) == str(tmp_path / "runs.db")
    assert str(Journal("postgresql://me:secret@host/runs")) == "postgresql://me:***@host/runs"
    assert "secret" not in repr(Journal("postgresql://me:secret@host/runs"))


def _open_files() -> set[str]:
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(one.readlink()))
        except FileNotFoundError:  # the listing's own
            continue
    return found
