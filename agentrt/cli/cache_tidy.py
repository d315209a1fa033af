"""``agentrt cache prune``: answers that are not to be given again."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.cli.runs_tidy import age, size
from agentrt.cli.screen import say
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.store import Journal
    from agentrt.store.answer_archive import Choice


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``prune``."""
    prune = commands.add_parser(
        "prune",
        help="throw answers out",
        description="Throw out the answers that all of these options fit. What was learned from them stays.",
    )
    prune.add_argument("--tag", metavar="TAG", help="those with this tag")
    prune.add_argument("--older", type=age, metavar="AGE", help="those that were made so long ago: 30d, 12h, 2w")
    prune.add_argument("--model", metavar="NAME", help="those of this model")
    prune.add_argument("--category", metavar="NAME", help="those of this category")
    prune.add_argument("--scope", metavar="SCOPE", help="global, tenant, user, or one of them as `stats` shows it")
    prune.add_argument("--embedder", metavar="NAME", help="those with vectors of this embedder")
    prune.add_argument("--refused", action="store_true", help="those that were refused")
    prune.add_argument("--dry-run", action="store_true", help="only say how many would go")
    prune.add_argument("--json", action="store_true", help="print one JSON object")
    prune.set_defaults(handler=prune_answers)


def prune_answers(options: argparse.Namespace) -> int:
    """Throw out what fits, and say how many that were."""
    from agentrt.store.answer_archive import Choice

    choice = Choice(
        tag=options.tag,
        before=None if options.older is None else time.time() - options.older,
        model=options.model,
        category=options.category,
        scope=options.scope,
        embedder=options.embedder,
        refused=options.refused,
    )
    if choice.empty:
        raise ConfigError(
            "say which answers may go: --tag, --older 30d, --model, --category, --scope, --embedder or --refused "
            "(--dry-run only counts them)"
        )
    told = with_journal(options, lambda journal: _prune(journal, choice, dry_run=options.dry_run))
    if options.json:
        sys.stdout.write(json_line(told, indent=2))
    else:
        say(_line(told))
    return 0


async def _prune(journal: Journal, choice: Choice, *, dry_run: bool) -> dict[str, Any]:
    from agentrt.store import answer_archive, pruning
    from agentrt.store.answers import Answers

    async with journal.connect() as connection:
        ids = await answer_archive.choose(connection, choice)
    before = pruning.size_of(journal)
    if not dry_run:
        await Answers(journal).drop(ids)
    shrunk = bool(ids) and not dry_run and await pruning.shrink(journal)
    freed = before - pruning.size_of(journal) if shrunk else None
    return {"dry_run": dry_run, "answers": len(ids), "ids": ids, "freed_bytes": freed}


def _line(told: dict[str, Any]) -> str:
    from agentrt.ui.words import counted

    answers = counted(told["answers"], "answer")
    if told["dry_run"]:
        return f"{answers} would be thrown out; none was"
    if not told["answers"]:
        return "No answer fits; nothing was thrown out"
    freed = told["freed_bytes"]
    rest = "their room is used for new ones" if freed is None else f"the file is {size(freed)} smaller"
    return f"{answers} thrown out; {rest}"
