"""What is kept for all models of a process, and what becomes of a request."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

from agentrt.errors import AgentrtError
from agentrt.executors.base import Emit, ModelExecutor
from agentrt.executors.cached.keeper import Keeper
from agentrt.executors.flights import Flights
from agentrt.semcache.base import Answer, AnswerId, AnswerStore, Embedder, Feedback, Index, Shelf
from agentrt.semcache.cache import Cache, Candidate, Judge
from agentrt.semcache.category import DEFAULT, Category, Kinds
from agentrt.semcache.request import exact_key, objection, question, shelf_of
from agentrt.semcache.vectors import packed
from agentrt.types import FromCache, ModelReply, ModelRequest, Usage

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector

_LATE_S: Final = 1.0
"""Seconds after which an embedder is not waited for: the model is asked."""

_FIT: Final = 0.5
"""Cosine from which on a stored answer is compared with the model's, to learn from it."""

_PIECES: Final = re.compile(r"\S+\s*|\s+")
"""What is handed over at once when a reply is told again: a word."""

Compare: TypeAlias = Callable[[str, str, str], bool]
"""``compare(stored, given, question)``: whether a stored reply would have been right for a question to which the model
has given another."""


def equal(stored: str, given: str, question: str) -> bool:
    """Two replies that are the same but for blanks and letter case."""
    return " ".join(stored.split()).casefold() == " ".join(given.split()).casefold()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that may be cached: where its answer lies, and by which rules."""

    request: ModelRequest
    shelf: Shelf
    exact: str
    question: str
    vector: Vector | None
    rules: Category
    relaxed: str


class SemanticCache:
    """Answers in ``store``, of the ``kinds`` there are.

    Without an ``embedder`` only equal requests count. ``judge`` says which near answers may be trusted, and takes in
    feedback; ``compare`` makes feedback of two replies. ``index`` makes an index for a shelf. ``wall`` is the time of
    day in seconds, ``random`` draws what is answered by the model all the same. ``counts`` are of what became of
    requests: ``exact``, ``near``, ``shadow``, ``miss``, ``shared`` and ``passed``, which were none of its business.
    ``saved`` are the tokens of the replies that were given again.
    """

    def __init__(
        self,
        store: AnswerStore,
        kinds: Kinds,
        judge: Judge,
        index: Callable[[], Index],
        embedder: Embedder | None = None,
        *,
        compare: Compare = equal,
        wall: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self.core = Cache(kinds, judge, index)
        self.keeper = Keeper(store)
        self.embedder = embedder
        self.counts: Counter[str] = Counter()
        self.saved = Usage()
        self._judge = judge
        self._compare = compare
        self._wall = wall
        self._random = random or Random()  # noqa: S311 - no secret
        self._flights = Flights()
        self._opening = asyncio.Lock()
        self._open = False

    async def open(self) -> None:
        """Read what is kept. Raises ``JournalError``."""
        async with self._opening:
            if self._open:
                return
            async for page in self.keeper.store.answers():
                self.core.load([one for one in page if one.embedder in ("", self._embedder)])
            self._judge.learn(await self.keeper.store.feedback())
            self._open = True

    async def close(self) -> None:
        """Wait until everything is written."""
        await self.keeper.flushed()

    @property
    def _embedder(self) -> str:
        return "" if self.embedder is None else self.embedder.name

    # -- a request ---------------------------------------------------------------------------------------------------

    async def answer(
        self, inner: ModelExecutor, model: str, request: ModelRequest, emit: Emit, load: float
    ) -> ModelReply:
        """The reply to a request: one that is there, or ``inner``'s. ``load`` is how busy that is, 0 to 1."""
        asked = await self._understood(request, model, load)
        if asked is None:
            self.counts["passed"] += 1
            return await inner.execute(request, emit)
        now, why = self._wall(), "miss"
        near: Sequence[Candidate] = ()
        if request.cache.read:
            found = self.core.same(asked.shelf, asked.exact, asked.rules, now)
            if found is not None and (reply := await self._again(asked, found, None, emit, now)) is not None:
                return reply
        asked = await self._placed(asked)
        if request.cache.read and asked.vector is not None:
            near = self.core.near(asked.shelf, asked.question, asked.vector, asked.rules, now)
            best = self.core.trusted(asked.shelf, asked.question, near, asked.rules)
            if best is not None and self._random.random() < asked.rules.shadow:
                why = "shadow"
            elif best is not None and (reply := await self._again(asked, best.answer, best, emit, now)) is not None:
                return reply
        return await self._ask(inner, asked, near, emit, why)

    async def _understood(self, request: ModelRequest, model: str, load: float) -> _Asked | None:
        """What is asked, ``None`` if it is none of our business. Raises ``ConfigError`` for an unknown category."""
        kinds, text, named = self.core.kinds, question(request), request.cache.category
        may = not objection(request, sampled=True)
        vector = await self._vector(text) if may and text and kinds.finds and not named else None
        usual = kinds.named(named or DEFAULT) if vector is None else kinds.of(vector)
        if not may or objection(request, sampled=usual.sampled):
            return None
        rules, relaxed = usual.under(load)
        if request.cache.max_age is not None:
            rules = replace(rules, ttl=min(rules.ttl, max(1e-9, request.cache.max_age)))
        shelf = shelf_of(request, model, rules.name, rules.scope)
        return _Asked(request, shelf, exact_key(request, shelf.fingerprint), text, vector, rules, relaxed)

    async def _placed(self, asked: _Asked) -> _Asked:
        """With the question's vector, where one is needed and was not yet."""
        if asked.vector is not None or not asked.question or not asked.rules.near:
            return asked
        return replace(asked, vector=await self._vector(asked.question))

    async def _vector(self, text: str) -> Vector | None:
        """The text's vector; ``None`` when there is none to be had in time."""
        embedder = self.embedder
        if embedder is None:
            return None
        try:
            if embedder.quick:
                rows = embedder.embed([text])
            else:
                rows = await asyncio.wait_for(asyncio.to_thread(embedder.embed, [text]), _LATE_S)
        except (AgentrtError, TimeoutError) as error:
            self.keeper.trouble = str(error) or f"the embedder {embedder.name} took longer than {_LATE_S:g} s"
            return None
        vector: Vector = rows[0]
        return vector

    # -- an answer that is there -------------------------------------------------------------------------------------

    async def _again(
        self, asked: _Asked, found: AnswerId, near: Candidate | None, emit: Emit, now: float
    ) -> ModelReply | None:
        """Tell an answer again; ``None`` when it turns out to be gone."""
        reply = await self.keeper.reply(found)
        if reply is None or found not in self.core:
            self.core.drop([found])
            return None
        source = self._source(asked, found, near, now)
        self.counts["exact" if source.exact else "near"] += 1
        self.saved += reply.usage
        self.core.given(found)
        self.keeper.used(found, now)
        emit("")
        for piece in _PIECES.findall(reply.text):
            emit(piece)
        return replace(reply, usage=Usage(), source=source)

    def _source(self, asked: _Asked, found: AnswerId, near: Candidate | None, now: float) -> FromCache:
        rules, age = asked.rules, self.core.age(found, now)
        if near is None:
            return FromCache(found, rules.name, True, 1.0, 1.0, 0.0, 1.0, age, asked.question, asked.relaxed)
        return FromCache(
            found, rules.name, False, near.cosine, near.score, rules.max_error_rate, rules.confidence, age,
            near.question, asked.relaxed,
        )  # fmt: skip

    # -- an answer that is made --------------------------------------------------------------------------------------

    async def _ask(
        self, inner: ModelExecutor, asked: _Asked, near: Sequence[Candidate], emit: Emit, why: str
    ) -> ModelReply:
        """Ask the model, once for equal requests at the same time; keep what it says."""
        began = time.perf_counter()
        key = (asked.shelf, asked.exact) if asked.request.cache.read else object()
        reply, first = await self._flights.share(key, lambda hear: inner.execute(asked.request, hear), emit)
        self.counts[why if first else "shared"] += 1
        if first:
            if near and near[0].cosine >= _FIT:
                self.keeper.beside(self._learn(asked, near, reply))
            if asked.request.cache.write and reply.finish != "length":
                await self._keep(asked, reply, time.perf_counter() - began)
        return reply

    async def _keep(self, asked: _Asked, reply: ModelReply, seconds: float) -> None:
        number = await self.keeper.new_id()
        if number is None:
            return
        vector = b"" if asked.vector is None else packed(asked.vector)
        answer = Answer(
            number, asked.shelf, asked.exact, asked.question, reply, self._wall(), seconds, asked.request.cache.tags,
            vector=vector, embedder=self._embedder if vector else "",
        )  # fmt: skip
        self.keeper.put(answer, self.core.keep(answer))

    async def _learn(self, asked: _Asked, near: Sequence[Candidate], reply: ModelReply) -> None:
        """The model has answered what stored answers were near to: would the best of them have been right?"""
        best = self.core.best(asked.question, near)
        stored = await self.keeper.reply(best.answer)
        if stored is None:
            return
        right = self._compare(stored.text, reply.text, asked.question)
        told = Feedback(
            asked.shelf,
            best.answer,
            asked.question,
            best.question,
            best.cosine,
            best.score,
            right,
            "exact",
            self._wall(),
        )
        self._judge.learn([told])
        await self.keeper.store.judge([told])
