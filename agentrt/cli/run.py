"""``agentrt run``: a program from its file to its output."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.failures import CANCELLED, DONE, FAILED, complain
from agentrt.errors import RunCancelled, RunError, RunFailed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from agentrt.executors.base import ModelExecutor
    from agentrt.runtime import RunResult
    from agentrt.sdk import Program
    from agentrt.ui import Display

_EXAMPLES: Final = """\
examples:
  agentrt run report.py --input topic=otters
  agentrt run report.py:report --input topic=otters --input 'sections=["life", "food"]'
  agentrt run report.py --inputs inputs.json --engine http://127.0.0.1:30000
  agentrt run report.py --input topic=otters --json | jq .output

A value is read by the type of the program's parameter: text as it is, everything else as JSON. The program's output
goes to standard output, all else to standard error. Ctrl-C cancels the run and waits until nothing of it is left; a
second Ctrl-C does not wait. Options may also stand in AGENTRT_ENGINE (an address), AGENTRT_API_KEY and AGENTRT_TENANT.
"""

_CODES: Final = {"done": DONE, "failed": FAILED, "cancelled": CANCELLED}


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
    parser.add_argument("--engine", metavar="URL", help="a server that is up, instead of an engine of our own")
    parser.add_argument("--kv", metavar="POLICY", default="agentrt", help="what the engine is told of its KV cache")
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="cancel the run after this long")
    parser.add_argument("--json", action="store_true", help="print the whole run as one JSON object")
    parser.set_defaults(handler=run)


def seconds(text: str) -> float:
    """A time above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds above 0")
    return value


def run(options: argparse.Namespace) -> int:
    """Run the program and print what came of it; the exit code is its status."""
    from agentrt.cli.inputs import read_inputs
    from agentrt.cli.output import print_json, print_output, stdout_set_aside
    from agentrt.sdk.loader import check_graph, load_program

    with stdout_set_aside(for_good=options.own_process) as write:
        program = load_program(options.program)
        check_graph(program)
        args, kwargs = read_inputs(program, options.input, options.inputs)
        display = _display(options.json)
        result = _execute(options, program, args, kwargs, display)
        display.summarize(result)
        if options.json:
            print_json(result, write)
        elif result.error is None:
            print_output(result.value, write)
    if result.error is not None:
        _explain(result.error, debug=options.debug)
    return _CODES[result.status]


def _execute(
    options: argparse.Namespace, program: Program[..., Any], args: list[Any], kwargs: dict[str, Any], display: Display
) -> RunResult[Any]:
    """Run the program to its end, good or bad, in an event loop of its own."""
    import asyncio

    from agentrt.cli.stopping import stopped_by_signals
    from agentrt.runtime import Runtime
    from agentrt.sdk.loader import asks_a_model

    async def main() -> RunResult[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_unseen)
        models = _models(options, display)
        stop = _Stop()
        tenant = os.environ.get("AGENTRT_TENANT", "")
        async with Runtime(models=models, observers=[display], kv=options.kv, tenant=tenant) as runtime:
            preparing = loop.create_task(models.prepare() if asks_a_model(program) else asyncio.sleep(0))
            with stopped_by_signals(loop, stop):
                stop.aim(preparing.cancel)
                await _ready(preparing)
                running = runtime.start(program, *args, **kwargs)
                stop.aim(running.cancel)
                if options.timeout is not None:
                    reason = f"it ran longer than --timeout {options.timeout:g}"
                    loop.call_later(options.timeout, running.cancel, reason)
                result = await running
                await runtime.close()  # still inside: a second signal need not wait for it
                return result

    display.open()
    try:
        return asyncio.run(main())
    except SystemExit as error:
        raise RunFailed(
            f"program {program.name!r} called sys.exit({error.code!r}); let it return a value or raise an error"
        ) from error
    finally:
        display.close()


class _Stop:
    """What a signal calls: it cancels what goes on now, and what begins after it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._cancel: Callable[[str], object] | None = None

    def aim(self, cancel: Callable[[str], object]) -> None:
        """From now on this is what goes on."""
        self._cancel = cancel
        if self._reason is not None:
            cancel(self._reason)

    def __call__(self, reason: str) -> None:
        self._reason = reason
        if self._cancel is not None:
            self._cancel(reason)


async def _ready(preparing: asyncio.Task[None]) -> None:
    """Have the engine up before the run begins, so that the run's times are the program's own."""
    import asyncio

    try:
        await preparing
    except asyncio.CancelledError as error:
        raise RunCancelled(f"cancelled by {error} before the run began") from error


def _unseen(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log with a traceback: an error of a task that the program made and never awaited."""
    error = context.get("exception")
    if not isinstance(error, SystemExit):
        complain(f"in the background: {context.get('message')}" + (f": {error!r}" if error else ""))


def _models(options: argparse.Namespace, display: Display) -> ModelExecutor:
    url: str | None = options.engine
    if url is None:
        url = os.environ.get("AGENTRT_ENGINE") or None
    if url is not None:
        from agentrt.engine import find
        from agentrt.executors import connect

        ours = find(url)  # an engine of this user's needs no key to be typed
        return connect(url, api_key=ours.api_key if ours else None)
    from agentrt.runtime.embedded import EmbeddedExecutor

    return EmbeddedExecutor(progress=display.progress)


def _display(json_wanted: bool) -> Display:
    """A live display on a terminal; elsewhere plain lines, or nothing where only JSON is wanted."""
    from agentrt.ui import Quiet
    from agentrt.ui.plain import Plain

    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console

        from agentrt.ui.live import LiveDisplay

        return LiveDisplay(Console(stderr=True))
    return Quiet() if json_wanted else Plain(sys.stderr)


def _explain(error: RunError, *, debug: bool) -> None:
    if debug or os.environ.get("AGENTRT_DEBUG"):
        import traceback

        traceback.print_exception(error)
    complain(str(error))
