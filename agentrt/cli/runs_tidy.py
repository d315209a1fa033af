"""``agentrt runs cancel`` and ``agentrt runs prune``: what should not go on, and what is no longer needed."""

from __future__ import annotations

import argparse
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.cli.runs_show import at_least_one
from agentrt.cli.screen import say
from agentrt.errors import ConfigError
from agentrt.store.rows import STATUSES

if TYPE_CHECKING:
    from agentrt.runtime.durable.cancelling import Cancelled
    from agentrt.store import Journal, RunRow
    from agentrt.store.rows import OwnerRow

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


async def _cancel(journal: Journal, name: str) -> Cancelled:
    from agentrt.runtime.durable.cancelling import cancel

    return await cancel(journal, name, now=time.time, waits_for=_say_what_is_waited_for)


def _say_what_is_waited_for(row: RunRow, owner: OwnerRow) -> None:
    from agentrt.store.views import host_of

    where = f"process {owner.pid} on {host_of(owner)}"
    print(f"waiting for {where} to end run {row.id}; Ctrl-C stops waiting", file=sys.stderr)


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
    held = size(told["characters"])
    if told["dry_run"]:
        lines = [f"{run['run_id']}  {run['status']:11}  {size(run['characters']):>9}" for run in told["runs"]]
        return [*lines, f"{runs} would be deleted, {held} of records; nothing was"]
    if not told["runs"]:
        return ["No run fits; nothing was deleted"]
    freed = told["freed_bytes"]
    rest = "; their room is used for new runs" if freed is None else f"; the file is {size(freed)} smaller"
    return [f"{runs} deleted, {held} of records{rest}"]


def size(number: int) -> str:
    """Bytes or characters: ``1.2 kB``, ``3.4 MB``."""
    return f"{number / 1e6:,.1f} MB" if number >= 100_000 else f"{number / 1e3:,.1f} kB"
