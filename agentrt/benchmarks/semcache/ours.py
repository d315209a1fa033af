"""Our side in a process of its own: the cache in front of a model that answers at once.

Its functions are called as those of a grader's worker are, one after another, with plain JSON.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentrt.benchmarks.semcache.feedback import feedback
from agentrt.benchmarks.semcache.questions import made
from agentrt.executors.base import Emit, ignore
from agentrt.executors.cached import CachedExecutor, SemanticCache
from agentrt.semcache import index
from agentrt.semcache.base import Answer, Embedder
from agentrt.semcache.category import Category, Kinds
from agentrt.semcache.embed import embedder
from agentrt.semcache.regions import Learned
from agentrt.semcache.request import exact_key, shelf_of
from agentrt.semcache.vectors import packed
from agentrt.store import Journal
from agentrt.store.answers import Answers
from agentrt.types import Message, ModelReply, ModelRequest

if TYPE_CHECKING:
    from agentrt.semcache.base import Vectors

T = TypeVar("T")

_AT_ONCE: Final = 1_000
_FOR_EVER: Final = 1e9
_SYSTEM: Final = Message("system", "You answer questions about everyday matters, briefly and without guessing.")
_REPLY: Final = ModelReply("An answer that was given before.", model="instant")


class Instant:
    """A model that answers at once, and notes when it was asked; 0: it was not."""

    name = "instant"
    limit: int | None = None

    def __init__(self) -> None:
        self.asked = 0.0

    async def prepare(self) -> None:
        """See ``ModelExecutor``."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """See ``ModelExecutor``."""
        self.asked = time.perf_counter()
        return replace(_REPLY, text=f"An answer to {request.messages[-1].content}")

    async def close(self) -> None:
        """See ``ModelExecutor``."""


class Prepared:
    """An embedder that has the vectors of some texts ready: what a look-up costs without embedding."""

    def __init__(self, inner: Embedder) -> None:
        self.inner = inner
        self.name, self.size, self.quick = inner.name, inner.size, inner.quick
        self.ready: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder``."""
        ready = self.ready.get(texts[0]) if self.ready and len(texts) == 1 else None
        return self.inner.embed(texts) if ready is None else ready


