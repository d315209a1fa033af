"""One request to an engine as its client saw it, and the file that keeps a sequence of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from agentrt.errors import ConfigError


class Segment(NamedTuple):
    """A run of tokens that is always the same where the same segments lead to it. ``id`` names its content."""

    id: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One request. Times are seconds of one clock; ``start`` is when it was sent.

    ``path`` is its prompt as segments from the root, a fixed prompt that others share first. ``reply`` is the segment
    that its completion becomes, as later paths name it. ``first`` is when its first token came, ``None`` if that was
    not seen. ``cached`` is how many prompt tokens the engine found in its cache, -1 if it did not say. ``tool`` and
    ``word`` are what ran in the session since its last request: the tool's name, and the first word of its command.
    """

    session: str
    program: str
    start: float
    end: float
    path: tuple[Segment, ...]
    reply: Segment
    first: float | None = None
    cached: int = -1
    tool: str = ""
    word: str = ""

    @property
    def prompt(self) -> int:
        """Prompt tokens, cached or not."""
        return sum(one.tokens for one in self.path)

    @property
    def completion(self) -> int:
        """Completion tokens."""
        return self.reply.tokens

    @property
    def served(self) -> float:
        """When the engine was certainly at it: the first token, or else the start."""
        return self.start if self.first is None else self.first

    def to_json(self) -> dict[str, Any]:
        """The access as plain JSON."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {"path": [list(one) for one in self.path], "reply": list(self.reply)}

    @classmethod
    def from_json(cls, wire: object) -> Self:
        """Read what ``to_json`` wrote. Raises ``ValueError`` that says what is wrong with it."""
        if not isinstance(wire, dict):
            raise ValueError(f"expected a JSON object, not {type(wire).__name__}")
        if missing := {*_PLAIN, "path", "reply"} - wire.keys():
            raise ValueError(f"{sorted(missing)} missing")
        path = tuple(_segment(one) for one in _list(wire["path"]))
        found = cls(**{name: wire[name] for name in _PLAIN}, path=path, reply=_segment(wire["reply"]))
        _check(found)
        return found


_PLAIN: Final = ("session", "program", "start", "end", "first", "cached", "tool", "word")


def record(accesses: Iterable[Access], path: Path) -> None:
    """Write a sequence as JSON lines, one access each."""
    with path.open("w", encoding="utf-8") as out:
        for one in accesses:
            out.write(json.dumps(one.to_json(), separators=(",", ":")) + "\n")


def read(path: Path) -> list[Access]:
    """Read what ``record`` wrote. Raises ``ConfigError`` that names the file, the line and what is wrong there."""
    try:
        return list(_lines(path))
    except OSError as error:
        raise ConfigError(f"cannot read the recording {path}: {error}") from error


def _lines(path: Path) -> Iterator[Access]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield Access.from_json(json.loads(line))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{path}, line {number}: not a recorded access: {error}") from error


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"path = {value!r}: expected a list of segments")
    return value


def _segment(value: object) -> Segment:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"segment {value!r}: expected [id, tokens]")
    name, tokens = value
    if not isinstance(name, str) or type(tokens) is not int or tokens < 0:
        raise ValueError(f"segment {value!r}: expected a text and a number of tokens")
    return Segment(name, tokens)


def _check(one: Access) -> None:
    for name in ("session", "program", "tool", "word"):
        if not isinstance(getattr(one, name), str):
            raise ValueError(f"{name} = {getattr(one, name)!r}: expected a text")
    if type(one.cached) is not int:
        raise ValueError(f"cached = {one.cached!r}: expected a number of tokens")
    times = [one.start, one.end] if one.first is None else [one.start, one.first, one.end]
    if not all(map(_is_time, times)) or times != sorted(times):
        raise ValueError(f"start, first and end = {times}: expected seconds in that order")


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
