"""``agentrt run``: a program from its file to its output."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.execute import add_execution_options, carry_out
from agentrt.cli.journals import journal_name
from agentrt.cli.run_ui import add_ui_options, run_with_ui

if TYPE_CHECKING:
    from agentrt.runtime import Run, Runtime

_EXAMPLES: Final = """\
examples:
  agentrt run report.py --input topic=otters
  agentrt run report.py:report --input topic=otters --input 'sections=["life", "food"]'
  agentrt run report.py --inputs inputs.json --engine http://127.0.0.1:30000
  agentrt run report.py --input topic=otters --json | jq .output
  agentrt run report.py --input topic=otters --ui

A value is read by the type of the program's parameter: text as it is, everything else as JSON. The program's output
goes to standard output, all else to standard error. Ctrl-C cancels the run and waits until nothing of it is left; a
second Ctrl-C does not wait. What its steps gave is written down as it goes: `agentrt runs` shows runs and resumes them.
Options may also stand in AGENTRT_ENGINE (an address), AGENTRT_API_KEY, AGENTRT_TENANT and AGENTRT_JOURNAL (a file, a
database's URL, or `off`).
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a program",
        description="Run a program and print its output.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="PROGRAM.py[:NAME]", help="a file or package.module, and which program")
    parser.add_argument("--input", "-i", action="append", default=[], metavar="NAME=VALUE", help="one input")
    parser.add_argument("--inputs", metavar="FILE", help="a JSON object of inputs; - is standard input")
    add_execution_options(parser)
    add_ui_options(parser)
    journal = parser.add_mutually_exclusive_group()
    journal.add_argument("--journal", metavar="FILE|URL", help="where the run is written down; a file of yours without")
    journal.add_argument("--no-journal", action="store_true", help="write nothing down; it cannot be resumed")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Run the program and print what came of it; the exit code is its status."""
    if options.ui:
        return run_with_ui(options)
    from agentrt.cli.inputs import read_inputs
    from agentrt.cli.output import stdout_set_aside
    from agentrt.sdk.loader import check_graph, load_program

    with stdout_set_aside(for_good=options.own_process) as write:
        program = load_program(options.program)
        check_graph(program)
        args, kwargs = read_inputs(program, options.input, options.inputs)

        async def begin(runtime: Runtime) -> Run[Any]:
            return runtime.start(program, *args, **kwargs)

        return carry_out(options, program, begin, None if options.no_journal else journal_name(options), write)
