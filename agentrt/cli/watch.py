"""``agentrt watch``: a run, its graph and its KV cache in the terminal, live or afterwards."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Final

from agentrt.cli.journals import add_journal_option, needed_journal
from agentrt.errors import UsageError

_EXAMPLES: Final = """\
examples:
  agentrt watch                       the list of runs
  agentrt watch last                  the newest run, live if it goes on
  agentrt watch last --replay 10      the newest run again, ten times as fast
  agentrt watch report.jsonl          a recording, as `agentrt export RUN --format jsonl` writes it
  textual serve -c "agentrt watch last"  the same in a browser

Keys: ? shows them. Without a terminal, or with --plain or --json, lines are printed instead.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``watch``."""
    parser = subparsers.add_parser(
        "watch",
        help="watch a run in the terminal, live or afterwards",
        description="Watch a run: its step graph, its steps, the engine's KV cache, what it asks people.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="its id, the beginning of it, `last`, or a recording; without, the list"
    )
    add_journal_option(parser)
    parser.add_argument("--readonly", action="store_true", help="nothing can be done to the run")
    parser.add_argument(
        "--replay",
        metavar="SPEED",
        nargs="?",
        type=_speed,
        const=1.0,
        help="tell what has happened again, SPEED times as fast as it did (1)",
    )
    parser.add_argument("--theme", choices=("light", "dark"), help="the colours; the terminal's own without")
    parser.add_argument("--plain", action="store_true", help="print lines as things happen")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line as things happen")
    parser.set_defaults(handler=watch)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0, 1000 at most; 1 is as it happened")
    return speed


def watch(options: argparse.Namespace) -> int:
    """Open the app, or print lines where there is no terminal. The exit code is 0."""
    from agentrt.store.recordings import is_recording

    name: str | None = options.run
    recorded = name is not None and is_recording(name)
    if options.plain or options.json or not _can_draw():
        return _lines(options, recorded)
    from agentrt.ui.watch.opening import watch_journal, watch_recording

    if name is not None and recorded:
        return watch_recording(name, replay=options.replay, theme=options.theme)
    journal = needed_journal(options)
    return watch_journal(journal, name, readonly=options.readonly, replay=options.replay, theme=options.theme)


def _can_draw() -> bool:
    """Whether there is a terminal, or a browser behind ``textual serve``."""
    if "TEXTUAL_DRIVER" in os.environ:
        return True
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _lines(options: argparse.Namespace, recorded: bool) -> int:
    """The same as ``agentrt runs list``, or ``agentrt runs events --follow``; of a recording all that is in it."""
    from agentrt.cli import runs_events, runs_show

    if options.replay is not None:
        raise UsageError("--replay needs a terminal; `agentrt runs events RUN` prints what has happened")
    if options.run is None:
        options.status, options.limit = None, 20
        return runs_show.show_list(options)
    if recorded:
        return runs_events.show_recording(options)
    options.follow = True
    return runs_events.show_events(options)
