"""``agentrt graph``: a program's step graph from its source, nothing of it run."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any, Final

_EXAMPLES: Final = """\
examples:
  agentrt graph report.py
  agentrt graph report.py:report --format svg -o report.svg
  agentrt graph report.py --format mermaid >> notes.md
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``graph``."""
    parser = subparsers.add_parser(
        "graph",
        help="show a program's step graph",
        description="Show a program's steps, branches, loops and joins as its source has them. Runs nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="PROGRAM.py[:NAME]", help="a file, and which program of it")
    parser.add_argument("--format", "-f", choices=("text", "json", "mermaid", "dot", "svg"), default="text")
    parser.add_argument("--output", "-o", metavar="FILE", help="write there instead of to standard output")
    parser.set_defaults(handler=show)


def show(options: argparse.Namespace) -> int:
    """Print the graph, or write it; the exit code is 0.

    Raises ``ProgramError`` and ``GraphError`` for a bad program.
    """
    from agentrt.graph.compile import read_template
    from agentrt.graph.render import render_template
    from agentrt.targets import split_target

    where, name = split_target(options.program)
    path = _file(where)
    drawn = render_template(read_template(_source(path), str(path), name), options.format)
    if options.output is not None:
        _write(Path(options.output), drawn)
        return 0
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # what the terminal cannot show: an escape in JSON, else a question mark
        sys.stdout.reconfigure(errors="backslashreplace" if options.format == "json" else "replace")
    sys.stdout.write(drawn)
    return 0


def _file(where: str) -> Path:
    """The path as it is, or for ``package.module`` the file of that module below the current folder."""
    path = Path(where)
    dotted = Path(*where.split(".")).with_suffix(".py") if where.strip(".") else path
    return dotted if not path.exists() and not where.endswith(".py") and dotted.exists() else path


def _source(path: Path) -> str:
    """The text of a source file, decoded as Python itself would."""
    import tokenize

    from agentrt.errors import ProgramError

    try:
        with tokenize.open(path) as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise ProgramError(f"there is no file {str(path)!r}; give the path of a program, PROGRAM.py") from error
    except IsADirectoryError as error:
        raise ProgramError(f"{str(path)!r} is a folder; give the path of a program in it") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ProgramError(f"{str(path)!r} cannot be read as Python: {error}") from error


def _write(path: Path, text: str) -> None:
    from agentrt.errors import ConfigError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}; choose another --output") from error
