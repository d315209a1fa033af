"""``agentrt bench compare A B``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Group

    from agentrt.benchmarks.harness.compare import Comparison

DESCRIPTION: Final = (
    "Runs of one benchmark beside the first of them, entry by entry: the difference in score (McNemar's exact test), "
    "and in times (permutation test of paired differences, bootstrap intervals)."
)
_HEAD: Final = ("", "first", "second", "difference (95% interval)", "second / first", "p")
_WIDTH: Final = 110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.description = DESCRIPTION
    parser.add_argument("first", type=Path, metavar="A", help="the folder of a run, as --out named it")
    parser.add_argument("others", type=Path, metavar="B", nargs="+", help="folders to put beside it")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write it as a web page, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Compare, and print what was found; the exit code is 0.

    Raises ``ConfigError`` for folders that cannot be compared.
    """
    from agentrt.benchmarks.harness.compare import compared
    from agentrt.benchmarks.harness.folder import Folder

    found = compared([Folder(path) for path in (options.first, *options.others)])
    if options.page is not None:
        _write(options.page, found)
    if options.json:
        print(json.dumps([one.to_json() for one in found], indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    for one in found:
        console.print(drawn(one))
    return 0


def drawn(found: Comparison) -> Group:
    """For a terminal: what can be said, the table, and what is to be kept in mind."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from agentrt.benchmarks.harness.words import harmless

    table = Table(title=Text(harmless(f"{found.second} beside {found.first}")), title_justify="left")
    for name in (_HEAD[0], found.first, found.second, *_HEAD[3:]):
        table.add_column(Text(harmless(name)))
    for row in rows(found):
        table.add_row(*(Text(cell) for cell in row))
    said = [Text(harmless(one)) for one in (*remarks(found), *(f"warning: {one}" for one in found.warnings))]
    return Group(Text(harmless(found.conclusion), style="bold"), table, *said)


def rows(found: Comparison) -> Iterator[Sequence[str]]:
    """The lines of the table."""
    from agentrt.benchmarks.harness.words import chance, percent, took

    if found.scores is not None:
        score = found.scores
        value, low, high = (100 * one for one in score.difference)
        points = f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
        yield "score", percent(score.first), percent(score.second), points, "", chance(score.p)
    for one in found.times:
        by, least, most = (_signed(seconds) for seconds in one.paired.difference)
        times = f"{one.ratio.value:.2f} ({one.ratio.low:.2f}-{one.ratio.high:.2f})" if one.first else "-"
        yield one.name, took(one.first), took(one.second), f"{by} ({least} to {most})", times, chance(one.paired.p)


def remarks(found: Comparison) -> Iterator[str]:
    """What was compared."""
    from agentrt.benchmarks.harness.compare import ids
    from agentrt.benchmarks.harness.words import counted

    ended = f"; {found.left_out} did not come to their end in one and count for the score alone"
    yield f"{counted(found.pairs, 'entry')} in both{ended if found.left_out else ''}; times are means of an entry"
    for name, missing in found.missing.items():
        if missing:
            yield f"only in {name}: {counted(len(missing), 'entry')} ({ids(missing)})"


def page(found: Sequence[Comparison]) -> str:
    """One HTML file that loads nothing."""
    from agentrt.benchmarks.harness.page import document, html, table

    parts = []
    for one in found:
        parts += [f"<h1>{html(one.second)} beside {html(one.first)}</h1>"]
        parts += [f'<p class="verdict">{html(one.conclusion)}</p>']
        parts += [table((_HEAD[0], one.first, one.second, *_HEAD[3:]), rows(one))]
        parts += [f"<p>{html(remark)}</p>" for remark in remarks(one)]
        parts += [f'<p class="warning">{html(warning)}</p>' for warning in one.warnings]
    return document("agentrt bench compare", parts)


def _write(file: Path, found: Sequence[Comparison]) -> None:
    try:
        file.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--page {file}: {error.strerror}; name a file that can be written") from error


def _signed(seconds: float) -> str:
    from agentrt.benchmarks.harness.words import took

    return f"{'-' if seconds < 0 else '+'}{took(abs(seconds))}"
