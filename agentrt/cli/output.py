"""Standard output belongs to the program's result: whatever else is printed meanwhile goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrt.runtime import RunResult


@contextmanager
def stdout_set_aside() -> Iterator[None]:
    """Inside, prints of this process and of the children it starts go to standard error."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # a test's or a notebook's own stream stands on no descriptor
        with redirect_stdout(sys.stderr):
            yield
        return
    sys.stdout.flush()
    kept = os.dup(number)
    os.dup2(2, number)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def print_json(result: RunResult[Any]) -> None:
    """The run as one JSON object on one line; numbers that JSON does not have become ``null``."""
    _write(json.dumps(_finite(result.to_json()), ensure_ascii=not _unicode()))


def print_output(value: Any) -> None:
    """A program's output: text as it is, ``None`` not at all, everything else as indented JSON."""
    from pydantic_core import to_jsonable_python

    if value is None:
        return
    if not isinstance(value, str):
        plain = _finite(to_jsonable_python(value, fallback=str))
        value = json.dumps(plain, indent=2, ensure_ascii=not _unicode())
    _write(value)


def _write(text: str) -> None:
    """Write text with a line's end; what the encoding has no character for is written as its escape."""
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _finite(value: Any) -> Any:
    """The same plain JSON with ``None`` for infinities and for what is no number."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
