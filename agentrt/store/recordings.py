"""Opening a recording again: the lines of ``exports``, checked and put into a journal of their own."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from agentrt.errors import JournalError
from agentrt.store.codec import digest
from agentrt.store.exports import KEPT, NOTE, PAGE, VERSION, inputs_text, note_text, stored
from agentrt.store.rows import Batch, Entry, NoteRow, RunRow
from agentrt.types import RunId

if TYPE_CHECKING:
    from agentrt.store.journal import Journal

ENDING: Final = ".jsonl"

_LARGE: Final = 1 << 23
"""Characters after which a group of lines goes into the journal: a recording of any length is read in that memory."""

_LARGEST: Final = 2**63
_SHOWN: Final = 60

_Row = TypeVar("_Row", Entry, NoteRow, RunRow)


def is_recording(name: str) -> bool:
    """Whether a name that stands for a run is that of a recording's file: ids have no such ending, and no slashes."""
    return name.endswith(ENDING) or "/" in name


@asynccontextmanager
async def opened(recording: str | Path) -> AsyncIterator[tuple[Journal, RunId]]:
    """A recording as a journal of its own, which is thrown away afterwards, and the run in it.

    Raises ``JournalError`` that names the line for what is no recording, or a damaged one.
    """
    from agentrt.store.journal import Journal

    with tempfile.TemporaryDirectory(prefix="agentrt-recording-") as folder:
        file = Path(folder) / "recording.db"
        run = await load(recording, file)
        async with Journal(file) as journal:
            yield journal, run


async def load(recording: str | Path, file: Path) -> RunId:
    """Write a recording into a new journal ``file``, row for row as it was exported; the run in it.

    Raises ``JournalError`` that names the line for what is no recording, or a damaged one.
    """
    from agentrt.store.sqlite import SQLiteCommits
    from agentrt.store.writer import Collision, Passing, Unfit

    commits = SQLiteCommits(file)
    reader = _Reader(Path(recording))
    batches = reader.batches()
    first = await asyncio.to_thread(next, batches)
    await asyncio.to_thread(commits.open)
    try:
        batch: Batch | None = first
        while batch is not None:
            await commits.commit(batch)
            batch = await asyncio.to_thread(next, batches, None)
    except (Collision, Unfit, Passing) as error:
        problem = str(error) or "a number is there twice"
        raise JournalError(f"{recording}, line {reader.number} or before: it cannot be kept: {problem}") from error
    finally:
        await asyncio.to_thread(commits.close)
    return first.runs[0].id


