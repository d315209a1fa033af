"""``agentrt bench semcache``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.benchmarks.progress import teller
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.semcache.sheet import Findings

DESCRIPTION = """What the semantic cache costs beside GPTCache, which is installed into an environment of its own; how
right its answers are on pairs of questions that you give; and what becomes of a million answers."""

PARTS: Final = ("cost", "quality", "large", "breakeven")
"""What can be measured; ``breakeven`` is reckoned from ``cost``."""

VARIABLE: Final = "AGENTRT_SEMCACHE_PAIRS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAME,NAME", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--entries", type=int, default=100_000, help="answers in the cache for cost (100,000)")
    parser.add_argument("--peer-entries", type=int, help="answers in GPTCache (as many); fewer are in its favour")
    parser.add_argument(
        "--peers", default="all", metavar="all|none|NAME,NAME", help="GPTCache's indexes: faiss,hnswlib"
    )
    parser.add_argument("--blocks", type=int, default=6, help="rounds in which each side is asked (6)")
    parser.add_argument("--questions", type=int, default=200, help="questions of each kind in a block (200)")
    parser.add_argument("--large", type=int, default=1_000_000, metavar="N", help="answers for large (1,000,000)")
    parser.add_argument(
        "--pairs",
        default=os.environ.get(VARIABLE),
        metavar="FILE",
        help=f"JSON lines with text_a, text_b, label (1: same question), for quality; or {VARIABLE}. Quora's question "
        "pairs are such a set: GPTCache's repository has a sample under examples/benchmark",
    )
    parser.add_argument("--splits", type=int, default=20, help="random splits of the pairs (20)")
    parser.add_argument("--embedder", default="static", metavar="NAME", help="for quality: static, minilm or a URL")
    parser.add_argument("--folder", help="where the databases lie (default: the system's temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and print what it found; the exit code is 0.

    Raises ``ConfigError`` for options that cannot be used, ``AgentrtError`` when nothing can be measured.
    """
    from agentrt.benchmarks.overhead.sheet import markdown, show
    from agentrt.benchmarks.semcache.sheet import as_json, sheet

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
    from agentrt.benchmarks.semcache import cost, large
    from agentrt.benchmarks.semcache.sheet import Findings

    parts, tell = args.parts.split(","), teller()
    found = Findings(blocks=args.blocks, embedder=args.embedder, breakeven="breakeven" in parts)
    if "cost" in parts or "breakeven" in parts:
        theirs = args.entries if args.peer_entries is None else args.peer_entries
        plan = cost.Plan(args.entries, theirs, args.blocks, args.questions, cost.chosen(args.peers))
        found.scores = cost.measure(plan, args.folder, tell)
    if "quality" in parts and args.pairs:
        _quality(args, found, tell)
    if "large" in parts:
        found.large = large.measure(args.large, args.folder, tell)
    return found


def _quality(args: argparse.Namespace, found: Findings, tell: Callable[[str], None]) -> None:
    from agentrt.benchmarks.semcache import quality
    from agentrt.semcache.embed import embedder

    pairs = quality.read(Path(args.pairs))
    tell(f"{len(pairs):,} pairs: embedding")
    near = quality.cosines(pairs, embedder(args.embedder))
    splits = []
    for seed in range(args.splits):
        tell(f"split {seed + 1} of {args.splits}")
        splits.append(quality.split(pairs, near, seed))
    found.quality, found.noise = quality.measure(splits), quality.noise(pairs)


def _check(args: argparse.Namespace) -> None:
    unknown = [name for name in args.parts.split(",") if name not in PARTS]
    if unknown:
        raise ConfigError(f"--parts: there is no {', '.join(map(repr, unknown))}; there are: {', '.join(PARTS)}")
    counts = ("entries", "peer_entries", "blocks", "questions", "large", "splits")
    for name, given in ((name, getattr(args, name)) for name in counts):
        if given is not None and given < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {given}: expected 1 or more")
    if args.parts == "quality" and not args.pairs:
        raise ConfigError(f"quality needs pairs of questions: give a file with --pairs, or {VARIABLE}")
    if args.folder is not None and not Path(args.folder).is_dir():
        raise ConfigError(f"--folder {args.folder}: expected a folder that is there")
