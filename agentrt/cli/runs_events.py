"""``agentrt runs events`` and ``agentrt runs export``: what a run's journal says, entry by entry."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli import export
from agentrt.cli.journals import run_and_owner, with_journal
from agentrt.cli.output import json_line
from agentrt.cli.screen import say, width

if TYPE_CHECKING:
    from agentrt.store import Journal, RunRow

_FOLLOW_S: Final = 0.5
"""Seconds between two looks at a run that goes on."""


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``events`` and ``export``."""
    events = commands.add_parser(
        "events", help="what happened in a run, in order", description="Print what happened in a run, in order."
    )
    events.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    events.add_argument("--follow", "-f", action="store_true", help="go on until the run ends, or Ctrl-C")
    events.add_argument("--json", action="store_true", help="print one JSON object a line")
    events.set_defaults(handler=show_events)
    exported = commands.add_parser(
        "export",
        help="all that is written down of a run, as JSON",
        description="Print all that is written down of a run: the run itself, then its entries. "
        "`agentrt export` writes a web page, or a picture.",
    )
    export.add_options(exported, format_="jsonl", output="-")
    exported.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


# -- events ----------------------------------------------------------------------------------------------------------


def show_events(options: argparse.Namespace) -> int:
    """Print the entries, and with ``--follow`` those that come, until the run ends."""
    return with_journal(options, lambda journal: _events(journal, options))


def show_recording(options: argparse.Namespace) -> int:
    """Print the entries in the file of a recording, to its end. Raises ``JournalError`` for a damaged one."""
    import asyncio

    from agentrt.store.recordings import opened

    async def main() -> int:
        async with opened(options.run) as (journal, run):
            row, _ = await run_and_owner(journal, run)
            await _print_from(journal, row, 0, json_wanted=options.json)
            return 0

    return asyncio.run(main())


async def _events(journal: Journal, options: argparse.Namespace) -> int:
    import asyncio

    row, owner = await run_and_owner(journal, options.run)
    after = await _print_from(journal, row, 0, json_wanted=options.json)
    while options.follow and owner is not None:
        await asyncio.sleep(_FOLLOW_S)
        row, owner = await run_and_owner(journal, row.id)  # looked at before its entries: the last ones are shown
        after = await _print_from(journal, row, after, json_wanted=options.json)
    if options.follow:
        _say_the_end(row)
    return 0


def _say_the_end(row: RunRow) -> None:
    from agentrt.store.views import status_of

    word = status_of(row, None)
    if word == "interrupted":
        print(f"the process of run {row.id} is gone; to go on: agentrt runs resume {row.id}", file=sys.stderr)
    elif word == "waiting":
        print(f"run {row.id} waits for a person; see agentrt runs questions {row.id}", file=sys.stderr)


async def _print_from(journal: Journal, row: RunRow, after: int, *, json_wanted: bool) -> int:
    """Print the entries that follow number ``after``; the number of the last one."""
    from agentrt.store.exports import told_entries
    from agentrt.store.telling import entry_json, in_words
    from agentrt.ui.words import cut, one_line

    async with journal.connect() as connection:
        async for entry, bodies in told_entries(connection, row, after):
            after = entry.seq
            if json_wanted:
                sys.stdout.write(json_line(entry_json(entry, bodies.__getitem__)))
            else:
                say(cut(f"{entry.at:9.2f} s  {one_line(in_words(entry, bodies.__getitem__))}", width()))
    sys.stdout.flush()
    return after
