"""Programs whose model has answers in front of it."""

from __future__ import annotations

from typing import Any

from agentrt import Agent, Runtime, each, program
from agentrt.executors import OpenAIExecutor
from agentrt.executors.cached import CachedExecutor
from agentrt.semcache.category import Category
from agentrt.testing.contract import ModelExecutorContract
from agentrt.testing.server import ScriptedServer
from agentrt.types import CacheControl
from tests.executors.cached.stage import Stage

helper = Agent("helper", system="You are brief.")
filed = helper.with_(cache=CacheControl(category="faq", tags=("policy",)))


@program
async def desk(questions: list[str]) -> list[str]:
    """One after the other."""
    return [await filed(question) for question in questions]


@program
async def crowd(questions: list[str]) -> set[str]:
    """All at once."""
    return {answer async for answer in each(filed, questions)}


async def test_a_program_that_asks_the_same_again_asks_the_model_once() -> None:
    """Its steps get the answer and spend no tokens; the category and the tags are the agent's."""
    stage = Stage(Category("faq", shadow=0.0))
    async with Runtime(stage.executor, estimates=None) as runtime:
        result = await runtime.run(desk, ["how old do otters get"] * 5 + ["zzz"])
    assert result.output == ["how old do otters get (1)"] * 5 + ["zzz (2)"]
    assert (len(stage.model.asked), result.usage.prompt) == (2, 20)
    assert stage.cache.counts == {"miss": 2, "exact": 4}
    held = list(stage.cache.core._held.values())
    assert {(one.shelf.category, one.tags) for one in held} == {("faq", ("policy",))}


async def test_a_crowd_that_asks_the_same_is_one_request() -> None:
    """Whoever asks while it is on its way waits for it."""
    stage = Stage(Category("faq"))
    async with Runtime(stage.executor, estimates=None) as runtime:
        result = await runtime.run(crowd, ["how old do otters get"] * 20)
    assert result.output == {"how old do otters get (1)"}
    assert len(stage.model.asked) == 1


async def test_an_agent_that_wants_no_cache_asks() -> None:
    """One call may differ from the agent's others."""
    stage = Stage(Category("faq"))

    @program
    async def twice() -> list[str]:
        return [await helper("a"), await helper.with_(cache=CacheControl(read=False))("a"), await helper("a")]

    async with Runtime(stage.executor, estimates=None) as runtime:
        result = await runtime.run(twice)
    assert result.output == ["a (1)", "a (2)", "a (2)"]


class TestCached(ModelExecutorContract):
    """It is a model executor like any other."""

    def make(self, url: str, **options: Any) -> CachedExecutor:
        return CachedExecutor(OpenAIExecutor(url, **options), Stage().cache)

    def serve(self, script: Any = None, **options: Any) -> ScriptedServer:
        return ScriptedServer(script, kind="openai", **options)
