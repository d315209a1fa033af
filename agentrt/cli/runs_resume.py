"""``agentrt runs resume`` and ``agentrt runs fork``: a run goes on, or a copy of it does."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from agentrt.cli.execute import add_execution_options, carry_out, where
from agentrt.cli.journals import needed_journal, run_and_owner, with_journal
from agentrt.cli.output import json_line, stdout_set_aside
from agentrt.errors import ProgramError, RunTaken

if TYPE_CHECKING:
    from agentrt.runtime import Run, Runtime
    from agentrt.sdk import Program
    from agentrt.store import Journal, RunRow


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``resume`` and ``fork``."""
    resume = commands.add_parser(
        "resume",
        help="go on with a run that broke off, failed or was cancelled",
        description="Go on with a run that broke off, failed or was cancelled. Steps that finished are not run again.",
    )
    _add_run_options(resume)
    resume.set_defaults(handler=resume_run)
    fork = commands.add_parser(
        "fork",
        help="branch off: a new run that keeps what another one did",
        description="Begin a new run with what another one did, without a step and all that depended on it.",
    )
    _add_run_options(fork)
    fork.add_argument("--from", dest="step", metavar="STEP", help="the first step to do anew; nothing is without it")
    fork.add_argument("--no-run", action="store_true", help="only enter it; `agentrt runs resume` runs it")
    fork.set_defaults(handler=fork_run)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    parser.add_argument("program", nargs="?", metavar="PROGRAM.py[:NAME]", help="where the program is, if it was moved")
    parser.add_argument(
        "--accept-changes", action="store_true", help="take recorded results though a step's arguments have changed"
    )
    parser.add_argument(
        "--rerun",
        action="append",
        default=[],
        metavar="STEP",
        help="run this step again, though its tool says that it must not without being asked",
    )
    add_execution_options(parser)


def resume_run(options: argparse.Namespace) -> int:
    """Go on with the run, and print what came of it; the exit code is its status."""
    row = with_journal(options, lambda journal: _free(journal, options.run))
    with stdout_set_aside(for_good=options.own_process) as write:
        return go_on(options, row, program_of(options, row), write)


def go_on(options: argparse.Namespace, row: RunRow, program: Program[..., Any], write: Any) -> int:
    """Run a program against what is recorded of a run."""
    from agentrt.runtime.durable import keeping

    keeping.check(row, program.spec)  # now, and not when an engine has been started

    async def begin(runtime: Runtime) -> Run[Any]:
        return await runtime.resume(program, row.id, compare=not options.accept_changes, rerun=options.rerun)

    return carry_out(options, program, begin, needed_journal(options), write)


async def _free(journal: Journal, name: str) -> RunRow:
    """The run of that name, which no living process may have."""
    from agentrt.store import archive

    row, owner = await run_and_owner(journal, name)
    if owner is not None:
        raise RunTaken(archive.has_it(row, owner))
    return row


def program_of(options: argparse.Namespace, row: RunRow) -> Program[..., Any]:
    """The run's program: where the options say that it is, or where it was.

    Raises ``ProgramError`` that says what to name when it is not there any more.
    """
    from agentrt.sdk.loader import check_graph, load_program
    from agentrt.targets import split_target

    if options.program is not None:
        file, name = split_target(options.program)
        program = load_program(f"{file}:{name or row.program}")
    else:
        try:
            program = load_program(row.target)
        except ProgramError as error:
            raise ProgramError(
                f"{error}; run {row.id} is of {row.target}: if that is elsewhere now, say where: "
                f"agentrt runs resume {row.id} PROGRAM.py{where(options)}"
            ) from error
    check_graph(program)
    return program


def fork_run(options: argparse.Namespace) -> int:
    """Enter the copy and run it; the exit code is its status."""
    source, _ = with_journal(options, lambda journal: run_and_owner(journal, options.run))
    if options.no_run:
        new = with_journal(options, lambda journal: _fork(journal, source, options.step))
        print(json_line({"run_id": new.id, "origin": new.origin}) if options.json else f"{new.id}\n", end="")
        return 0
    with stdout_set_aside(for_good=options.own_process) as write:
        program = program_of(options, source)
        new = with_journal(options, lambda journal: _fork(journal, source, options.step))
        print(f"run {new.id} is a fork of {new.origin}", file=sys.stderr)
        return go_on(options, new, program, write)


async def _fork(journal: Journal, source: RunRow, step: str | None) -> RunRow:
    from agentrt.runtime.durable import keeping
    from agentrt.runtime.runtime import new_run_id

    return await keeping.fork(journal, source.id, step, new_run_id(), time.time())
