"""``agentrt bench watch``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from agentrt.benchmarks.progress import teller
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.watch.measures import Arm
    from agentrt.benchmarks.watch.sheet import Findings

DESCRIPTION = """What a watcher takes of a core and of memory while a run of many steps goes on, how fast it answers
keys and draws its first picture, and whether the run notices that it is watched."""

PARTS: Final = ("paint", "load", "keys", "run")
"""What can be measured: first paint, load of the watcher, answers to keys, the watched run."""

SCREENS: Final = ("runs", "graph", "kv", "log")
"""The screens that can be watched on."""

NOTICE: Final = 4
"""A run at a given pace that is run again and again is so many times shorter than one that is watched once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    parser.add_argument("--steps", type=int, default=10_000, help="steps of a watched run (10,000)")
    parser.add_argument("--events", type=float, default=500.0, help="rows of its journal a second (500)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of runs alone and watched; starts of the watcher")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAME,NAME", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--screens", default=",".join(SCREENS), metavar="NAME,NAME", help="which are watched")
    parser.add_argument("--folder", help="where the journal lies (default: the system's temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and print what it found; the exit code is 0.

    Raises ``ConfigError`` for options that cannot be used, ``AgentrtError`` when nothing can be measured.
    """
    from agentrt.benchmarks.overhead.sheet import markdown, show
    from agentrt.benchmarks.watch.sheet import as_json, sheet

    _check(args)
    found = _measured(args)
    if args.json:
        print(json.dumps(as_json(found, args.folder), indent=2))
    elif args.markdown or not sys.stdout.isatty():
        print(markdown(sheet(found, args.folder)))
    else:
        show(sheet(found, args.folder))
    return 0


def _measured(args: argparse.Namespace) -> Findings:
    from agentrt.benchmarks.watch.measures import keys, paint, watch
    from agentrt.benchmarks.watch.programs import STEPS
    from agentrt.benchmarks.watch.scene import Scene
    from agentrt.benchmarks.watch.sheet import Findings

    tell, found, parts = teller(), Findings(), args.parts.split(",")
    chapters = max(1, round(args.steps / STEPS))
    if "paint" in parts:
        with Scene(args.folder) as scene:
            found.paint = paint(scene, args.rounds, tell)
    for screen in args.screens.split(",") if "load" in parts else ():
        with Scene(args.folder) as scene:
            found.watches.append(watch(scene, screen, chapters, args.events, tell))
    if "keys" in parts:
        with Scene(args.folder) as scene:
            found.keys = keys(scene, chapters, args.events, tell, Random(1))  # noqa: S311 - no secret
    if "run" in parts:
        found.arms = _arms(args, chapters, tell)
    return found


def _arms(args: argparse.Namespace, chapters: int, tell: Callable[[str], None]) -> dict[str, list[Arm]]:
    from agentrt.benchmarks.watch.measures import notice
    from agentrt.benchmarks.watch.scene import Scene

    found = {}
    for rows, pace in ((args.events, f"{args.events:g} events a second"), (0.0, "as fast as it can")):
        with Scene(args.folder) as scene:
            found[pace] = notice(scene, args.rounds, max(1, chapters // NOTICE) if rows else chapters, rows, tell)
    return found


def _check(args: argparse.Namespace) -> None:
    for option, given, known in (("--parts", args.parts, PARTS), ("--screens", args.screens, SCREENS)):
        unknown = [name for name in given.split(",") if name not in known]
        if unknown:
            raise ConfigError(f"{option}: there is no {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    for option, given in (("--steps", args.steps), ("--events", args.events), ("--rounds", args.rounds)):
        if not 1 <= given < float("inf"):
            raise ConfigError(f"{option} {given}: expected 1 or more")
    if args.folder is not None and not Path(args.folder).is_dir():
        raise ConfigError(f"--folder {args.folder}: expected a folder that is there")
