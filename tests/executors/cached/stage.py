"""A cache on a stage: a model that says what it is told to, an embedder of letters, a judge that goes by the cosine."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from agentrt.executors.base import Emit, ignore
from agentrt.executors.cached import CachedExecutor, SemanticCache
from agentrt.semcache.base import AnswerId, AnswerStore, Feedback, Near, Shelf
from agentrt.semcache.category import Category, Kinds
from agentrt.semcache.memory import MemoryStore
from agentrt.types import Message, ModelReply, ModelRequest, Usage

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector, Vectors


class Letters:
    """Texts as the counts of their letters."""

    name, size, quick = "letters", 26, True

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32)
        return np.asarray(rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True)), np.float32)


LETTERS = Letters()


class Rows:
    """An exact index."""

    def __init__(self) -> None:
        self.rows: dict[AnswerId, Vector] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Sequence[AnswerId], vectors: Vectors) -> None:
        self.rows |= dict(zip(ids, vectors, strict=True))

    def remove(self, ids: Sequence[AnswerId]) -> None:
        for one in ids:
            self.rows.pop(one, None)

    def search(self, vector: Vector, most: int) -> list[Near]:
        found = [Near(one, float(row @ vector)) for one, row in self.rows.items()]
        return sorted(found, key=lambda near: -near.cosine)[:most]

    def save(self, path: Path) -> None:
        raise NotImplementedError


class ByCosine:
    """Trusts what is near enough, when it may trust anything; remembers what it was told."""

    def __init__(self, threshold: float | None = 0.95) -> None:
        self.least = threshold
        self.told: list[Feedback] = []

    def scores(self, question: str, near: Sequence[tuple[str, float]]) -> Sequence[float]:
        return [cosine for _, cosine in near]

    def threshold(self, rules: Category, shelf: Shelf) -> float | None:
        return self.least

    def learn(self, feedback: Sequence[Feedback]) -> None:
        self.told += feedback


class Model:
    """Says what it is told to, word by word; without words, what it was asked and how often."""

    name, limit = "model", None

    def __init__(self) -> None:
        self.asked: list[ModelRequest] = []
        self.says: deque[ModelReply] = deque()
        self.closed = False

    async def prepare(self) -> None:
        """It is ready."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        self.asked.append(request)
        said = f"{request.messages[-1].content} ({len(self.asked)})"
        reply = self.says.popleft() if self.says else ModelReply(said, usage=Usage(10, 0, 5), model="m")
        for word in reply.text.split(" "):
            emit(f"{word} ")
        return reply

    async def close(self) -> None:
        self.closed = True


class Stage:
    """All of it, at a time that stands."""

    def __init__(
        self,
        *categories: Category,
        store: AnswerStore | None = None,
        threshold: float | None = 0.95,
        embedder: Any = LETTERS,
        index: Any = Rows,
        **more: Any,
    ) -> None:
        self.now = 1_000_000.0
        self.model = Model()
        self.judge = ByCosine(threshold)
        self.store = MemoryStore() if store is None else store
        kinds = Kinds(categories, embedder)
        more = {"random": Random(1), **more}
        self.cache = SemanticCache(self.store, kinds, self.judge, index, embedder, wall=lambda: self.now, **more)
        self.executor = CachedExecutor(self.model, self.cache)

    async def ask(self, text: str, emit: Emit = ignore, **more: Any) -> ModelReply:
        """One question of a user, after a system prompt."""
        messages = (Message("system", "You are brief."), Message("user", text))
        return await self.executor.execute(ModelRequest(messages, **more), emit)
