"""Older journals become newer ones, once, whole or not at all; newer ones are left alone."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, inspect, text

from agentrt.errors import JournalError
from agentrt.store import Journal, schema
from tests.store.stored import A, begun, entries, entry, rows


def second(connection: Connection) -> None:
    """A version 2, as there may be one."""
    connection.execute(text("ALTER TABLE agentrt_runs ADD COLUMN colour TEXT DEFAULT 'grey' NOT NULL"))
    connection.execute(text("UPDATE agentrt_runs SET colour = 'red' WHERE status = 'running'"))


def third(connection: Connection) -> None:
    """A version 3 that cannot be."""
    connection.execute(text("CREATE TABLE agentrt_half (x INTEGER)"))
    connection.execute(text("SELECT * FROM nowhere"))


TWO = (*schema.MIGRATIONS, second)
THREE = (*TWO, third)


async def test_a_journal_grows_by_the_versions_it_lacks(journal: Journal) -> None:
    """A journal of version 1 with a run in it becomes version 2, and that once."""
    (told,) = await begun(journal, A)
    told.put(1)
    await told.writer.flush()
    for _ in range(2):
        async with journal.connect(write=True) as connection:
            await connection.run_sync(schema.migrate, str(journal), TWO)
    async with journal.connect() as connection:
        assert (await connection.execute(text("SELECT id, colour FROM agentrt_runs"))).all() == [(A, "red")]
        assert (await connection.execute(text("SELECT version FROM agentrt_schema"))).all() == [(2,)]
    assert await entries(journal, A) == [entry(A, 1)]


async def test_a_migration_that_fails_changes_nothing(journal: Journal) -> None:
    """What a failed migration has done is taken back, that of the versions before it included."""
    await begun(journal, A)
    with pytest.raises(JournalError, match="nowhere"):
        async with journal.connect(write=True) as connection:
            await connection.run_sync(schema.migrate, str(journal), THREE)
    async with journal.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert "agentrt_half" not in tables
        assert (await connection.execute(text("SELECT version FROM agentrt_schema"))).all() == [(1,)]
    assert set(await rows(journal)) == {A}


async def test_a_newer_journal_is_refused_by_whatever_asks_first(journal: Journal, url: str) -> None:
    """Reading and writing a journal of a newer version both end in one line that names the versions and a way out."""
    await begun(journal, A)
    async with journal.connect(write=True) as connection:
        await connection.execute(text("UPDATE agentrt_schema SET version = 12"))
    await journal.close()
    for use in (rows, begun):
        other = Journal(url)
        with pytest.raises(JournalError) as error:
            await use(other)  # type: ignore[operator]
        await other.close()
        assert "has version 12, this agentrt knows versions up to 1; install a newer agentrt" in str(error.value)
        assert "\n" not in str(error.value)


async def test_a_journal_may_live_beside_other_tables(journal: Journal) -> None:
    """All tables of a journal say whose they are."""
    await begun(journal, A)
    async with journal.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    ours = [one for one in tables if not one.startswith("sqlite_")]
    assert len(ours) == 6
    assert all(one.startswith("agentrt_") for one in ours)
