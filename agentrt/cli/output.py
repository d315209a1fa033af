"""Standard output belongs to the run's result: whatever else the process prints goes to standard error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from agentrt.runtime import RunResult


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Inside, prints of this process and of its children go to standard error; what is yielded is standard output."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # an output that the terminal cannot show is still shown
    with redirect_stdout(sys.stderr), _children_to_stderr(stream) as stdout:
        yield stdout


@contextmanager
def _children_to_stderr(stream: TextIO) -> Iterator[TextIO]:
    """Turn descriptor 1 over to standard error, if the stream stands on it; children inherit that."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # a test's or a notebook's own stream
        yield stream
        return
    stream.flush()
    kept = os.dup(number)
    os.dup2(2, number)
    own = open(kept, "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115 - below
    try:
        yield own
        own.flush()
    finally:
        os.dup2(kept, number)
        os.close(kept)


def print_json(result: RunResult[Any], stdout: TextIO) -> None:
    """The run as one JSON object on one line."""
    from pydantic_core import to_json

    stdout.write(to_json(result.to_json(), inf_nan_mode="null").decode() + "\n")


def print_output(value: Any, stdout: TextIO) -> None:
    """A program's output: text as it is, ``None`` not at all, everything else as indented JSON."""
    from pydantic_core import to_json

    if value is None:
        return
    as_json = to_json(value, indent=2, fallback=str, inf_nan_mode="constants").decode
    text = value if isinstance(value, str) else as_json()
    stdout.write(text if text.endswith("\n") else text + "\n")
