"""``agentrt bench engine``: what the CPU engine does with a cached prompt, and how fast it decodes.

Ratios come from one run in which the contenders take turns, each round in another order, so that whatever else the
machine does meets them all:

- a warm prompt (cached tokens plus one) against the same prompt cold;
- one decoding sequence against transformers' ``generate`` on the same weights and type, and eight against one.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial

from agentrt.errors import ConfigError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the options of the benchmark."""
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (default: 5)")
    parser.add_argument("--cached", type=int, default=4000, help="tokens of the prompt (default: 4000)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to decode a sequence (default: 64)")
    parser.add_argument("--stock", action="store_true", help="also measure SGLang's own backend, torch_native")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and print; return 0, whatever the ratios are. Raises ``ConfigError`` for sizes below 1."""
    for option in ("rounds", "cached", "tokens"):
        if getattr(args, option) < 1:
            raise ConfigError(f"--{option} {getattr(args, option)}: expected 1 or more")
    from agentrt.benchmarks.engine.measure import Sizes, measure
    from agentrt.benchmarks.engine.report import as_dict, as_text

    sizes = Sizes(args.rounds, args.cached, args.tokens)
    result = measure(sizes, stock=args.stock, note=partial(print, file=sys.stderr, flush=True))
    print(json.dumps(as_dict(result), indent=2) if args.json else as_text(result))
    return 0
