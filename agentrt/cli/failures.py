"""The last boundary: what a command raises becomes one line on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Final

from agentrt.errors import AgentrtError, RunCancelled, UsageError

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
WAITING: Final = 3  # for people
BUG: Final = 70  # EX_SOFTWARE of sysexits.h
CANCELLED: Final = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE


def guarded(build: Callable[[], ArgumentParser], argv: Sequence[str] | None) -> int:
    """Parse and run a command line; every way it can end becomes an exit code."""
    options = Namespace(debug=False, own_process=argv is None)
    _open_streams()
    try:
        build().parse_args(argv, options)
        code: int = options.handler(options)
        sys.stdout.flush()  # a full disk shows here, not at exit where nobody catches it
        return code
    except SystemExit as leaving:  # argparse: help, version, or words it cannot read
        return leaving.code if isinstance(leaving.code, int) else DONE
    except BrokenPipeError:
        return _reader_left()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last boundary: nothing passes it as a traceback
        return _report(error, debug=options.debug or bool(os.environ.get("AGENTRT_DEBUG")))


def _open_streams() -> None:
    """Put nowhere in the place of output that was closed before the start, as ``2>&-`` does."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - stays open to the end


def complain(message: str) -> None:
    """Write one line to standard error, as this program's; what a message says beyond its first line stands above.

    Such is the end of an engine's log.
    """
    line, _, detail = message.partition("\n")
    if detail.strip():
        print(_harmless(detail.rstrip()), file=sys.stderr)
    print(f"agentrt: {_harmless(' '.join(line.split()))}", file=sys.stderr, flush=True)


def _harmless(text: str) -> str:
    """Without what would steer a terminal, such as colours in a server's error."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


def exit_code(error: BaseException) -> int:
    """The exit code for a command that ended with this error."""
    if isinstance(error, (KeyboardInterrupt, RunCancelled)):
        return CANCELLED
    if isinstance(error, UsageError):
        return USAGE
    return FAILED if isinstance(error, (AgentrtError, OSError)) else BUG


def describe(error: BaseException) -> str:
    """What to tell the user of an error, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "cancelled"
    if isinstance(error, AgentrtError):
        return str(error)
    if isinstance(error, OSError):
        return _of_the_system(error)
    return f"{type(error).__name__}: {error}; this is a bug in agentrt, run with --debug to see where"


def _of_the_system(error: OSError) -> str:
    what = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk{what}; free some, or write elsewhere, and run the same command again"
    if error.errno == errno.EMFILE:
        return "too many open files; raise the limit with `ulimit -n`, or lower how much runs at once"
    return f"{error.strerror or type(error).__name__}{what}"


def _report(error: BaseException, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    complain(describe(error))
    if isinstance(error, OSError):
        _drop_output()
    return exit_code(error)


def _reader_left() -> int:
    """Whoever read the output has seen enough."""
    _drop_output()
    return PIPE_CLOSED


def _drop_output() -> None:
    """Give up what is still buffered, so that the interpreter does not try once more when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # no real standard output: nothing is flushed at exit either
