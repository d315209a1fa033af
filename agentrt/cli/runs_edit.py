"""``agentrt runs edit``: the graph of a run is changed by a document."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.execute import where
from agentrt.cli.failures import DONE
from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.runtime.durable.edit_letters import EditOutcome
    from agentrt.store import Journal
    from agentrt.types import RunId

_EXAMPLES: Final = """\
examples:
  agentrt runs edit last plan.json
  echo '{"changes": [{"do": "drop", "step": "search#2"}]}' | agentrt runs edit last -

A process that has the run makes the edit within a second, whole or not at all; else it waits for `agentrt runs resume`.
"""


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``edit``."""
    edit = commands.add_parser(
        "edit",
        help="change steps of a run that have not started",
        description="Change the graph of a run by a document: insert, drop, rewire, replace and split steps.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    edit.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    edit.add_argument("document", metavar="FILE", help="the edit as JSON; - is standard input")
    edit.add_argument("--json", action="store_true", help="print one JSON object")
    edit.set_defaults(handler=edit_run)


def edit_run(options: argparse.Namespace) -> int:
    """Leave the edit, and say what became of it."""
    text = _read(options.document)
    run, outcome = with_journal(options, lambda journal: _edit(journal, options.run, text))
    if options.json:
        sys.stdout.write(json_line({"run": run, "outcome": outcome}))
    told = "applied" if outcome == "applied" else "kept: it is made when the run goes on"
    print(f"run {run}: {told}", file=sys.stderr)
    if outcome == "kept":
        print(f"to go on: agentrt runs resume {run}{where(options)}", file=sys.stderr)
    return DONE


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the edit {name!r} cannot be read: {error}") from error


async def _edit(journal: Journal, run: str, text: str) -> tuple[RunId, EditOutcome]:
    from agentrt.runtime.durable import edit_letters

    sent = await edit_letters.send(journal, run, text, now=time.time)
    return sent.run, await edit_letters.outcome(journal, sent)
