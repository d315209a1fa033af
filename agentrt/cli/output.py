"""Standard output belongs to the program's result: whatever else is printed meanwhile goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrt.runtime import RunResult


Write = Callable[[str], None]


@contextmanager
def stdout_set_aside(*, for_good: bool) -> Iterator[Write]:
    """Inside, prints of this process and of the children it starts go to standard error; yields the way out.

    ``for_good`` is for a process that ends soon: what its threads, children and exit handlers print later does not
    reach standard output either.
    """
    own = sys.stdout
    try:
        number = own.fileno()
    except (OSError, ValueError):  # a test's or a notebook's own stream stands on no descriptor
        with redirect_stdout(sys.stderr):
            yield lambda text: print(text, end="", file=own)
        return
    own.flush()
    kept = os.dup(number)
    os.dup2(2, number)
    try:
        with redirect_stdout(sys.stderr):
            yield lambda text: _write(kept, text, own.encoding)
    finally:
        if not for_good:
            os.dup2(kept, number)
        os.close(kept)


def print_json(result: RunResult[Any], write: Write, journal: str | None) -> None:
    """The run as one JSON object on one line, with the name of its journal."""
    write(json_line({**result.to_json(), "journal": journal}))


def json_line(value: Any, *, indent: int | None = None) -> str:
    """Plain JSON with a line end; numbers that JSON does not have become ``null``."""
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=not _unicode())
    if not text.isascii():  # half a character, which Python's texts may hold and UTF-8 does not, as JSON's escape
        text = text.encode(errors="backslashreplace").decode()
    return _line(text)


def print_output(value: Any, write: Write) -> None:
    """A program's output: text as it is, ``None`` not at all, everything else as indented JSON."""
    from agentrt.runtime.result import plain

    if value is None:
        return
    if not isinstance(value, str):
        value = json_line(plain(value), indent=2)
    write(_line(value))


def _write(number: int, text: str, encoding: str) -> None:
    """Write all of a text at once, unbuffered: a full disk shows here, not at exit where nobody catches it."""
    data = text.encode(encoding, "backslashreplace")  # what the encoding has no character for, as its escape
    while data:
        data = data[os.write(number, data) :]


def _line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _finite(value: Any) -> Any:
    """The same plain JSON with ``None`` for infinities and for what is no number."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
