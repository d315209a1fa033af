"""One file for an index: the vectors as their index writes them, then a line that says what they are and a checksum.

    | the index's own bytes | JSON: kind, embedder, size, vectors | length of the JSON, CRC-32 of all before | MAGIC |

What says so stands at the end because usearch writes and reads its part by the file's name, from the beginning.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final, NamedTuple

from agentrt.errors import ConfigError, JournalError

_MAGIC: Final = b"agentrt index 1\n"
_END: Final = struct.Struct(f"<QII{len(_MAGIC)}s")
_PART: Final = ".part"
_CHUNK: Final = 1 << 22


class About(NamedTuple):
    """What a file holds: so many vectors of ``size`` numbers by ``embedder``, as an index of ``kind`` has them."""

    kind: str
    embedder: str
    size: int
    vectors: int


def write(path: Path, about: About, body: Callable[[Path], object]) -> None:
    """Put an index in the place of what the file held; ``body`` writes its part into the file that it is given.

    At no time there is a part of it under that name, and when this returns it is on the disk.
    """
    try:
        _sweep(path)
        with _part(path) as part:
            body(part)
            _finish(part, about)
            part.replace(path)
        _sync(path.parent)
    except (OSError, RuntimeError) as error:  # usearch says everything with the latter
        raise JournalError(f"the index of the semantic cache cannot be written to {str(path)!r}: {error}") from error


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that is locked as long as somebody writes it, and gone after that."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(number)


def _sweep(path: Path) -> None:
    """Throw out what processes that were killed left of theirs."""
    for part in path.parent.glob(f".{escape(path.name)}.*{_PART}"):
        with suppress(OSError), part.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _finish(part: Path, about: About) -> None:
    line = json.dumps(about._asdict()).encode()
    size = part.stat().st_size
    with part.open("r+b") as stream:
        checksum = zlib.crc32(line, _checksum(stream.read, size))
        stream.seek(size)
        stream.write(line + _END.pack(size, len(line), checksum, _MAGIC))
        stream.flush()
        os.fsync(stream.fileno())


def _checksum(source: Callable[[int], bytes], left: int) -> int:
    checksum = 0
    while left and (chunk := source(min(left, _CHUNK))):
        checksum = zlib.crc32(chunk, checksum)
        left -= len(chunk)
    return checksum


def _sync(folder: Path) -> None:
    """A new name is on the disk when its folder is."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read(path: Path, embedder: str, size: int, *, kinds: Sequence[str]) -> About:
    """What an index's file holds, read through and found whole.

    Raises ``ConfigError`` where it is missing, damaged, no index, or for other vectors.
    """
    try:
        about = _about(path)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"there is no whole index in {str(path)!r}: {error}; it has to be built anew") from error
    if about[1:3] != (embedder, size) or about.kind not in kinds:
        raise ConfigError(
            f"the index in {str(path)!r} is of kind {about.kind} with vectors of {about.size} numbers by "
            f"{about.embedder}; expected {' or '.join(kinds)} with {size} by {embedder}; it has to be built anew"
        )
    return about


def _about(path: Path) -> About:
    with path.open("rb") as stream:
        whole = stream.seek(0, os.SEEK_END)
        if whole < _END.size:
            raise ValueError("it is too short")
        stream.seek(whole - _END.size)
        body, length, checksum, magic = _END.unpack(stream.read())
        if magic != _MAGIC:
            raise ValueError("its end is not that of an index, or of another version")
        if body + length + _END.size != whole:
            raise ValueError("its length is not what it says")
        stream.seek(0)
        if _checksum(stream.read, body + length) != checksum:
            raise ValueError("its checksum is wrong")
        stream.seek(body)
        return About(**json.loads(stream.read(length)))