class _Reader:
    """Goes through the lines of a file, the newest of which has the ``number``, 1 first."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self._path = path
        self._run = RunId("")
        self._last = 0
        self._left = {"entries": 0, "notes": 0, "texts": 0}

    def batches(self) -> Iterator[Batch]:
        """The rows, in groups that are read at once; the first one has the run."""
        try:
            with self._path.open("rb") as stream:
                yield from self._grouped(self._objects(stream))
        except OSError as error:
            raise JournalError(
                f"the recording {str(self._path)!r} cannot be read: {error.strerror or error}; "
                "`agentrt export RUN --format jsonl` makes one"
            ) from error

    def _grouped(self, lines: Iterator[dict[str, Any]]) -> Iterator[Batch]:
        batch = Batch(1, runs=[self._head(next(lines, {}))])
        for line in lines:
            self._take(line, batch)
            if batch.size >= _LARGE or len(batch.entries) + len(batch.notes) >= PAGE:
                yield batch
                batch = Batch(batch.number + 1)
        for what, left in self._left.items():
            if left:
                self._fail(f"expected {left:,} more {what}, found the end of the file: a part of it is missing")
        yield batch

    def _objects(self, stream: Any) -> Iterator[dict[str, Any]]:
        for raw in stream:
            self.number += 1
            try:
                line = json.loads(raw.decode())
            except (ValueError, RecursionError) as error:
                cut = "" if raw.endswith(b"\n") else ", which is where the file ends: it was cut off"
                self._fail(f"expected one JSON object{cut}", because=error)
            if not isinstance(line, dict):
                self._fail(f"expected one JSON object, found {_short(line)}")
            yield line

    def _head(self, line: dict[str, Any]) -> RunRow:
        said = line.get("recording")
        if not isinstance(said, dict) or not isinstance(line.get("run"), dict):
            self.number = 1
            self._fail('expected {"run": ..., "recording": ...}, as `agentrt export RUN --format jsonl` begins')
        if said.get("version") not in range(1, VERSION + 1):
            self._fail(f"expected version 1 to {VERSION} of a recording, found {_short(said.get('version'))}")
        for what in self._left:
            self._left[what] = self._count(said.get(what))
        told = line["run"]
        row = self._row(RunRow, {**told, "inputs": told["raw"] if "raw" in told else inputs_text(told)})
        self._run = row.id
        return row

    def _take(self, line: dict[str, Any], batch: Batch) -> None:
        kind = line.get("kind")
        if line.get("run") != self._run:
            self._fail(f"expected a line of run {self._run!r}, found one of {_short(line.get('run'))}")
        if kind == KEPT:
            self._expect("texts")
            self._keep(batch, [self._text(line.get("text"))])
        elif isinstance(kind, str) and kind.startswith(NOTE):
            self._expect("notes")
            text = line["raw"] if "raw" in line else note_text(line.get("data"))
            batch.notes.append(self._row(NoteRow, {**line, "kind": kind.removeprefix(NOTE), "data": text}))
            batch.size += len(text)
        else:
            self._expect("entries")
            self._entry(line, batch)

    def _entry(self, line: dict[str, Any], batch: Batch) -> None:
        data, texts = self._own(line["raw"]) if "raw" in line else self._told(line)
        entry = self._row(Entry, {**line, "data": data})
        if entry.seq <= self._last:
            self._fail(f"expected an entry with a number above {self._last}, found {entry.seq}")
        self._last = entry.seq
        batch.entries.append(entry)
        batch.size += len(data)
        self._keep(batch, texts)

    def _told(self, line: dict[str, Any]) -> tuple[str, list[str]]:
        try:
            data, texts = stored(line)
        except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
            self._fail("expected an entry as `agentrt export` writes it", because=error)
        return data, list(texts.values())

    def _own(self, raw: Any) -> tuple[str, list[str]]:
        texts = raw.get("texts") if isinstance(raw, dict) else None
        if not isinstance(texts, dict):
            self._fail(f'expected "raw" to have "data" and "texts", found {_short(raw)}')
        return self._text(raw.get("data")), [self._text(text) for text in texts.values()]

    def _keep(self, batch: Batch, texts: list[str]) -> None:
        for text in texts:
            batch.bodies[self._run, digest(text)] = text
            batch.size += len(text)

    def _expect(self, what: str) -> None:
        self._left[what] -= 1
        if self._left[what] < 0:
            self._fail(f"expected no more {what} than the first line says")

    def _count(self, said: Any) -> int:
        if not _fits(said, int) or said < 0:
            self._fail(f"expected to be told how many lines follow, found {_short(said)}")
        return int(said)

    def _text(self, said: Any) -> str:
        if not _fits(said, str):
            self._fail(f"expected a text, found {_short(said)}")
        return str(said)

    def _row(self, kind: type[_Row], fields: Mapping[str, Any]) -> _Row:
        for name, hint in _HINTS[kind].items():
            if name not in fields or not _fits(fields[name], hint):
                self._fail(f"expected {name!r} to be {_in_words(hint)}, found {_short(fields.get(name))}")
        return kind(**{name: fields[name] for name in kind._fields})

    def _fail(self, problem: str, because: Exception | None = None) -> NoReturn:
        raise JournalError(f"{self._path}, line {self.number}: {problem}") from because


# -- what a row may hold ---------------------------------------------------------------------------------------------


_HINTS: Final = {kind: get_type_hints(kind) for kind in (Entry, NoteRow, RunRow)}


def _fits(value: Any, hint: Any) -> bool:
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_fits(value, one) for one in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return type(value) is int and abs(value) < _LARGEST
    return isinstance(value, hint)


def _in_words(hint: Any) -> str:
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is UnionType:
        return " or ".join(_in_words(one) for one in get_args(hint))
    return {str: "a text", int: "a whole number", float: "a number", NoneType: "null"}[hint]


def _short(value: Any) -> str:
    """A value as JSON, its beginning; of one that is not there, nothing."""
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
