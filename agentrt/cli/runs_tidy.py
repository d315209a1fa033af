"""``agentrt runs cancel`` and ``agentrt runs prune``: what should not go on, and what is no longer needed."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.journals import run_and_owner, with_journal
from agentrt.cli.output import json_line
from agentrt.cli.runs_show import STATUSES, at_least_one
from agentrt.cli.screen import say
from agentrt.errors import ConfigError, RunTaken
from agentrt.store.rows import PROGRAM

if TYPE_CHECKING:
    from agentrt.store import Journal, RunRow
    from agentrt.store.rows import OwnerRow
    from agentrt.store.views import ShownStatus

_LOOK_S: Final = 0.2
_PATIENT_S: Final = 3.0
"""Seconds after which it is said what is waited for."""

_ENDED: Final = ("done", "failed", "cancelled")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``cancel`` and ``prune``."""
    cancel = commands.add_parser(
        "cancel",
        help="end a run, in whichever process it is",
        description="End a run, in whichever process it is, and wait for that. It can be resumed later.",
    )
    cancel.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    cancel.add_argument("--json", action="store_true", help="print one JSON object")
    cancel.set_defaults(handler=cancel_run)
    prune = commands.add_parser(
        "prune",
        help="delete old runs",
        description="Delete the runs that all of these options fit; never one that is running.",
        epilog="Without --status, runs that wait for a person are kept; all others may go.",
    )
    prunable = tuple(one for one in STATUSES if one != "running")
    prune.add_argument("--older-than", type=age, metavar="AGE", help="those that began so long ago: 30d, 12h, 2w")
    prune.add_argument("--status", action="append", choices=prunable, metavar="STATUS", help=", ".join(prunable))
    prune.add_argument("--keep", type=at_least_one, metavar="N", help="but not the newest N of these")
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    prune.add_argument("--json", action="store_true", help="print one JSON object")
    prune.set_defaults(handler=prune_runs)