class Side:
    """A cache over the store in a folder, with room for so many answers."""

    def __init__(self, folder: str, room: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.embedder = Prepared(embedder("static"))
        self.journal = Journal(Path(folder, "answers.db"))
        self.store = Answers(self.journal)
        self.asking = False
        rules = Category(quota=room, ttl=_FOR_EVER, shadow=0.0)
        self.cache = SemanticCache(
            self.store,
            Kinds([rules]),
            Learned(self._learn),
            lambda: index.new(self.embedder.name, self.embedder.size),
            self.embedder,
            random=Random(1),  # noqa: S311 - no secret
        )
        self.model = Instant()
        self.front = CachedExecutor(self.model, self.cache)
        self.rules = rules

    def _learn(self, work: Callable[[], None]) -> None:
        """What was there is learned; learning anew is done beside what goes on, and left out while the clock runs."""
        if not self.asking:
            work()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of it."""
        return self.loop.run_until_complete(work)

    async def kept(self, texts: Sequence[str]) -> float:
        """Keep an answer to each of these; seconds that the store took."""
        ids = await self.store.reserve(len(texts))
        rows = self.embedder.embed(texts)
        some = [self._answer(number, text, packed(row)) for number, text, row in zip(ids, texts, rows, strict=True)]
        began = time.perf_counter()
        await self.store.put(some)
        return time.perf_counter() - began

    async def taught(self) -> None:
        """Keep made-up feedback, from which a judge learns when it opens."""
        shelf = shelf_of(request("A question"), self.model.name, self.rules.name, self.rules.scope)
        await self.store.judge(feedback(shelf, self.embedder))

    def _answer(self, number: int, text: str, vector: bytes) -> Answer:
        asked, rules = request(text), self.rules
        shelf = shelf_of(asked, self.model.name, rules.name, rules.scope)
        exact = exact_key(asked, shelf.fingerprint)
        return Answer(number, shelf, exact, text, _REPLY, time.time(), 0.5, vector=vector, embedder=self.embedder.name)

    async def ask(self, text: str) -> tuple[float, float, bool]:
        """Seconds until the model was asked or the answer came, seconds from then to the reply, and whether it hit.

        What is written beside that is waited for after the clock has stopped: a model would leave time for it.
        """
        asked = request(text)
        self.model.asked = 0.0
        began = time.perf_counter()
        reply = await self.front.execute(asked)
        ended = time.perf_counter()
        await self.cache.close()  # it stays open
        if reply.source is not None:
            return ended - began, 0.0, True
        return self.model.asked - began, ended - self.model.asked, False


def request(text: str) -> ModelRequest:
    """A turn that asks this."""
    return ModelRequest((_SYSTEM, Message("user", text)), agent="bench", tenant="bench")


_sides: dict[str, Side] = {}


def fill(folder: str, questions: list[str], room: int) -> dict[str, Any]:
    """Keep an answer to each of these in the store, then read them all; seconds, and MiB of the process."""
    Path(folder).mkdir(exist_ok=True)
    side = _sides["open"] = Side(folder, room)
    side.do(side.journal.__aenter__())
    side.do(side.taught())
    stored = sum(side.do(side.kept(questions[at : at + _AT_ONCE])) for at in range(0, len(questions), _AT_ONCE))
    began = time.perf_counter()
    side.do(side.front.prepare())
    read = time.perf_counter() - began
    assert len(side.cache.core) == len(questions), "there is room for all, and no two are equal"
    return {
        "seconds": stored + read,
        "stored": stored,
        "read": read,
        "mib": resident(),
        "python": platform.python_version(),
    }


def ask(questions: list[str], *, prepared: bool = False) -> list[tuple[float, float, bool]]:
    """See ``Side.ask``, for each; ``prepared``: with their vectors ready."""
    side = _sides["open"]
    if prepared:
        rows = side.embedder.inner.embed(questions)
        side.embedder.ready = {text: row[None] for text, row in zip(questions, rows, strict=True)}
    side.asking = True
    try:
        return side.do(_ask(side, questions))
    finally:
        side.embedder.ready = {}


async def _ask(side: Side, questions: Sequence[str]) -> list[tuple[float, float, bool]]:
    return [await side.ask(text) for text in questions]


def vector(text: str) -> list[float]:
    """A text's vector."""
    row: list[float] = _sides["open"].embedder.embed([text])[0].tolist()
    return row


def store(folder: str, count: int, seed: int) -> dict[str, Any]:
    """Keep so many answers in a store and no more; seconds of it, and bytes on the disk."""
    side = Side(folder, count)
    side.do(side.journal.__aenter__())
    side.do(side.taught())
    texts, seconds, left = (one.text for one in made(seed)), 0.0, count
    while left:
        some = list(islice(texts, min(left, _AT_ONCE)))
        seconds += side.do(side.kept(some))
        left -= len(some)
    side.do(side.journal.__aexit__(None, None, None))
    return {"seconds": seconds, "bytes": sum(file.stat().st_size for file in Path(folder).iterdir())}


def restart(folder: str, count: int, seed: int, more: int) -> dict[str, Any]:
    """Open what is kept there, and ask: seconds from nothing to the first answer, MiB, seconds of ``more`` new ones."""
    began = time.perf_counter()
    side = _sides["open"] = Side(folder, count + more)
    side.do(side.journal.__aenter__())
    side.do(side.front.prepare())
    questions = made(seed)
    first = next(questions).text
    _, _, hit = side.do(side.ask(first))
    side.asking = True
    found = {"seconds": time.perf_counter() - began, "hit": hit, "mib": resident(), "held": len(side.cache.core)}
    fresh = [one.text for one in islice(made(seed + 1), more)]
    began = time.perf_counter()
    side.do(_together(side, fresh))
    return found | {"more": time.perf_counter() - began, "mib_more": resident()}


async def _together(side: Side, questions: Sequence[str]) -> None:
    """Ask all of them through the front, some at once, until all are kept."""
    for at in range(0, len(questions), 64):
        await asyncio.gather(*(side.front.execute(request(text)) for text in questions[at : at + 64]))
    await side.cache.close()


def resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
