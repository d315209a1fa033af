"""``agentrt cache export`` and ``agentrt cache import``: answers on their way to another journal."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from agentrt.cli.journals import journal_name, with_journal
from agentrt.cli.output import json_line
from agentrt.cli.screen import say
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.store import Journal
    from agentrt.store.answer_lines import Taken

_STDIN: Final = "-"


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``export`` and ``import``."""
    export = commands.add_parser(
        "export",
        help="all answers and feedback as lines of JSON",
        description="Write all answers, with their vectors, and all feedback to standard output, as lines of JSON.",
    )
    export.set_defaults(handler=export_answers)
    take = commands.add_parser(
        "import",
        help="take in what was exported",
        description="Take in what was exported: all of it or nothing. What is there already stays as it is.",
    )
    take.add_argument("file", metavar="FILE", help="what `agentrt cache export` wrote; - for standard input")
    take.add_argument("--json", action="store_true", help="print one JSON object")
    take.set_defaults(handler=import_answers)


def export_answers(options: argparse.Namespace) -> int:
    """Write everything to standard output."""
    with_journal(options, _export)
    return 0


async def _export(journal: Journal) -> None:
    from agentrt.store.answer_lines import lines_of

    async with journal.connect() as connection:
        async for line in lines_of(connection):
            sys.stdout.write(json_line(line))


def import_answers(options: argparse.Namespace) -> int:
    """Take a file in, into a new journal if there is none yet."""
    import asyncio

    name = journal_name(options)
    if name is None:
        raise ConfigError("AGENTRT_JOURNAL=off: answers are not kept; name a journal with --journal FILE")
    try:
        with _opened(options.file) as lines:
            taken = asyncio.run(_take(name, lines, options.file))
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError(f"{options.file!r} cannot be read: {said}; name what `agentrt cache export` wrote") from error
    if options.json:
        sys.stdout.write(json_line(taken._asdict()))
    else:
        say(_line(taken))
    return 0


def _opened(file: str) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdin) if file == _STDIN else Path(file).open(encoding="utf-8")


async def _take(name: str, lines: TextIO, file: str) -> Taken:
    from agentrt.store import Journal
    from agentrt.store.answer_lines import take
    from agentrt.store.answers import ENTRIES, Answers

    async with Journal(name) as journal:
        async with Answers(journal).writing() as connection:
            taken = await take(connection, lines, "standard input" if file == _STDIN else file)
        journal.grew(ENTRIES * taken.answers)
    return taken


def _line(taken: Taken) -> str:
    from agentrt.ui.words import counted

    rest = f"; {taken.passed:,} were there already" if taken.passed else ""
    return f"{counted(taken.answers, 'answer')} and {counted(taken.feedback, 'judgement')} taken in{rest}"
