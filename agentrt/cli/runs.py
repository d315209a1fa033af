"""``agentrt runs``: what is written down of runs, and what can be done with it."""

from __future__ import annotations

import argparse
from typing import Any, Final

from agentrt.cli import answer, runs_edit, runs_events, runs_resume, runs_show, runs_tidy
from agentrt.cli.journals import add_journal_option

_EXAMPLES: Final = """\
examples:
  agentrt runs list --status interrupted
  agentrt runs show last
  agentrt runs events 20261120-101500 --follow
  agentrt runs resume last                    go on where it broke off; finished steps are not run again
  agentrt runs answer last yes --resume       answer what it asks, and go on
  agentrt runs fork last --from 'outline#1'   a new run that keeps all that did not depend on that step
  agentrt runs prune --older-than 30d --dry-run

RUN is a run's id, the beginning of one, or `last`. `agentrt runs COMMAND --help` shows the options of one.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``runs`` and its commands; each module of them has ``add_parsers``."""
    parser = subparsers.add_parser(
        "runs",
        help="list, show, edit, resume, cancel, fork, export and prune runs",
        description="Runs as they are written down: look at them, go on with them, tidy up.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (runs_show, runs_events, answer, runs_edit, runs_resume, runs_tidy):
        module.add_parsers(commands)
    for one in commands.choices.values():
        add_journal_option(one)
        one.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
