"""An index that looks at every vector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agentrt.semcache.base import AnswerId, Near
from agentrt.semcache.index.files import About, read, write
from agentrt.semcache.index.rows import nears, newest, unit, units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentrt.semcache.base import Vector, Vectors

_FEWEST: Final = 8


class Flat:
    """Exact, for some thousand vectors.

    They stand side by side as 32-bit floats: 16-bit ones take half the room but seven times the time. The product
    is ``vecdot``, row by row on the caller's thread: 15 µs for 1,000 vectors of 256 numbers. ``@`` starts BLAS's
    threads from 2,000 rows on, and on a busy machine then takes 20 ms instead of 0.03.
    """

    kind: Final = "flat"

    def __init__(self, embedder: str, size: int) -> None:
        self.embedder = embedder
        self.size = size
        self._ids = np.zeros(_FEWEST, np.uint64)
        self._rows = np.zeros((_FEWEST, size), np.float32)
        self._places: dict[AnswerId, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def ids(self) -> NDArray[np.uint64]:
        """Those that are there, the lowest first."""
        return np.sort(self._ids[: len(self)])

    def add(self, ids: Sequence[AnswerId], vectors: Vectors) -> None:
        """See ``Index``. A row of zeros is near nothing and not taken in; what its id had before is let go."""
        rows = units(vectors, len(ids), self.size)
        self.remove(ids)
        fresh, rows = newest(ids, rows)
        first = len(self)
        self._make_room(first + len(fresh))
        self._ids[first : first + len(fresh)] = fresh
        self._rows[first : first + len(fresh)] = rows
        self._places.update(zip(fresh, range(first, first + len(fresh)), strict=True))

    def remove(self, ids: Sequence[AnswerId]) -> None:
        """See ``Index``. The last vector takes the place of one that goes."""
        for one in ids:
            place = self._places.pop(one, None)
            if place is None:
                continue
            last = len(self)
            if place < last:
                moved = int(self._ids[last])
                self._ids[place], self._rows[place] = moved, self._rows[last]
                self._places[moved] = place
        if len(self._ids) > _FEWEST and len(self) * 4 < len(self._ids):
            self._resize(max(_FEWEST, len(self) * 2))

    def take(self, most: int) -> tuple[list[AnswerId], Vectors]:
        """Let go of so many and give them, with their vectors."""
        first = max(0, len(self) - most)
        ids, rows = self._ids[first : len(self)].tolist(), self._rows[first : len(self)].copy()
        self.remove(ids)
        return ids, rows

    def search(self, vector: Vector, most: int) -> list[Near]:
        """See ``Index``."""
        query, count = unit(vector, self.size), len(self)
        most = min(most, count)
        if query is None or most <= 0:
            return []
        cosines = np.vecdot(self._rows[:count], query)
        best = np.argpartition(cosines, count - most)[count - most :]
        return nears(self._ids[best].tolist(), cosines[best].tolist())

    def save(self, path: Path) -> None:
        """See ``Index``. Raises ``JournalError`` where it cannot be written."""
        count = len(self)
        body = self._ids[:count].astype("<u8").tobytes() + self._rows[:count].astype("<f4").tobytes()
        write(path, About(self.kind, self.embedder, self.size, count), lambda part: part.write_bytes(body))

    def load(self, path: Path) -> None:
        """Hold what ``save`` wrote in place of all else. Raises ``ConfigError`` where that cannot be used."""
        self.fill(path, read(path, self.embedder, self.size, kinds=[self.kind]).vectors)

    def fill(self, path: Path, count: int) -> None:
        """Hold the vectors of a file that was found whole."""
        with path.open("rb") as stream:
            ids = np.fromfile(stream, "<u8", count)
            rows = np.fromfile(stream, "<f4", count * self.size).reshape(count, self.size)
        self._ids, self._rows, self._places = self._ids[:0], self._rows[:0], {}
        self.add(ids.tolist(), rows)

    def _make_room(self, count: int) -> None:
        if count > len(self._ids):
            self._resize(max(count, 2 * len(self._ids)))

    def _resize(self, room: int) -> None:
        count = len(self)
        ids, rows = np.zeros(room, np.uint64), np.zeros((room, self.size), np.float32)
        ids[:count], rows[:count] = self._ids[:count], self._rows[:count]
        self._ids, self._rows = ids, rows
