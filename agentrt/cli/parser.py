"""The parser of all commands; building it imports nothing beyond the standard library."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final, NoReturn

from agentrt import __version__

_DESCRIPTION: Final = """\
Run agent programs, written in ordinary async Python, as step graphs on an inference engine.
"""

_EXAMPLES: Final = """\
examples:
  agentrt run report.py --input topic=otters        run a program; its engine is found or started
  agentrt run report.py --input topic=otters --json | jq .tokens
  agentrt runs resume last                          go on with a run that broke off
  agentrt graph report.py                           show its step graph without running it
  agentrt engine up                                 start an engine that stays up between runs

exit codes: 0 done, 1 failed, 2 usage, 3 waiting for people, 130 cancelled
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line that names the way out; options may stand between words."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; of several words those that may be left out may come behind options, which argparse does not see."""
        words = [action.nargs for action in self._get_positional_actions()]
        if self._mixing or len(words) < 2 or not {"*", "?"}.issuperset(words[1:]):
            return super().parse_known_args(args, namespace)
        self._mixing = True  # which comes back here
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def error(self, message: str) -> NoReturn:
        """Say what does not fit and end with exit code 2."""
        print(f"agentrt: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; the chosen command's function is at ``handler``."""
    from agentrt.cli import bench, cache, engine, export, graph, run, runs, watch

    parser = Parser(
        prog="agentrt",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"agentrt {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (also AGENTRT_DEBUG=1)")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in (run, watch, runs, export, graph, cache, engine, bench):
        command.add_parser(commands)
    for one in commands.choices.values():
        one.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser
