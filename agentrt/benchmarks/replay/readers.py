"""Recordings by what they look like: ``read(path)`` gives the sessions of any that is known.

``claude``     JSON lines with ``requests``: kv-cache-tester's Claude Code sessions
``swe``        JSON lines with ``llm_calls``: AgentCgroup's agent runs on SWE-rebench tasks
``mooncake``   JSON lines with ``input_length``: Mooncake's requests
``azure``      CSV with ``ContextTokens``: Azure's arrivals
``dynamo``     JSON lines of schema ``dynamo.agent.trace.v1``, NVIDIA Dynamo's and what `agentrt export` writes
``journal``    a folder of a benchmark, or a journal: the runs in it

Files may be gzipped.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from agentrt.benchmarks.replay import claude, dynamo, requests, swe
from agentrt.benchmarks.replay.sessions import Session, begun_at_zero
from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.traces import lines_of

JOURNAL: Final = "runs.db"
_SQLITE: Final = b"SQLite format 3"


class Recording(NamedTuple):
    """``kind`` is one of those above; ``sessions`` are in the order of their arrivals."""

    kind: str
    sessions: list[Session]


def read(path: Path) -> Recording:
    """All sessions of a recording that have a turn. Raises ``ConfigError`` naming file, line and fault."""
    try:
        if (journal := _journal(path)) is not None:
            return Recording("journal", begun_at_zero(dynamo.sessions_of(dynamo.journal_records(journal))))
        lines = _Counted(lines_of(path))
        kind, rest = _kind(path, lines)
        return Recording(kind, begun_at_zero(_all(path, kind, lines, rest)))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the recording {path}: {error}") from error


class _Counted:
    """Lines, and the number of the last one that was read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.number = 0
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            yield line


def _all(path: Path, kind: str, counted: _Counted, lines: Iterable[str]) -> list[Session]:
    try:
        found = _READERS[kind](lines)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        said = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"{path}, line {counted.number}: not a session that can be read: {said}") from error
    if not found:
        raise ConfigError(f"{path} has no session with a turn; give another recording")
    return found


def _journal(path: Path) -> Path | None:
    if path.is_dir():
        path = path / JOURNAL
        if not path.exists():
            raise ConfigError(f"{str(path.parent)!r} has no {JOURNAL}; name the folder of a benchmark, or a file")
    with path.open("rb") as file:
        return path if file.read(len(_SQLITE)) == _SQLITE else None


def _kind(path: Path, counted: _Counted) -> tuple[str, Iterable[str]]:
    """What the first line looks like, and all lines."""
    lines = iter(counted)
    first = list(islice(lines, 1))
    text = first[0].strip() if first else ""
    kind = "azure" if text.startswith("TIMESTAMP,") else next((k for k in _MARKS if _has(text, _MARKS[k])), None)
    if kind is None:
        known = ", ".join(f"{mark!r} ({name})" for name, mark in _MARKS.items())
        raise ConfigError(
            f"{path}: neither Azure's CSV nor JSON lines with {known}; give one of these, a folder of a benchmark, or "
            f"a journal"
        )
    return kind, chain(first, lines)


def _has(text: str, mark: str) -> bool:
    """Whether the line is a JSON object with that key, at the top or one level below."""
    if f'"{mark}"' not in text:
        return False
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return False
    inner = [one for one in told.values() if isinstance(one, Mapping)] if isinstance(told, Mapping) else []
    return any(mark in one for one in [told, *inner] if isinstance(one, Mapping))


def _each(read_line: Callable[[str], Session | None]) -> Callable[[Iterable[str]], list[Session]]:
    def read_all(lines: Iterable[str]) -> list[Session]:
        return [found for line in lines if line.strip() and (found := read_line(line)) is not None]

    return read_all


_MARKS: Final = {"swe": "llm_calls", "mooncake": "input_length", "dynamo": "schema", "claude": "requests"}
_READERS: Final[Mapping[str, Callable[[Iterable[str]], list[Session]]]] = {
    "claude": _each(claude.session_of),
    "swe": lambda lines: swe.with_heads(_each(swe.session_of)(lines)),
    "mooncake": lambda lines: list(requests.mooncake(lines)),
    "azure": lambda lines: list(requests.azure(lines)),
    "dynamo": lambda lines: dynamo.sessions_of(dynamo.parsed(lines)),
}
