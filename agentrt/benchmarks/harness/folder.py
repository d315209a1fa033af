"""The folder of one run of a benchmark: what was run, what came of it, and how to go on with it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from agentrt.benchmarks.harness.entries import Outcome, Verdict
from agentrt.benchmarks.harness.sittings import Sitting
from agentrt.errors import ConfigError

BENCH: Final = "bench.json"
RESULTS: Final = "results.jsonl"
VERDICTS: Final = "verdicts.jsonl"
JOURNAL: Final = "runs.db"
SITTINGS: Final = "sittings.json"
EXTRA: Final = "extra.json"
LOCK: Final = ".lock"

_BLOCK: Final = 1 << 16

T = TypeVar("T")

_FREE: Final = frozenset({"at_once", "environment", "began"})
"""What may be another when a folder is gone on with: it changes times, not results, and the last is what is told."""


class Folder:
    """One run of a benchmark. Lines are added whole or not at all, also when the process is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._adding = threading.Lock()

    @property
    def journal(self) -> Path:
        """The journal of its runs."""
        return self.path / JOURNAL

    @property
    def begun(self) -> bool:
        """Whether something is run here, or was to be."""
        return (self.path / BENCH).exists()

    @property
    def used(self) -> bool:
        """Whether there is anything to go on with."""
        return any((self.path / name).exists() for name in (JOURNAL, RESULTS))

    def begin(self, told: Mapping[str, Any]) -> None:
        """Enter what is run, or see that it is what was run here before, if anything was.

        Raises ``ConfigError`` naming what differs, and for a folder that cannot be written.
        """
        try:
            differ = self.differs(told) if self.used else []
            if differ:
                raise ConfigError(
                    f"{str(self.path)!r} was begun with something else ({'; '.join(differ)}); go on with the same, or "
                    f"name another folder with --out"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / BENCH, json.dumps(dict(told), indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ConfigError(f"results folder {str(self.path)!r}: {error.strerror}; choose another one") from error

    def told(self) -> dict[str, Any]:
        """What was run here. Raises ``ConfigError`` for a folder that is none of a benchmark."""
        file = self.path / BENCH
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{str(self.path)!r} has no {BENCH}; name the folder of a run of `agentrt bench`"
            ) from None
        except ValueError as error:
            raise ConfigError(f"{str(file)!r} is damaged: {error}; begin in another folder") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{str(file)!r} is damaged: expected a JSON object; begin in another folder")
        return found

    def differs(self, told: Mapping[str, Any]) -> list[str]:
        """What was run here and is not what is told now: ``model: 'a', now 'b'``. Raises as ``told`` does."""
        before, plain = self.told(), json.loads(json.dumps(dict(told)))
        return [
            f"{name}: {before.get(name)!r}, now {plain.get(name)!r}"
            for name in sorted((before.keys() | plain.keys()) - _FREE)
            if before.get(name) != plain.get(name)
        ]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, this process alone works here, also after another one was killed.

        Raises ``ConfigError`` when another one does, and for a folder that cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / LOCK).open("a+")
        except OSError as error:
            raise ConfigError(f"results folder {str(self.path)!r}: {error.strerror}; choose another one") from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                stream.seek(0)
                raise ConfigError(
                    f"process {stream.read().strip() or '?'} works on {str(self.path)!r}; wait for it, or name another "
                    f"folder with --out"
                ) from error
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    # -- lines -------------------------------------------------------------------------------------------------------

    def add(self, outcome: Outcome) -> None:
        """One more entry is finished: on disk when this returns."""
        line = json.dumps(outcome.to_json(), ensure_ascii=False, separators=(",", ":")) + "\n"
        file = self.path / RESULTS
        with self._adding, file.open("ab") as stream:
            _drop_torn_line(file)
            stream.write(_bytes(line))
            stream.flush()
            os.fsync(stream.fileno())

    def outcomes(self) -> dict[str, Outcome]:
        """The finished entries by their ids; a line that was torn by a crash is none.

        Raises ``ConfigError``, as all that read do, for what is damaged.
        """
        return {one.entry: one for one in _lines(self.path / RESULTS, Outcome.from_json)}

    def judged(self, verdicts: Iterable[Verdict]) -> None:
        """What the grader said of all of them."""
        text = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in verdicts)
        write_whole(self.path / VERDICTS, text)

    def verdicts(self) -> dict[str, Verdict]:
        """What the grader said, by entry; empty before it did."""
        return {one.entry: one for one in _lines(self.path / VERDICTS, lambda line: Verdict(**line))}

    def sat(self, sittings: Iterable[Sitting]) -> None:
        """When it was worked on; the last one may still go on."""
        told = [one.to_json() for one in sittings]
        write_whole(self.path / SITTINGS, json.dumps(told, indent=1) + "\n")

    def sittings(self) -> list[Sitting]:
        """When it was worked on, in order; empty before the first entry was finished."""
        return _list(self.path / SITTINGS, Sitting.from_json)

    def tell(self, extra: Iterable[tuple[str, str, str]]) -> None:
        """Further lines for the report, which the benchmark alone knows: name, value, and what else is to be said."""
        write_whole(self.path / EXTRA, json.dumps(list(extra), ensure_ascii=False) + "\n")

    def extra(self) -> list[tuple[str, str, str]]:
        """What ``tell`` was given last; empty before."""
        return _list(self.path / EXTRA, _figure)


def _lines(file: Path, made: Callable[[Any], T]) -> Iterator[T]:
    """What is made of each line."""
    if not file.exists():
        return
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):  # else it was torn
                with _sound(f"line {number} of {str(file)!r}"):
                    one = made(json.loads(line))
                yield one


def _list(file: Path, made: Callable[[Any], T]) -> list[T]:
    """What is made of each element of a JSON list; empty where there is no file."""
    if not file.exists():
        return []
    with _sound(repr(str(file))):
        found = json.loads(file.read_bytes())
        if not isinstance(found, list):
            raise TypeError("expected a list")
        return [made(one) for one in found]


def _figure(line: Any) -> tuple[str, str, str]:
    name, value, more = line
    return name, value, more


@contextmanager
def _sound(what: str) -> Iterator[None]:
    """Inside, something of ours is read."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{what} is damaged, or of another version of agentrt ({type(error).__name__}: {error}); delete it and run "
            f"the same command again: finished runs are in {JOURNAL}"
        ) from error


def _drop_torn_line(file: Path) -> None:
    """Cut off what a crash has left of a line."""
    if not file.exists():
        return
    with file.open("r+b") as stream:
        whole = size = stream.seek(0, os.SEEK_END)
        while whole:
            start = max(0, whole - _BLOCK)
            stream.seek(start)
            end = stream.read(whole - start).rfind(b"\n")
            if end >= 0:
                whole = start + end + 1
                break
            whole = start
        if whole < size:
            stream.truncate(whole)


def write_whole(file: Path, text: str) -> None:
    """Put ``text`` in the place of what a file held: at no time there is a part of it."""
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(_bytes(text))
    part.replace(file)


def _bytes(text: str) -> bytes:
    """As UTF-8; halves of characters, which models do write, as JSON has them."""
    return text.encode("utf-8", "backslashreplace")
