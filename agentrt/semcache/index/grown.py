"""An index that looks at every vector while there are few, and becomes a graph when there are many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agentrt.semcache.base import AnswerId, Near
from agentrt.semcache.index.files import read
from agentrt.semcache.index.flat import Flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentrt.semcache.base import Vector, Vectors
    from agentrt.semcache.index.hnsw import Hnsw

_MANY: Final = 4_000
"""Where both take as long for a search (70 µs), the graph with some wrong answers."""
_MOVED: Final = 4
"""Vectors that go over with each new one: nobody waits for all of them."""


class Grown:
    """What a shelf is given: small ones cost little, large ones are quick.

    From ``many`` vectors on new ones go into the graph, and each takes some of the old with it; until all are there
    both are searched. Far below that the graph is given up again.
    """

    def __init__(self, embedder: str, size: int, *, many: int = _MANY, threads: int = 1) -> None:
        self.embedder = embedder
        self.size = size
        self._many = many
        self._threads = threads
        self._flat = Flat(embedder, size)
        self._graph: Hnsw | None = None

    def __len__(self) -> int:
        return len(self._flat) + (0 if self._graph is None else len(self._graph))

    def ids(self) -> NDArray[np.uint64]:
        """Those that are there, the lowest first."""
        return (
            self._flat.ids() if self._graph is None else np.sort(np.concatenate([self._flat.ids(), self._graph.ids()]))
        )

    def add(self, ids: Sequence[AnswerId], vectors: Vectors) -> None:
        """See ``Index``. A row of zeros is near nothing and not taken in; what its id had before is let go."""
        if self._graph is None and len(self._flat) + len(ids) <= self._many:
            self._flat.add(ids, vectors)
            return
        if self._graph is None:
            self._graph = self._new_graph()
        graph = self._graph
        graph.add(ids, vectors)
        self._flat.remove(ids)
        graph.add(*self._flat.take(_MOVED * len(ids)))

    def _new_graph(self) -> Hnsw:
        from agentrt.semcache.index.hnsw import Hnsw

        return Hnsw(self.embedder, self.size, threads=self._threads)

    def remove(self, ids: Sequence[AnswerId]) -> None:
        """See ``Index``."""
        self._flat.remove(ids)
        if self._graph is not None:
            self._graph.remove(ids)
            if len(self) * 4 < self._many:
                self._flat.add(*self._graph.take(len(self._graph)))
                self._graph = None

    def search(self, vector: Vector, most: int) -> list[Near]:
        """See ``Index``."""
        near = self._flat.search(vector, most)
        if self._graph is None:
            return near
        near += self._graph.search(vector, most)
        return sorted(near, key=lambda one: (-one.cosine, one.answer))[: max(0, most)]

    def save(self, path: Path) -> None:
        """See ``Index``. Raises ``JournalError`` where it cannot be written."""
        if self._graph is None:
            self._flat.save(path)
            return
        self._graph.add(*self._flat.take(len(self._flat)))
        self._graph.save(path)

    def load(self, path: Path) -> None:
        """Hold what ``save`` wrote in place of all else. Raises ``ConfigError`` where that cannot be used."""
        about = read(path, self.embedder, self.size, kinds=[Flat.kind, "hnsw"])
        flat, graph = Flat(self.embedder, self.size), None
        if about.kind == Flat.kind:
            flat.fill(path, about.vectors)
        else:
            graph = self._new_graph()
            graph.fill(path, about.vectors)
        self._flat, self._graph = flat, graph
