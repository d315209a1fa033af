"""Which journal a command reads, and how it is opened."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agentrt.errors import ConfigError, JournalError

if TYPE_CHECKING:
    from agentrt.store import Journal
    from agentrt.store.rows import OwnerRow, RunRow

T = TypeVar("T")


def add_journal_option(
    parser: argparse.ArgumentParser, help_: str = "where the runs are written down; your own journal without"
) -> None:
    """``--journal``, for every command that reads one."""
    parser.add_argument("--journal", metavar="FILE|URL", help=help_)


def journal_name(options: argparse.Namespace) -> str | None:
    """The journal that was chosen by option or environment, else this user's; ``None`` when runs are not kept."""
    from agentrt.engine.paths import home

    named: str | None = options.journal
    return home().journal if named is None else named


def needed_journal(options: argparse.Namespace) -> str:
    """The journal to read. Raises ``ConfigError`` when runs are not kept, ``JournalError`` when there is none yet."""
    name = journal_name(options)
    if name is None:
        raise ConfigError("AGENTRT_JOURNAL=off: runs are not written down; name a journal with --journal FILE")
    if not is_there(name):
        raise JournalError(f"there is no journal {name!r} yet; `agentrt run` makes it when it runs a program")
    return name


def is_there(name: str) -> bool:
    """Whether the journal's file exists; of one on a server only asking it can tell."""
    if "://" not in name:
        return Path(name).expanduser().exists()  # as a Journal would find it, which takes long to import
    from agentrt.store import Journal

    file = Journal(name).file
    return file is None or Path(file).exists()


def with_journal(options: argparse.Namespace, use: Callable[[Journal], Awaitable[T]]) -> T:
    """What ``use`` makes of the command's journal, in an event loop of its own."""
    import asyncio

    from agentrt.store import Journal

    name = needed_journal(options)

    async def main() -> T:
        async with Journal(name) as journal:
            return await use(journal)

    return asyncio.run(main())


async def run_and_owner(journal: Journal, name: str) -> tuple[RunRow, OwnerRow | None]:
    """The run of that name, and the living process that has it. Raises ``NoSuchRun``."""
    from agentrt.store import archive

    async with journal.connect() as connection:
        return await archive.run_and_owner(connection, name)
