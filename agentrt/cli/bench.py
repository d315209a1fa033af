"""``agentrt bench``: the benchmarks, each in a module of its own."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any, Final

from agentrt.cli.parser import Parser

BENCHMARKS: Final = {
    "overhead": "what the runtime adds to 1,000 steps that do nothing, beside other runtimes",
    "engine": "warm against cold prompts, decode speed and batching on the engine",
    "kv": "what hints and admission are worth: agent programs on stock engines and ours in turns",
    "watch": "what it costs to watch a run, how fast the screens answer, and whether the run notices",
    "bfcl": "function calling: BFCL v4, scored by its official checkers",
    "swebench": "repairing code: SWE-bench's instances, judged by its official parsers",
    "replay": "recorded agent sessions against an engine: same lengths, same gaps",
    "semcache": "what the semantic cache costs beside GPTCache, and how right its answers are",
    "compare": "two runs of the same benchmark, entry by entry: score and times",
}
"""Name and what it measures; the module ``agentrt.benchmarks.NAME`` has ``add_arguments`` and ``run``."""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``bench``; a benchmark's own options are read when it is chosen, so that others need not be imported."""
    rows = "\n".join(f"  {name:<10} {what}" for name, what in BENCHMARKS.items())
    parser = subparsers.add_parser(
        "bench",
        help="measure, and print ratios",
        description="Measure, and print ratios.",
        epilog=f"benchmarks:\n{rows}\n\n`agentrt bench NAME --help` shows the options of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of that benchmark")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Run one benchmark with its own options."""
    module = import_module(f"agentrt.benchmarks.{options.name}")
    parser = Parser(prog=f"agentrt bench {options.name}", description=BENCHMARKS[options.name])
    module.add_arguments(parser)
    code: int = module.run(parser.parse_args(options.options))
    return code
