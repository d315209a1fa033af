"""A model with a cache in front."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from agentrt.errors import ConfigError, JournalError, Refused
from agentrt.executors.cached import CachedExecutor
from agentrt.semcache.base import Answer, AnswerId
from agentrt.semcache.category import Category, Relax
from agentrt.semcache.memory import MemoryStore
from agentrt.types import CacheControl, Message, ModelReply, ModelRequest, Sampling, ToolSpec
from tests.executors.cached.stage import Letters, Stage

OTTERS = "how old do otters get"
OTTER = "how old does otters get"
ZEBRAS = "zzz bbb"
NEVER = Category(shadow=0.0)


async def test_the_same_request_is_asked_once() -> None:
    """The second time it comes from the cache, with where it came from, no tokens, and piece by piece."""
    stage = Stage()
    pieces: list[str] = []
    first, second = await stage.ask(OTTERS), await stage.ask(OTTERS, pieces.append)
    assert (first.text, first.source) == (f"{OTTERS} (1)", None)
    assert (second.text, len(stage.model.asked)) == (first.text, 1)
    assert "".join(pieces) == second.text
    assert len(pieces) > 3
    source = second.source
    assert source is not None
    assert (source.exact, source.cosine, source.bound, source.question) == (True, 1.0, 0.0, OTTERS)
    assert second.usage.prompt == 0
    assert stage.cache.saved == first.usage


async def test_a_near_question_gets_the_answer_where_the_promise_holds() -> None:
    """It says what was asked then, how near it is and what is promised; a distant question is asked."""
    stage = Stage(NEVER)
    first = await stage.ask(OTTERS)
    stage.now += 60
    near = await stage.ask(OTTER)
    assert near.text == first.text
    source = near.source
    assert source is not None
    assert (source.exact, source.question, source.age, source.category) == (False, OTTERS, 60, "default")
    assert (source.bound, source.confidence) == (0.02, 0.95)
    assert 0.95 <= source.cosine < 1
    assert (await stage.ask(ZEBRAS)).source is None
    assert stage.cache.counts == {"miss": 2, "near": 1}


async def test_without_a_promise_only_equal_requests_count() -> None:
    """As long as nothing is known of errors, and where none are allowed, and without an embedder."""
    for stage in (Stage(threshold=None), Stage(Category(max_error_rate=0.0)), Stage(embedder=None)):
        await stage.ask(OTTERS)
        assert (await stage.ask(OTTER)).source is None
        assert (await stage.ask(OTTERS)).source is not None


OTHER_WAYS: Sequence[Mapping[str, Any]] = (
    {"sampling": Sampling(max_tokens=3)},
    {"schema": {"type": "object"}},
    {"tenant": "acme"},
    {"cache": CacheControl(category="other")},
)


@pytest.mark.parametrize("other", OTHER_WAYS)
async def test_what_differs_in_anything_else_is_never_a_hit(other: Mapping[str, Any]) -> None:
    """Neither the same question nor a near one."""
    stage = Stage(NEVER, Category("other", shadow=0.0))
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTERS, **other)).source is None
    assert (await stage.ask(OTTER)).source is not None


async def test_another_model_has_other_answers() -> None:
    """Two models share a cache, and no answer."""
    stage = Stage(NEVER)
    other = CachedExecutor(stage.model, stage.cache, model="larger")
    await stage.ask(OTTERS)
    said = ModelRequest((Message("system", "You are brief."), Message("user", OTTERS)))
    assert (await other.execute(said)).source is None
    assert (await other.execute(said)).source is not None


@pytest.mark.parametrize(
    "turn",
    [
        {"tools": (ToolSpec("t", "", {}),)},
        {"sampling": Sampling(temperature=0.7)},
        {"cache": CacheControl(read=False, write=False)},
    ],
)
async def test_state_and_chance_pass_by(turn: Mapping[str, Any]) -> None:
    """The model is asked each time, and nothing is kept."""
    stage = Stage()
    assert [(await stage.ask(OTTERS, **turn)).source for _ in range(2)] == [None, None]
    assert (len(stage.cache.core), stage.cache.counts) == (0, {"passed": 2})


async def test_a_request_says_what_it_wants_of_the_cache() -> None:
    """no-cache asks the model and keeps the new answer; no-store keeps none; max-age takes none that is older."""
    stage = Stage(NEVER)
    await stage.ask(OTTERS)
    fresh = await stage.ask(OTTERS, cache=CacheControl(read=False))
    assert (fresh.text, fresh.source) == (f"{OTTERS} (2)", None)
    assert (await stage.ask(OTTERS)).text == fresh.text
    await stage.ask(ZEBRAS, cache=CacheControl(write=False))
    assert (await stage.ask(ZEBRAS)).source is None
    stage.now += 50
    assert (await stage.ask(OTTERS, cache=CacheControl(max_age=100))).source is not None
    assert (await stage.ask(OTTERS, cache=CacheControl(max_age=49))).source is None
    with pytest.raises(ConfigError, match="no cache category 'faq'"):
        await stage.ask(OTTERS, cache=CacheControl(category="faq"))


async def test_answers_grow_old() -> None:
    """After its category's time the model is asked again, and the new answer takes the old one's place."""
    stage = Stage(Category(ttl=100))
    await stage.ask(OTTERS)
    stage.now += 101
    assert (await stage.ask(OTTERS)).source is None
    assert (len(stage.cache.core), (await stage.ask(OTTERS)).text) == (1, f"{OTTERS} (2)")


async def test_a_busy_engine_is_spared_and_the_answer_says_why() -> None:
    """Of several at once, the later ones find it busy, and take an older answer than usual."""
    stage = Stage(Category(ttl=100, relax=Relax(above=0.1, max_error_rate=0.05, ttl=10)))
    stage.model.limit = 2  # type: ignore[assignment]
    await stage.ask(OTTERS)
    stage.now += 500
    held = asyncio.Event()
    execute = stage.model.execute

    async def slow(request: ModelRequest, *emit: Any) -> ModelReply:
        await held.wait()
        return await execute(request, *emit)

    stage.model.execute = slow  # type: ignore[method-assign]
    busy = [asyncio.create_task(stage.ask(text)) for text in (ZEBRAS, "qqq")]
    for _ in range(20):
        await asyncio.sleep(0)
    relaxed = await stage.ask(OTTERS)
    assert relaxed.source is not None
    assert "load 1.00: up to 5.0% wrong instead of 2.0%, 1000 s old" in relaxed.source.relaxed
    held.set()
    await asyncio.gather(*busy)
    assert (await stage.ask(OTTERS)).source is None, "it is no longer busy, and the answer too old"


async def test_equal_requests_at_the_same_time_are_asked_once() -> None:
    """All get the reply, and only one of them was asked."""
    stage = Stage()
    replies = await asyncio.gather(*(stage.ask(OTTERS) for _ in range(20)))
    assert {reply.text for reply in replies} == {f"{OTTERS} (1)"}
    assert stage.cache.counts == {"miss": 1, "shared": 19}


async def test_half_an_answer_is_not_kept() -> None:
    """One that was cut off by its length, or broken off by an error."""
    stage = Stage()
    stage.model.says.append(ModelReply("half an", finish="length"))
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTERS)).source is None

    async def fails(*_: Any) -> ModelReply:
        raise Refused("no", status=500)

    stage.model.execute = fails  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await stage.ask(ZEBRAS)
    assert len(stage.cache.core) == 1


async def test_misses_and_shadows_teach() -> None:
    """What was near, and was asked all the same, tells whether the stored answer would have been right."""
    stage = Stage(Category(shadow=0.999), random=Random(2))
    stage.model.says.extend(ModelReply(text) for text in ("Twenty years.", "twenty  YEARS.", "Ten."))
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTER)).source is None
    await stage.cache.close()
    assert (await stage.ask("how old do otter get")).source is None
    await stage.cache.close()
    assert [told.right for told in stage.judge.told] == [True, False]
    assert [told.stored for told in stage.judge.told] == [OTTERS, OTTERS] or len(stage.judge.told) == 2
    assert stage.cache.counts == {"miss": 1, "shadow": 2}
    await stage.executor.close()
    assert [told.right for told in await stage.store.feedback()] == [True, False]


async def test_what_was_signed_answers_others_and_what_was_refused_nobody() -> None:
    """A category may want a person to vouch for what it gives to other questions."""
    stage = Stage(Category(signed=True, shadow=0.0))
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTER)).source is None
    (first, _) = sorted(stage.cache.core._held)
    stage.cache.core.stand(first, "signed")
    assert (await stage.ask("how old do otters gett")).source is not None
    stage.cache.core.stand(first, "refused")
    assert (await stage.ask(OTTERS)).source is None


async def test_a_full_category_lets_the_right_ones_go() -> None:
    """By when they were given last, how often, or their age; another category loses nothing."""
    stays = {}
    for eviction in ("least recent", "least used", "oldest"):
        stage = Stage(Category(quota=2, eviction=eviction), Category("other"), embedder=None)  # type: ignore[arg-type]
        await stage.ask("x", cache=CacheControl(category="other"))
        for text in ("a", "b", "a", "c"):
            await stage.ask(text)
        assert len(stage.cache.core) == 3
        stays[eviction] = (await stage.ask("a")).source is not None
        await stage.executor.close()
        assert [len(page) async for page in stage.store.answers()] == [3]
    assert stays == {"least recent": True, "least used": True, "oldest": False}


async def test_it_goes_on_where_another_process_stopped() -> None:
    """Answers and feedback are read again; those of another embedder are of no use."""
    store = MemoryStore()
    before = Stage(NEVER, store=store)
    await before.ask(OTTERS)
    await before.ask(ZEBRAS)
    await before.executor.close()
    assert before.model.closed
    after = Stage(NEVER, store=store)
    await after.executor.prepare()
    assert (await after.ask(OTTERS)).source is not None
    assert (await after.ask(OTTER)).source is not None

    class Others(Letters):
        name = "others"

    other = Stage(NEVER, store=store, embedder=Others())
    assert (await other.ask(OTTER)).source is None


class Broken(MemoryStore):
    """A store that has had enough, from some moment on."""

    broken = False

    def _check(self) -> None:
        if self.broken:
            raise JournalError("the journal cannot be used")

    async def reserve(self, count: int) -> range:
        self._check()
        return await super().reserve(count)

    async def put(self, answers: Sequence[Answer]) -> None:
        self._check()
        await super().put(answers)

    async def reply(self, answer: AnswerId) -> ModelReply | None:
        self._check()
        return await super().reply(answer)


async def test_a_store_that_fails_costs_no_answer() -> None:
    """The model is asked; what the store said is told."""
    store = Broken()
    stage = Stage(store=store)
    await stage.ask(OTTERS)
    await stage.executor.close()
    later = Stage(store=store)
    await later.executor.prepare()
    store.broken = True
    assert (await later.ask(OTTERS)).source is None
    assert (await later.ask(ZEBRAS)).text == f"{ZEBRAS} (2)"
    assert "cannot be used" in later.cache.keeper.trouble


async def test_an_embedder_that_fails_costs_no_answer() -> None:
    """Equal requests are still found."""

    class Away(Letters):
        quick = False

        def embed(self, texts: Sequence[str]) -> Any:
            raise Refused("no", status=500)

    stage = Stage(NEVER, embedder=Away())
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTERS)).source is not None
    assert stage.cache.keeper.trouble == "no"


async def test_a_slow_embedder_does_not_hold_up_the_loop() -> None:
    """It works beside it."""

    class Slow(Letters):
        quick = False

    stage = Stage(NEVER, embedder=Slow())
    await stage.ask(OTTERS)
    assert (await stage.ask(OTTER)).source is not None


async def test_tool_calls_are_given_again_whole() -> None:
    """Where state is allowed, a reply that calls tools is kept like any other."""
    from agentrt.types import ToolCall

    stage = Stage()
    stage.model.says.append(ModelReply("", (ToolCall("1", "t", "{}"),), "tool_calls"))
    turn = {"tools": (ToolSpec("t", "", {}),), "cache": CacheControl(state=True)}
    first, second = await stage.ask(OTTERS, **turn), await stage.ask(OTTERS, **turn)
    assert second.source is not None
    assert replace(second, source=None) == first