def age(text: str) -> float:
    """``30d``, ``12h``, ``2w`` in seconds, for argparse."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number and s, m, h, d or w, such as 30d")
    return float(found[1]) * _UNITS[found[2]]


# -- cancel ----------------------------------------------------------------------------------------------------------


def cancel_run(options: argparse.Namespace) -> int:
    """Cancel the run and wait until it has ended; one that has ended already stays as it is."""
    row, was = with_journal(options, lambda journal: _cancel(journal, options.run))
    if options.json:
        sys.stdout.write(json_line({"run_id": row.id, "status": row.status, "was": was}))
    elif was in _ENDED:
        say(f"Run {row.id} has ended already: {was}")
    elif row.status == "cancelled":
        say(f"Run {row.id} is cancelled" + ("" if was == "running" else f"; it was {was}, no process had it"))
    else:
        say(f"Run {row.id} ended before it could be cancelled: {row.status}")
    return 0


async def _cancel(journal: Journal, name: str) -> tuple[RunRow, ShownStatus]:
    """How the run stands then, and how it stood."""
    from agentrt.store.views import status_of

    row, owner = await run_and_owner(journal, name)
    was = status_of(row, owner)
    if owner is not None:
        await _ask_to_end(journal, row, owner)
        row, _ = await run_and_owner(journal, row.id)
    if status_of(row, None) in ("interrupted", "waiting"):
        await _mark_cancelled(journal, row)
        row, _ = await run_and_owner(journal, row.id)
    return row, was


async def _ask_to_end(journal: Journal, row: RunRow, owner: OwnerRow) -> None:
    """Have the process end the run, and wait until it has, or is gone itself."""
    import asyncio

    from agentrt.store import archive
    from agentrt.store.views import host_of

    async with journal.connect(write=True) as connection:
        await archive.post(connection, row.id, "cancel", PROGRAM, json.dumps({"owner": owner.id}), time.time())
    said_at = time.monotonic() + _PATIENT_S
    while True:
        _, now = await run_and_owner(journal, row.id)
        if now is None:
            return
        if now.id != owner.id:
            raise RunTaken(archive.has_it(row, now))
        if time.monotonic() > said_at:
            said_at = float("inf")
            where = f"process {owner.pid} on {host_of(owner)}"
            print(f"waiting for {where} to end run {row.id}; Ctrl-C stops waiting", file=sys.stderr)
        await asyncio.sleep(_LOOK_S)


async def _mark_cancelled(journal: Journal, row: RunRow) -> None:
    """Write the end of a run that no process has, in its own journal and in the list."""
    from agentrt.errors import RunCancelled
    from agentrt.store import archive
    from agentrt.store.codec import encode
    from agentrt.store.rows import Entry, RunChange

    error = RunCancelled(f"run {row.id} was cancelled: agentrt runs cancel")
    async with journal.connect(write=True) as connection:
        await archive.claim(connection, row, journal.me)
        last = await archive.last_entry(connection, row.id)
        at = 0.0 if last is None else last.at
        seq, batch, seen = (1, 0, 0) if last is None else (last.seq + 1, last.batch + 1, last.seen)
        data = f'{{"status":"cancelled","value":{encode(error)},"error":{json.dumps(str(error))}}}'
        entry = Entry(row.id, seq, batch, at, "over", PROGRAM, seen, data)
        await archive.end_run(connection, entry, RunChange("cancelled", at, str(error), None, row.id))
        for letter in await archive.letters(connection, [row.id]):
            if letter.kind == "cancel":  # for the process that is gone
                await archive.discard(connection, letter)
        await archive.forget(connection, journal.me)


# -- prune -----------------------------------------------------------------------------------------------------------


def prune_runs(options: argparse.Namespace) -> int:
    """Delete what fits, and say what that was."""
    if options.older_than is None and options.status is None and options.keep is None:
        raise ConfigError(
            "say which runs may go: --older-than 30d, --status done, --keep 100 (--dry-run only shows them)"
        )
    told = with_journal(options, lambda journal: _prune(journal, options))
    if options.json:
        sys.stdout.write(json_line(told, indent=2))
    else:
        say(*_pruned_lines(told))
    return 0


async def _prune(journal: Journal, options: argparse.Namespace) -> dict[str, Any]:
    from agentrt.store import archive, pruning
    from agentrt.store.views import run_json

    statuses = options.status or [one for one in STATUSES if one not in ("running", "waiting")]
    before = None if options.older_than is None else time.time() - options.older_than
    async with journal.connect() as connection:
        rows = await pruning.chosen(connection, statuses, before=before, keep=options.keep or 0)
        sizes = await archive.sizes(connection, [row.id for row in rows])
    size = pruning.size_of(journal)
    gone = rows if options.dry_run else await pruning.delete(journal, rows)
    shrunk = bool(gone) and not options.dry_run and await pruning.shrink(journal)
    return {
        "dry_run": options.dry_run,
        "runs": [{**run_json(row, None), "characters": sizes[row.id]} for row in gone],
        "characters": sum(sizes[row.id] for row in gone),
        "freed_bytes": size - pruning.size_of(journal) if shrunk else None,
    }


def _pruned_lines(told: dict[str, Any]) -> list[str]:
    from agentrt.ui.words import counted

    runs = counted(len(told["runs"]), "run")
    held = _size(told["characters"])
    if told["dry_run"]:
        lines = [f"{run['run_id']}  {run['status']:11}  {_size(run['characters']):>9}" for run in told["runs"]]
        return [*lines, f"{runs} would be deleted, {held} of records; nothing was"]
    if not told["runs"]:
        return ["No run fits; nothing was deleted"]
    freed = told["freed_bytes"]
    rest = "; their room is used for new runs" if freed is None else f"; the file is {_size(freed)} smaller"
    return [f"{runs} deleted, {held} of records{rest}"]


def _size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 100_000 else f"{number / 1e3:,.1f} kB"
