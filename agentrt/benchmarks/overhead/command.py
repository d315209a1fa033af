"""``agentrt bench overhead``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from agentrt.benchmarks.overhead.contract import LAYERS, SHAPES, Shape
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.overhead.contest import Plan, Score

DESCRIPTION = "CPU time per no-op step: asyncio alone, agentrt, and every peer that is installed here."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    parser.add_argument("--steps", type=int, default=1000, help=f"steps in each graph, a multiple of {LAYERS}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; every round runs each entrant once")
    parser.add_argument("--peers", default="all", metavar="all|none|NAME,NAME", help="which peers take part")
    parser.add_argument("--shapes", default=",".join(SHAPES), metavar="NAME,NAME", help="which graphs to run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and print what it found: 0, or 1 when agentrt itself could not be measured.

    Raises ``ConfigError`` for options that cannot be used.
    """
    from agentrt.benchmarks.overhead.contest import Plan, chosen, hold
    from agentrt.benchmarks.overhead.table import as_json, markdown, ours

    _check(args)
    plan = Plan(chosen(args.peers), _shapes(args.shapes), args.steps, args.rounds)
    scores = hold(plan, _teller())
    if args.json:
        print(json.dumps(as_json(plan, scores), indent=2))
    elif args.markdown or not sys.stdout.isatty():
        print(markdown(plan, scores))
    else:
        _show(plan, scores)
    return 1 if ours(scores).problem else 0


def _check(args: argparse.Namespace) -> None:
    if args.steps < LAYERS or args.steps % LAYERS:
        raise ConfigError(f"--steps {args.steps}: expected a multiple of {LAYERS}, as there are {LAYERS} layers")
    if args.rounds < 1:
        raise ConfigError(f"--rounds {args.rounds}: expected 1 or more")


def _shapes(names: str) -> tuple[Shape, ...]:
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in SHAPES]
    if unknown:
        raise ConfigError(f"no shape is called {', '.join(map(repr, unknown))}; there are: {', '.join(SHAPES)}")
    return cast("tuple[Shape, ...]", tuple(wanted))


def _teller() -> Callable[[str], None]:
    """Progress goes to standard error, and only when somebody watches."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"\x1b[2K\r{text}", end="\r", file=sys.stderr, flush=True)


def _show(plan: Plan, scores: Sequence[Score]) -> None:
    from rich.console import Console
    from rich.table import Table

    from agentrt.benchmarks.overhead import table as found

    head = found.columns(plan)
    table = Table(title=found.settings(plan))
    for number, name in enumerate(head):
        table.add_column(name, justify="left" if number < 2 else "right")
    for row in found.rows(plan, scores):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for line in found.remarks(plan, scores):
        console.print(line, highlight=False, markup=False)
