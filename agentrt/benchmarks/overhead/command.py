"""``agentrt bench overhead``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentrt.benchmarks.overhead.contract import (
    DURABLE_SHAPES,
    LAYERS,
    LONG,
    LONG_LAYER,
    LONG_SHAPES,
    SHAPES,
    SYNCS,
    Shape,
    Sync,
)
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.overhead.contest import Plan
    from agentrt.benchmarks.overhead.sheet import Sheet

DESCRIPTION = """CPU time per no-op step: asyncio alone, agentrt, and every peer that is installed here. With --durable
each step is recorded in SQLite before its result is used; with --long one long run is killed and resumed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    parser.add_argument("--steps", type=int, default=1000, help=f"steps in each graph, a multiple of {LAYERS}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; every round runs each entrant once")
    parser.add_argument("--peers", default="all", metavar="all|none|NAME,NAME", help="which peers take part")
    parser.add_argument("--shapes", metavar="NAME,NAME", help=f"which graphs to run: {','.join(SHAPES)}")
    parser.add_argument("--durable", action="store_true", help="record every step in SQLite before its result is used")
    parser.add_argument(
        "--sync", default="all", metavar="all|normal|full", help="outlive a killed process, or a power cut as well"
    )
    parser.add_argument("--folder", help="where the databases lie (default: the system's temporary folder)")
    parser.add_argument(
        "--long", type=int, nargs="?", const=LONG, metavar="N", help=f"one run of N steps ({LONG}), killed and resumed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and print what it found: 0, or 1 when agentrt itself could not be measured.

    Raises ``ConfigError`` for options that cannot be used.
    """
    _check(args)
    return _run_long(args) if args.long is not None else _run_contest(args)


def _run_contest(args: argparse.Namespace) -> int:
    from agentrt.benchmarks.overhead.contest import hold
    from agentrt.benchmarks.overhead.table import as_json, ours, sheet

    plan = _plan(args)
    scores = hold(plan, _teller())
    _put(args, as_json(plan, scores), sheet(plan, scores))
    return 1 if ours(scores).problem else 0


def _run_long(args: argparse.Namespace) -> int:
    from agentrt.benchmarks.overhead.contest import ContenderFailed
    from agentrt.benchmarks.overhead.long import LongPlan, as_json, hold_long, sheet

    shapes = _shapes(args.shapes, LONG_SHAPES)
    plan = LongPlan(shapes, args.long, "full" if args.sync == "full" else "normal", args.folder)
    try:
        scores = hold_long(plan, _teller())
    except ContenderFailed as error:
        print(f"agentrt: {error}", file=sys.stderr)
        return 1
    _put(args, as_json(plan, scores), sheet(plan, scores))
    return 0


def _put(args: argparse.Namespace, data: dict[str, Any], sheet: Sheet) -> None:
    from agentrt.benchmarks.overhead.sheet import markdown, show

    if args.json:
        print(json.dumps(data, indent=2))
    elif args.markdown or not sys.stdout.isatty():
        print(markdown(sheet))
    else:
        show(sheet)


def _plan(args: argparse.Namespace) -> Plan:
    from agentrt.benchmarks.overhead.contest import Plan, chosen, chosen_durable

    contenders = chosen_durable(args.peers, _syncs(args.sync)) if args.durable else chosen(args.peers)
    shapes = _shapes(args.shapes, DURABLE_SHAPES if args.durable else SHAPES)
    return Plan(contenders, shapes, args.steps, args.rounds, folder=args.folder)


def _check(args: argparse.Namespace) -> None:
    if args.steps < LAYERS or args.steps % LAYERS:
        raise ConfigError(f"--steps {args.steps}: expected a multiple of {LAYERS}, as there are {LAYERS} layers")
    if args.rounds < 1:
        raise ConfigError(f"--rounds {args.rounds}: expected 1 or more")
    if args.folder is not None and not Path(args.folder).is_dir():
        raise ConfigError(f"--folder {args.folder}: expected a folder that is there")
    if not args.durable and (args.long is not None or args.folder is not None or args.sync != "all"):
        raise ConfigError("--long, --folder and --sync are about steps that are recorded; say --durable as well")
    if args.long is not None and (args.long < LONG_LAYER or args.long % LONG_LAYER):
        raise ConfigError(f"--long {args.long}: expected a multiple of {LONG_LAYER}, the steps of one layer")


def _syncs(name: str) -> tuple[Sync, ...]:
    if name != "all" and name not in SYNCS:
        raise ConfigError(f"--sync {name}: expected all, {' or '.join(SYNCS)}")
    return SYNCS if name == "all" else cast("tuple[Sync, ...]", (name,))


def _shapes(names: str | None, default: tuple[Shape, ...]) -> tuple[Shape, ...]:
    if names is None:
        return default
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
