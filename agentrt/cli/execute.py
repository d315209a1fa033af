"""Carries out a run for the command line: new or resumed, it is shown, stopped, told and judged in the same way."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from agentrt.cli.failures import CANCELLED, DONE, FAILED, WAITING, complain
from agentrt.errors import InDoubt, JournalError, ReplayDiffers, RunCancelled, RunError, RunFailed, RunTaken, RunWaiting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from agentrt.cli.output import Write
    from agentrt.executors.base import ModelExecutor
    from agentrt.runtime import Run, RunResult, Runtime
    from agentrt.runtime.caching import Caching
    from agentrt.runtime.questions import Answerer
    from agentrt.sdk import Program
    from agentrt.store import Journal
    from agentrt.ui import Display

_CODES: Final = {"done": DONE, "failed": FAILED, "cancelled": CANCELLED, "waiting": WAITING}


class Begin(Protocol):
    """How the run comes to be: started, or taken up again."""

    async def __call__(self, runtime: Runtime) -> Run[Any]:
        """The run, which goes on by itself."""
        ...


def add_execution_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that runs a program."""
    parser.add_argument("--engine", metavar="URL", help="a server that is up, instead of an engine of our own")
    parser.add_argument("--kv", metavar="POLICY", default="agentrt", help="what the engine is told of its KV cache")
    parser.add_argument(
        "--cache", metavar="EMBEDDER", help="answer again what was answered before: static, minilm, a URL, or `equal`"
    )
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="cancel the run after this long")
    parser.add_argument("--json", action="store_true", help="print the whole run as one JSON object")
    parser.add_argument("--no-ask", action="store_true", help="ask nobody in this terminal; `agentrt runs answer` does")
    parser.add_argument("--wait", action="store_true", help="stay when nothing but answers of people is waited for")
    parser.set_defaults(for_ui=None)


def seconds(text: str) -> float:
    """A time above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds above 0")
    return value


def carry_out(
    options: argparse.Namespace, program: Program[..., Any], begin: Begin, journal: str | None, write: Write
) -> int:
    """Have the program run in an event loop of its own, and print what came of it; the exit code is its status.

    ``journal`` is where the run is written down, ``None`` for nowhere.
    """
    from agentrt.cli.output import print_json, print_output
    from agentrt.runtime.tracing import from_environment

    book = None if journal is None else _opened(journal)
    display = _display(options)
    with from_environment():
        result = _execute(options, program, begin, book, display)
    display.summarize(result)
    if options.json:
        print_json(result, write, None if book is None else str(book))
    elif result.error is None:
        print_output(result.value, write)
    if result.error is not None:
        _explain(result, options, book)
    return _CODES[result.status]


def _caching(embedder: str | None) -> Caching | None:
    """What ``--cache`` asks for; ``equal``: only equal requests count."""
    from agentrt.runtime.caching import Caching

    return None if embedder is None else Caching(embedder=None if embedder == "equal" else embedder)


def _opened(journal: str) -> Journal:
    from agentrt.store import Journal

    return Journal(journal)


def _execute(
    options: argparse.Namespace, program: Program[..., Any], begin: Begin, journal: Journal | None, display: Display
) -> RunResult[Any]:
    """Run the program to its end, good or bad."""
    import asyncio

    from agentrt.runtime import Runtime
    from agentrt.runtime.runtime import new_run_id
    from agentrt.runtime.stopping import stopped_by_signals
    from agentrt.sdk.loader import asks_a_model

    async def main() -> RunResult[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_unseen)
        models = _models(options, display)
        stop = _Stop()
        tenant = os.environ.get("AGENTRT_TENANT", "")
        async with AsyncExitStack() as stack:
            if journal is not None:
                await stack.enter_async_context(journal)
                await _check(journal)
            runtime = await stack.enter_async_context(
                Runtime(
                    models=models,
                    observers=[display],
                    kv=options.kv,
                    tenant=tenant,
                    journal=journal,
                    answers=_answers(options, display),
                    put_aside=not options.wait,
                    cache=_caching(options.cache),
                    new_id=lambda: options.for_ui or new_run_id(),
                )
            )
            preparing = loop.create_task(models.prepare() if asks_a_model(program) else asyncio.sleep(0))
            with stopped_by_signals(loop, stop):
                stop.aim(preparing.cancel)
                await _ready(preparing)
                running = await begin(runtime)
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


async def _check(journal: Journal) -> None:
    """See that the journal can be used, before anything is started for the run."""
    try:
        async with journal.connect():
            pass
    except JournalError as error:
        raise JournalError(f"{error}; `agentrt run --no-journal` runs without one") from error


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


def _display(options: argparse.Namespace) -> Display:
    """A live display on a terminal; elsewhere plain lines, or nothing where only JSON is wanted."""
    if options.for_ui is not None:
        from agentrt.cli.run_ui import ForUi

        return ForUi(sys.stderr)
    from agentrt.ui import Quiet
    from agentrt.ui.terminal.plain import Plain

    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console

        from agentrt.ui.terminal.live import LiveDisplay

        return LiveDisplay(Console(stderr=True))
    return Quiet() if options.json else Plain(sys.stderr)


def _answers(options: argparse.Namespace, display: Display) -> Answerer:
    """Asks people in this terminal; where there is none, or none is wanted, their questions stay open."""
    from agentrt.runtime.terminal import has_terminal

    if options.no_ask or not has_terminal():
        return lambda question: None
    from rich.console import Console

    from agentrt.ui.terminal.asking import Asking

    return Asking(display, Console(stderr=True, highlight=False))


def _explain(result: RunResult[Any], options: argparse.Namespace, journal: Journal | None) -> None:
    """Why there is no output, and how to go on."""
    error = result.error
    assert error is not None, "there is something to explain"
    if options.debug or os.environ.get("AGENTRT_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RunWaiting):
        print(f"to answer: agentrt runs answer {result.id} STEP ANSWER --resume{where(options)}", file=sys.stderr)
    elif journal is not None and not _says_how(error):
        print(f"to go on from here: agentrt runs resume {result.id}{where(options)}", file=sys.stderr)
    complain(str(error))


def _says_how(error: RunError) -> bool:
    """Whether the error itself says what can be done."""
    return isinstance(error.__cause__, (InDoubt, ReplayDiffers, RunTaken))


def where(options: argparse.Namespace) -> str:
    """The option that names the journal again, if it was named."""
    return "" if options.journal is None else f" --journal {shlex.quote(shown_journal(options.journal))}"


def shown_journal(journal: str) -> str:
    """A journal's name as it may be shown: without a password."""
    from sqlalchemy import make_url

    return make_url(journal).render_as_string(hide_password=True) if "://" in journal else journal
