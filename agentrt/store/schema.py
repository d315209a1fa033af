"""The tables, their version, and how an older journal becomes a newer one.

Every name begins with ``agentrt_``, so that a journal may live in a database that holds other things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    update,
)

from agentrt.errors import JournalError

metadata: Final = MetaData()

version_table: Final = Table("agentrt_schema", metadata, Column("version", Integer, nullable=False))

runs: Final = Table(
    "agentrt_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("program", Text, nullable=False),
    Column("target", Text, nullable=False),  # where to find the program again: FILE:NAME or module:NAME
    Column("inputs", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("wall", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", Text),
    Column("owner", String(64)),
    Column("origin", Text),  # of a fork: RUN or RUN at STEP
    Index("agentrt_runs_by_time", "wall"),
)

entries: Final = Table(
    "agentrt_entries",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("batch", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("step", Text, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("data", Text, nullable=False),
    sqlite_with_rowid=False,
)

bodies: Final = Table(
    "agentrt_bodies",
    metadata,
    Column("run", String(64), primary_key=True),  # not shared between runs: a run can be deleted whole, at any time
    Column("hash", String(32), primary_key=True),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

notes: Final = Table(
    "agentrt_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("step", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("agentrt_notes_of_run", "run", "id"),
)

owners: Final = Table(
    "agentrt_owners",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("born", Float, nullable=False),  # when the process started, by its system's clock
    Column("beat", Float, nullable=False),
)

mail: Final = Table(
    "agentrt_mail",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("step", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("wall", Float, nullable=False),
    sqlite_autoincrement=True,  # a number is not given again, so that it names one letter
)

answers: Final = Table(
    "agentrt_answers",
    metadata,
    Column("id", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=False),
    Column("scope", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("exact", Text, nullable=False),  # the hash of the whole request
    Column("question", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("tags", Text, nullable=False),
    Column("standing", String(16), nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("completion", Integer, nullable=False),
    Column("hits", Integer, nullable=False, default=0),
    Column("used", Float),
    Column("reply", Text, nullable=False),  # the last and the longest: whoever reads the others passes it over
    Index("agentrt_answers_of_requests", "exact", "scope", "category", "fingerprint", unique=True),
)

feedback: Final = Table(
    "agentrt_feedback",
    metadata,
    Column("id", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    Column("scope", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answer", BigInteger, nullable=False, index=True),  # which may be gone
    Column("question", Text, nullable=False),
    Column("stored", Text, nullable=False),
    Column("cosine", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("right", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
)

counters: Final = Table(
    "agentrt_counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("next", BigInteger, nullable=False),  # the number that is given next
    sqlite_with_rowid=False,
)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: Final[Sequence[Callable[[Connection], None]]] = (_create,) * 4
"""The ``n``-th, counted from 0, makes version ``n + 1`` of version ``n``; nothing is version 0.

Version 2 has notes. In version 3 entries name joins, of which an agentrt of before knows nothing. Version 4 has
answers.
"""


def migrate(
    connection: Connection, where: str, migrations: Sequence[Callable[[Connection], None]] = MIGRATIONS
) -> None:
    """Bring the journal to this version, within the caller's transaction.

    Raises ``JournalError`` for one that a newer version of agentrt has written; ``where`` names it.
    """
    found = _version(connection)
    if found > len(migrations):
        raise JournalError(
            f"the journal {where} has version {found}, this agentrt knows versions up to {len(migrations)}; "
            f"install a newer agentrt, or name another journal"
        )
    for step in migrations[found:]:
        step(connection)
    if found < len(migrations):
        _set_version(connection, len(migrations))


def current(connection: Connection) -> bool:
    """Whether the journal is of this version."""
    return _version(connection) == len(MIGRATIONS)


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(version_table.name):
        return 0
    return connection.execute(select(func.max(version_table.c.version))).scalar_one_or_none() or 0


def _set_version(connection: Connection, version: int) -> None:
    if connection.execute(update(version_table).values(version=version)).rowcount == 0:
        connection.execute(insert(version_table).values(version=version))
