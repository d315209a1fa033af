"""Ctrl-C and SIGTERM while a run goes on: the first asks it to end, the second does not ask."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_REASONS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_SHOW_CURSOR: Final = "\x1b[?25h"


@contextmanager
def stopped_by_signals(loop: asyncio.AbstractEventLoop, cancel: Callable[[str], object]) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM calls ``cancel`` with its name in the loop; the second ends the process.

    The handlers are the process's own, not the loop's, so that a program that blocks its loop can be ended too.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _end_now(number)
        asked = True
        loop.call_soon_threadsafe(cancel, _REASONS[signal.Signals(number)])

    before = {number: signal.signal(number, stop) for number in _REASONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_now(number: int) -> None:
    """Die of the signal, as if it had never been caught, but leave the terminal with its cursor."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
