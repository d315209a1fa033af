"""``agentrt run --ui``: the run in a process of its own, and the terminal UI on it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TextIO

from agentrt.cli.failures import DONE
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.engine.progress import Progress
    from agentrt.events import Event
    from agentrt.runtime import RunResult
    from agentrt.types import RunId
    from agentrt.ui.watch.background import Background

_MOST: Final = 1_000_000
"""Bytes at the end of what a run wrote beside its output that are written out after it; the rest is in its log."""

_LOOK_S: Final = 0.05


def add_ui_options(parser: argparse.ArgumentParser) -> None:
    """``--ui``, and what it starts the run's own process with."""
    parser.add_argument(
        "--ui", action="store_true", help="watch it in the terminal UI; it runs in a process of its own"
    )
    parser.add_argument("--for-ui", metavar="RUN", help=argparse.SUPPRESS)


def run_with_ui(options: argparse.Namespace) -> int:
    """Start the run, open the UI on it, and end as the run does; 0 when it is left running in the background."""
    from agentrt.cli.journals import journal_name
    from agentrt.runtime.runtime import new_run_id
    from agentrt.ui.watch.background import begin, log_of

    journal = None if options.no_journal else journal_name(options)
    if journal is None:
        why = "--no-journal" if options.no_journal else "AGENTRT_JOURNAL=off"
        raise ConfigError(f"--ui watches the run by its journal, and {why} keeps none; leave one of the two out")
    _need_a_terminal()
    run = new_run_id()
    log = log_of(run)
    out = log.with_suffix(".out")
    child = begin(words(options, run), journal=journal, log=log, out=out)
    left = _watch(options, journal, run, child)
    if left and child.code is None:
        _say_goodbye(options, run, child)
        return DONE
    return _finish(child, out)


def words(options: argparse.Namespace, run: RunId) -> list[str]:
    """The words of the command that runs the same in the background, under that id."""
    found = ["run", options.program, "--for-ui", run, "--no-ask", "--wait"]
    found += [f"--input={one}" for one in options.input]
    for name in ("inputs", "engine", "kv", "cache", "timeout", "journal"):
        value = getattr(options, name)
        if value is not None:
            found.append(f"--{name}={value}")
    return found + [f"--{name}" for name in ("json", "debug") if getattr(options, name)]


def further_words(options: argparse.Namespace) -> list[str]:
    """What a resume of the run is to be told as well: the same engine, treated in the same way."""
    engine = [] if options.engine is None else [f"--engine={options.engine}"]
    cache = [] if options.cache is None else [f"--cache={options.cache}"]
    return [*engine, *cache, f"--kv={options.kv}"]


def _need_a_terminal() -> None:
    from agentrt.runtime.terminal import has_terminal

    if not has_terminal() or os.environ.get("TERM", "dumb") == "dumb":
        raise ConfigError(
            "--ui needs a terminal for keys and pictures, and here is none; run it without, and look at it from one: "
            "agentrt watch"
        )


def _watch(options: argparse.Namespace, journal: str, run: RunId, child: Background) -> bool:
    """Show the run until the person leaves, or it fails before it begins; whether it shall go on."""
    from agentrt.cli.output import stdout_set_aside
    from agentrt.ui.watch.started import watch_started

    more = further_words(options)
    try:
        with stdout_set_aside(for_good=False):  # the size of the terminal is asked of it
            return watch_started(journal, run, options.program, child, words=more, cancel=lambda: interrupt(child))
    except BaseException:
        if child.code is None:  # the screen is broken, the run is not
            _say_goodbye(options, run, child)
        raise


def interrupt(child: Background) -> None:
    """What Ctrl-C would do to it if it had this terminal."""
    with suppress(ProcessLookupError):
        child.process.send_signal(signal.SIGINT)


def _finish(child: Background, out: Path) -> int:
    """Wait for the run's process, and hand on what it wrote and how it ended; Ctrl-C here is Ctrl-C there."""
    with _interrupting(child):
        while (code := child.code) is None:
            time.sleep(_LOOK_S)
    whole = child.log.stat().st_size <= _MOST
    if not whole:
        print(f"... what it wrote before that is in {child.log}", file=sys.stderr)
    sys.stderr.write(child.tail(_MOST))
    sys.stderr.flush()
    _hand_on(out)
    out.unlink(missing_ok=True)
    if whole:
        child.log.unlink(missing_ok=True)
    return code if code >= 0 else 128 - code  # as shells tell of a process that a signal ended


@contextmanager
def _interrupting(child: Background) -> Iterator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        interrupt(child)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hand_on(out: Path) -> None:
    """Write a file to standard output, byte by byte as it is."""
    sys.stdout.flush()
    with out.open("rb") as file:
        while piece := file.read(1 << 20):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _say_goodbye(options: argparse.Namespace, run: RunId, child: Background) -> None:
    from agentrt.cli.execute import where

    print(
        f"run {run} goes on in the background (process {child.process.pid}); it writes to {child.log}\n"
        f"  to watch it again: agentrt watch {run}{where(options)}\n"
        f"  to end it:         agentrt runs cancel {run}{where(options)}",
        file=sys.stderr,
    )


class ForUi:
    """The display of a run that is watched from another process: how its start goes on, and its summary."""

    def __init__(self, stream: TextIO) -> None:
        from agentrt.engine.progress import Lines

        self.progress: Progress = Lines(stream)
        self._stream = stream

    def open(self) -> None:
        """Write nothing yet."""

    def __call__(self, event: Event) -> None:
        """The journal tells of it."""

    def aside(self) -> AbstractContextManager[None]:
        """Nobody is asked here."""
        return nullcontext()

    def close(self) -> None:
        """What is still being started for the run has not come to its end."""
        self.progress.close(failed=True)

    def summarize(self, result: RunResult[Any]) -> None:
        """Write the summary, as on a terminal."""
        from agentrt.ui.terminal.summary import summary_lines

        with suppress(OSError):
            print(*(f" {line}" for line in summary_lines(result)), "", sep="\n", file=self._stream, flush=True)
