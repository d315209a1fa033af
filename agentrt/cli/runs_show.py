"""``agentrt runs list`` and ``agentrt runs show``."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.journals import is_there, journal_name, with_journal
from agentrt.cli.output import json_line
from agentrt.cli.screen import say, status, width
from agentrt.store.rows import STATUSES

if TYPE_CHECKING:
    from agentrt.store import Journal
    from agentrt.store.recording import Recording
    from agentrt.store.rows import OwnerRow, RunRow
    from agentrt.store.views import ShownStep

_LABEL: Final = 10
_LONGEST_VALUE: Final = 600


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``list`` and ``show``."""
    runs = commands.add_parser("list", help="the runs, the newest first", description="List runs, the newest first.")
    runs.add_argument("--status", choices=STATUSES, metavar="STATUS", help=f"only those: {', '.join(STATUSES)}")
    runs.add_argument("--limit", type=at_least_one, default=20, metavar="N", help="how many at most (20)")
    runs.add_argument("--json", action="store_true", help="print one JSON list")
    runs.set_defaults(handler=show_list)
    show = commands.add_parser("show", help="one run and its steps", description="Show one run and its steps.")
    show.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(handler=show_run)


def at_least_one(text: str) -> int:
    """A number above 0, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 or more")
    return value


# -- list ------------------------------------------------------------------------------------------------------------


def show_list(options: argparse.Namespace) -> int:
    """Print the runs there are."""
    name = journal_name(options)
    if name is not None and options.journal is None and not is_there(name):
        sys.stdout.write("[]\n" if options.json else "")
        print("No run has been written down yet; `agentrt run PROGRAM.py` does it", file=sys.stderr)
        return 0
    found, more = with_journal(options, lambda journal: _listed(journal, options.status, options.limit))
    if options.json:
        sys.stdout.write(json_line(found, indent=2))
        return 0
    say(*_list_lines(found, options.status))
    if more:
        print("there are more; --limit shows them", file=sys.stderr)
    return 0


async def _listed(journal: Journal, wanted: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """What is shown of each run, and whether there are more."""
    from agentrt.store import archive
    from agentrt.store.views import run_json, status_of

    async with journal.connect() as connection:
        rows = await archive.list_runs(connection, limit=limit + 1 if wanted is None else None)
        owners = await archive.owners_of(connection, rows)
        fit = [row for row in rows if wanted in (None, status_of(row, owners.get(row.id)))]
        shown = fit[:limit]
        counts = await archive.counts(connection, [row.id for row in shown])
    told = [{**run_json(row, owners.get(row.id)), "steps": counts[row.id].get("called", 0)} for row in shown]
    return told, len(fit) > limit


def _list_lines(found: list[dict[str, Any]], wanted: str | None) -> Iterator[str]:
    from agentrt.ui.words import day

    if not found:
        yield "No such run" if wanted else "No run is written down"
        return
    ids = max(len(run["run_id"]) for run in found)
    steps = max(5, *(len(str(run["steps"])) for run in found))
    fixed = f"{'RUN':{ids}}  {'STATUS':11}  {'BEGAN':12}  {'TIME':>7}  {'STEPS':>{steps}}  "
    yield f"{fixed}PROGRAM"
    now = time.time()
    for run in found:
        yield (
            f"{run['run_id']:{ids}}  {status(run['status'], 11)}  {day(_wall(run), now)}  {_took(run, now):>7}  "
            f"{run['steps']:>{steps}}  {_cut(run['program'], width() - len(fixed))}"
        )


def _wall(run: dict[str, Any]) -> float:
    from datetime import datetime

    return datetime.fromisoformat(run["began"]).timestamp()


def _took(run: dict[str, Any], now: float) -> str:
    from agentrt.ui.words import duration

    if run["status"] == "running":
        return duration(max(0.0, now - _wall(run)))
    return "" if run["seconds"] is None else duration(run["seconds"])


# -- show ------------------------------------------------------------------------------------------------------------


def show_run(options: argparse.Namespace) -> int:
    """Print one run."""
    from agentrt.store.views import details_json, steps_of

    recording, owner = with_journal(options, lambda journal: _read(journal, options.run))
    if options.json:
        told = {"journal": journal_name_shown(options), **details_json(recording, owner)}
        sys.stdout.write(json_line(told, indent=2))
        return 0
    steps = steps_of(recording, owner)
    say(*_head(recording, owner, steps))
    if steps:
        say("", *_table(steps))
    return 0


def journal_name_shown(options: argparse.Namespace) -> str:
    """The journal's name, without a password."""
    from agentrt.store import Journal

    return str(Journal(journal_name(options) or ""))


