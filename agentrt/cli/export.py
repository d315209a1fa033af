"""``agentrt export`` and ``agentrt runs export``: a run as a file, to read, to send on, or to open again."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

from agentrt.cli.journals import add_journal_option, needed_journal
from agentrt.cli.output import json_line

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentrt.store.rows import OwnerRow, RunRow

_EXAMPLES: Final = """\
examples:
  agentrt export last                          last run as a page to open in a browser: RUN.html
  agentrt export last --format perfetto        to open at ui.perfetto.dev
  agentrt export 20261120-1015 -o run.jsonl    all that is kept of it; agentrt watch run.jsonl opens it again
  agentrt export last --format dynamo          lengths and times alone, for `agentrt bench replay --trace`
  agentrt export run.jsonl -o - > run.html     a page of a recording

RUN is a run's id, the beginning of one, or `last`; or the file of a recording.
"""

_ENDINGS: Final = {
    "html": ".html",
    "svg": ".svg",
    "perfetto": ".trace.json",
    "jsonl": ".jsonl",
    "json": ".json",
    "dynamo": ".dynamo.jsonl",
}
"""The formats, and how the files are named."""

_STDOUT: Final = "-"
_ODD: Final = re.compile(r"[^\w.-]+")


class _Found(NamedTuple):
    """A run to be exported, the living process that has it, and its recording's file if it is from one."""

    connection: AsyncConnection
    row: RunRow
    owner: OwnerRow | None
    file: Path | None


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``export``, which writes a file."""
    parser = commands.add_parser(
        "export",
        help="a run as a web page, a picture, a trace, or a recording",
        description="Write a run into a file: to look at, to send to a colleague, or to open again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, format_="html", output=None)
    add_journal_option(parser)


def add_options(parser: argparse.ArgumentParser, *, format_: str, output: str | None) -> None:
    """The options of an export, with the format and the file that stand for none given."""
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, `last`, or a recording's file")
    parser.add_argument(
        "--format", "-f", choices=tuple(_ENDINGS), help=f"by the ending of the file, else {format_}, if not given"
    )
    where = "standard output" if output == _STDOUT else f"RUN{_ENDINGS[format_]} or its like here"
    parser.add_argument(
        "--output", "-o", metavar="FILE", default=output, help=f"where to ({where}); - is standard output"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    parser.set_defaults(handler=export, usual_format=format_)


def export(options: argparse.Namespace) -> int:
    """Write the run; the exit code is 0. Raises ``ConfigError`` for a file that is there."""
    import asyncio

    asyncio.run(_export(options))
    return 0


async def _export(options: argparse.Namespace) -> None:
    format_ = options.format or _by_ending(options.output) or options.usual_format
    async with _found(options) as found:
        path = _path(options.output, format_, found, force=options.force)
        if found.owner is not None:
            print(f"run {found.row.id} is still running: this is how it stands now", file=sys.stderr)
        pieces = _FORMATS[format_](found)
        if path is None:
            _speak_utf8()
            async for piece in pieces:
                sys.stdout.write(piece)
            return
        with _written(path) as stream:
            async for piece in pieces:
                stream.write(piece)
    print(f"wrote {path}{_size(path)}", file=sys.stderr)


def _by_ending(output: str | None) -> str | None:
    """The format that a file's name ends like, the longest ending first."""
    found = [one for one, ending in _ENDINGS.items() if (output or "").lower().endswith(ending)]
    return max(found, key=lambda one: len(_ENDINGS[one]), default=None)


@asynccontextmanager
async def _found(options: argparse.Namespace) -> AsyncIterator[_Found]:
    """The run of that name in the command's journal, or the one in the file of that name."""
    from agentrt.store import Journal, archive
    from agentrt.store.recordings import is_recording, opened

    if is_recording(options.run):
        async with opened(options.run) as (journal, run), journal.connect() as connection:
            yield _Found(connection, await archive.find_run(connection, run), None, Path(options.run))
        return
    async with Journal(needed_journal(options)) as journal, journal.connect() as connection:
        row, owner = await archive.run_and_owner(connection, options.run)
        yield _Found(connection, row, owner, None)


# -- where to --------------------------------------------------------------------------------------------------------


def _path(output: str | None, format_: str, found: _Found, *, force: bool) -> Path | None:
    """The file to write, ``None`` for standard output."""
    from agentrt.errors import ConfigError

    if output == _STDOUT:
        return None
    stem = _ODD.sub("_", found.row.id) if found.file is None else found.file.stem
    path = Path(output or f"{stem}{_ENDINGS[format_]}")
    if path.is_file() and not force:
        raise ConfigError(f"{str(path)!r} is there already; overwrite it with --force, or choose another --output")
    return path


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """A file that is there when all of it is, and not before; a pipe or a device is written to, and stays one."""
    from agentrt.errors import ConfigError

    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream
            return
        file = path.resolve()  # what a link leads to is replaced, the link stays
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            with unfinished.open("x", encoding="utf-8", newline="\n") as stream:
                yield stream
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} cannot be written: {error.strerror or error}; choose another --output"
        ) from error


def _speak_utf8() -> None:
    """All formats are in UTF-8, whatever the terminal has."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _size(path: Path) -> str:
    """How large a file is, in brackets; nothing of what is none."""
    if not path.is_file():
        return ""
    size = path.stat().st_size
    return f" ({size / 1e6:.1f} MB)" if size >= 1e6 else f" ({size / 1e3:.0f} kB)"


# -- formats ---------------------------------------------------------------------------------------------------------


async def _jsonl(found: _Found) -> AsyncIterator[str]:
    from agentrt.store.exports import lines_of

    async for line in lines_of(found.connection, found.row):
        yield json_line(line)


async def _json(found: _Found) -> AsyncIterator[str]:
    """The lines of a recording as one object: the run, and a list of all that follow it."""
    from agentrt.store.exports import lines_of

    lines = lines_of(found.connection, found.row)
    yield f'{{"run": {json_line((await anext(lines))["run"]).rstrip()}, "entries": ['
    between = "\n"
    async for line in lines:
        yield f"{between}{json_line(line).rstrip()}"
        between = ",\n"
    yield "\n]}\n"


def _html(found: _Found) -> AsyncIterator[str]:
    from agentrt.ui.report.rendering import page

    return page(found.connection, found.row, found.owner)


def _svg(found: _Found) -> AsyncIterator[str]:
    from agentrt.ui.report.rendering import picture

    return picture(found.connection, found.row, found.owner)


def _perfetto(found: _Found) -> AsyncIterator[str]:
    from agentrt.ui.report.rendering import trace

    return trace(found.connection, found.row, found.owner)


async def _dynamo(found: _Found) -> AsyncIterator[str]:
    """Model turns and tools with their lengths and times, in the vocabulary of Dynamo's agent traces."""
    from agentrt.benchmarks.replay.dynamo import run_records

    for record in await run_records(found.connection, found.row):
        yield json_line(record)


_FORMATS: Final[dict[str, Callable[[_Found], AsyncIterator[str]]]] = {
    "html": _html,
    "svg": _svg,
    "perfetto": _perfetto,
    "jsonl": _jsonl,
    "json": _json,
    "dynamo": _dynamo,
}
