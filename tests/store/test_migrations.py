"""Older journals become newer ones, once, whole or not at all; newer ones are left alone."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, inspect, text

from agentrt.errors import JournalError
from agentrt.store import Journal, archive, schema
from agentrt.store.rows import NoteRow
from agentrt.types import StepId
from tests.store.stored import A, begun, entries, entry, rows


def coming(connection: Connection) -> None:
    """The next version, as there may be one."""
    connection.execute(text("ALTER TABLE agentrt_runs ADD COLUMN colour TEXT DEFAULT 'grey' NOT NULL"))
    connection.execute(text("UPDATE agentrt_runs SET colour = 'red' WHERE status = 'running'"))


def impossible(connection: Connection) -> None:
    """A version after it that cannot be."""
    connection.execute(text("CREATE TABLE agentrt_half (x INTEGER)"))
    connection.execute(text("SELECT * FROM nowhere"))


NOW = len(schema.MIGRATIONS)
NEXT = (*schema.MIGRATIONS, coming)
BROKEN = (*NEXT, impossible)


async def test_a_journal_grows_by_the_versions_it_lacks(journal: Journal) -> None:
    """A journal of this version with a run in it becomes the next one, and that once."""
    (told,) = await begun(journal, A)
    told.put(1)
    await told.writer.flush()
    for _ in range(2):
        async with journal.connect(write=True) as connection:
            await connection.run_sync(schema.migrate, str(journal), NEXT)
    async with journal.connect() as connection:
        assert (await connection.execute(text("SELECT id, colour FROM agentrt_runs"))).all() == [(A, "red")]
        assert (await connection.execute(text("SELECT version FROM agentrt_schema"))).all() == [(NOW + 1,)]
    assert await entries(journal, A) == [entry(A, 1)]


async def test_a_journal_of_the_first_version_takes_notes(journal: Journal, url: str) -> None:
    """One that was made before there were notes gets their table when it is opened, and keeps its runs."""
    (told,) = await begun(journal, A)
    told.put(1)
    await told.writer.flush()
    async with journal.connect(write=True) as connection:
        await connection.execute(text("DROP TABLE agentrt_notes"))
        await connection.execute(text("UPDATE agentrt_schema SET version = 1"))
    await journal.close()
    async with Journal(url) as again:
        again.writer().note(NoteRow(A, 0.5, "runs", StepId("plan#1"), "1"))
        await again.writer().flush()
        async with again.connect() as connection:
            ((_, note),) = await archive.notes_of(connection, A)
            assert note == NoteRow(A, 0.5, "runs", StepId("plan#1"), "1")
        assert await entries(again, A) == [entry(A, 1)]


async def test_a_migration_that_fails_changes_nothing(journal: Journal) -> None:
    """What a failed migration has done is taken back, that of the versions before it included."""
    await begun(journal, A)
    with pytest.raises(JournalError, match="nowhere"):
        async with journal.connect(write=True) as connection:
            await connection.run_sync(schema.migrate, str(journal), BROKEN)
    async with journal.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert "agentrt_half" not in tables
        assert (await connection.execute(text("SELECT version FROM agentrt_schema"))).all() == [(NOW,)]
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
        assert f"has version 12, this agentrt knows versions up to {NOW}; install a newer agentrt" in str(error.value)
        assert "\n" not in str(error.value)


async def test_a_journal_may_live_beside_other_tables(journal: Journal) -> None:
    """All tables of a journal say whose they are."""
    await begun(journal, A)
    async with journal.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    ours = [one for one in tables if not one.startswith("sqlite_")]
    assert len(ours) == 10
    assert all(one.startswith("agentrt_") for one in ours)