async def _read(journal: Journal, name: str) -> tuple[Recording, OwnerRow | None]:
    from agentrt.store import archive

    async with journal.connect() as connection:
        row = await archive.find_run(connection, name)
        return await archive.recording_of(connection, row), await archive.owner_of(connection, row)


def _head(recording: Recording, owner: OwnerRow | None, steps: list[ShownStep]) -> Iterator[str]:
    from datetime import datetime

    from agentrt.store.views import error_of, inputs_of, output_of, total
    from agentrt.ui.words import tokens

    row = recording.run
    inputs = inputs_of(row)
    yield from _field("run", row.id)
    yield from _field("program", f"{row.program} ({row.target})")
    yield from _status_lines(row, owner)
    began = datetime.fromtimestamp(row.wall).astimezone()
    yield from _field("began", f"{began:%Y-%m-%d %H:%M:%S %Z}{_after(row, owner)}")
    if row.origin is not None:
        yield from _field("forked", f"from {row.origin}")
    if inputs is None:
        yield from _field("inputs", "no data, so not written down; the run cannot be resumed")
    for name, value in (inputs or {}).items():
        yield from _field("input", f"{name} = {_value(value)}")
    if spent := tokens(total(steps)):
        yield from _field("tokens", spent)
    output = output_of(recording)
    if output is not None:
        yield from _field("output", _value(output))
    error = error_of(recording, owner)
    if error is not None:
        yield from _field("error", error["message"])
        for note in error["story"]:
            yield from _field("story", note)


def _status_lines(row: RunRow, owner: OwnerRow | None) -> Iterator[str]:
    from agentrt.store.views import host_of, status_of

    word = status_of(row, owner)
    more = ""
    if owner is not None:
        more = f" in process {owner.pid} on {host_of(owner)}"
    elif word == "interrupted":
        more = f"; to go on: agentrt runs resume {row.id}"
    elif word == "waiting":
        more = f" for a person; agentrt runs questions {row.id}"
    yield f"{'status':{_LABEL}}{status(word)}{more}"


def _after(row: RunRow, owner: OwnerRow | None) -> str:
    from agentrt.ui.words import duration

    return f", took {duration(row.seconds)}" if owner is None and row.status in ("done", "failed", "cancelled") else ""


def _field(label: str, value: str) -> Iterator[str]:
    from agentrt.ui.words import one_line

    room = max(20, width() - _LABEL)
    for number, line in enumerate(textwrap.wrap(one_line(value), room, break_on_hyphens=False) or [""]):
        yield f"{label if number == 0 else '':{_LABEL}}{line}"


def _value(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LONGEST_VALUE)


def _cut(text: str, most: int) -> str:
    from agentrt.ui.words import cut, one_line

    return cut(one_line(text), max(8, most))


# -- the table of steps ----------------------------------------------------------------------------------------------


def _table(steps: list[ShownStep]) -> Iterator[str]:
    told = any(step.usage.prompt for step in steps)
    head = f"  {'STATUS':11} {'TRY':>3} {'AT':>8} {'TIME':>7}" + (f" {'PROMPT':>7} {'CACHED':>6} {'NEW':>6}" * told)
    room = max(16, width() - len(head))
    label = min(room, max(len(step.id.rpartition("/")[2]) + 2 * step.depth for step in steps))
    yield f"{'STEP':{label}}{head}"
    for step in steps:
        yield f"{_cut_label(step, label)}  {_columns(step, told=told)}"
        if step.status == "failed" and step.error:
            yield f"{'':{2 * step.depth + 4}}{_cut(step.error, width() - 2 * step.depth - 4)}"


def _cut_label(step: ShownStep, most: int) -> str:
    label = " " * (2 * step.depth) + step.id.rpartition("/")[2]
    return (label if len(label) <= most else label[: most - 3] + "...").ljust(most)


def _columns(step: ShownStep, *, told: bool) -> str:
    from agentrt.ui.words import duration, share

    attempts = str(step.attempts) if step.attempts > 1 else ""
    at = "" if step.started is None else duration(step.started)
    took = "" if step.seconds is None else duration(step.seconds)
    line = f"{status(step.status, 11)} {attempts:>3} {at:>8} {took:>7}"
    used = step.usage
    if told and (used.prompt or used.completion):
        line += f" {used.prompt:>7,} {share(used.cached, used.prompt):>6} {used.completion:>6,}"
    return line
