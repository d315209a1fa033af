"""The command line: ``agentrt run | runs | graph | cache | engine | bench``.

Each command has a module of its own, whose ``add_parser`` names its options and whose handler imports what it needs
when it runs: ``agentrt --help`` needs only the standard library.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentrt.cli.failures import guarded
from agentrt.cli.parser import build_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 done, 1 failed, 2 usage, 3 waiting, 130 cancelled.

    Whatever goes wrong is one line on standard error; ``--debug`` or ``AGENTRT_DEBUG=1`` adds the traceback.
    """
    return guarded(build_parser, argv)
