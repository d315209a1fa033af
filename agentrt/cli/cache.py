"""``agentrt cache``: the answers that are kept, what they saved, and how often they were wrong."""

from __future__ import annotations

import argparse
from typing import Any, Final

from agentrt.cli import cache_lines, cache_show, cache_tidy, cache_tune
from agentrt.cli.journals import add_journal_option

_EXAMPLES: Final = """\
examples:
  agentrt cache stats                     what is kept, what it saved, how often it was wrong
  agentrt cache inspect "opening hours"   the answers to questions that hold these words
  agentrt cache inspect 42 --refuse       it is wrong, and is never given again
  agentrt cache tune --max-error-rate 0.05
  agentrt cache prune --tag prices --dry-run
  agentrt cache export > answers.jsonl
  agentrt cache import answers.jsonl

`agentrt cache COMMAND --help` shows the options of one.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``cache`` and its commands; each module of them has ``add_parsers``."""
    parser = subparsers.add_parser(
        "cache",
        help="look at the answers of the semantic cache, sign, refuse, prune and move them",
        description="Answers that are given again: look at them, vouch for them, throw them out.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (cache_show, cache_tune, cache_tidy, cache_lines):
        module.add_parsers(commands)
    for one in commands.choices.values():
        add_journal_option(one, "where the answers are kept; your own journal without")
        one.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
