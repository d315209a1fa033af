"""A runtime with a semantic cache, of its real parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrt import Agent, Runtime, program
from agentrt.errors import ConfigError
from agentrt.runtime.caching import Caching
from agentrt.semcache.category import Category
from agentrt.store.answers import Answers
from agentrt.store.journal import Journal
from agentrt.testing import ScriptedServer, say
from agentrt.types import CacheControl
from tests.executors.cached.stage import Model

helper = Agent("helper", system="You are brief.")

ASKED = [
    "How do I return a parcel?",
    "How do I return a parcel?",
    "Where is my parcel now?",
    "What is the capital of Peru?",
]


@program
async def desk(questions: list[str]) -> list[str]:
    """One after the other."""
    return [await helper(question) for question in questions]


async def test_answers_are_kept_in_the_journal_for_the_next_process(tmp_path: Path) -> None:
    """What one runtime was told, the next one gives from the journal's database; categories are found by examples."""
    post = Category("post", examples=("How do I send a parcel back?", "Where is my parcel?"))
    async with Runtime(Model(), journal=tmp_path / "runs.db", cache=Caching([post]), estimates=None) as runtime:
        told = (await runtime.run(desk, ASKED)).output
        assert runtime.cache is not None
        assert runtime.cache.counts == {"miss": 3, "exact": 1}
    later = Model()
    async with Runtime(later, journal=tmp_path / "runs.db", cache=Caching([post]), estimates=None) as runtime:
        assert (await runtime.run(desk, ASKED)).output == told
        assert later.asked == []
    async with Journal(tmp_path / "runs.db") as journal:
        kept = [answer async for page in Answers(journal).answers() for answer in page]
    assert [(answer.question, answer.shelf.category) for answer in kept] == [
        (ASKED[0], "post"), (ASKED[2], "post"), (ASKED[3], "default"),
    ]  # fmt: skip


async def test_without_a_journal_answers_last_as_long_as_the_runtime() -> None:
    """They are in memory."""
    model = Model()
    async with Runtime(model, cache=Caching(embedder=None), estimates=None) as runtime:
        await runtime.run(desk, ASKED)
        await runtime.run(desk, ASKED)
    assert len(model.asked) == 3


async def test_answers_are_those_of_the_servers_model() -> None:
    """Another model behind the same address is asked anew."""
    from agentrt.executors import connect
    from agentrt.semcache.memory import MemoryStore

    store = MemoryStore()
    for model, said in (("one", "a"), ("one", "a"), ("two", "b")):
        async with (
            ScriptedServer(lambda _, said=said: say(said), model=model) as server,
            Runtime(connect(server.url), cache=Caching(store=store), estimates=None) as runtime,
        ):
            assert (await runtime.run(desk, ["x"])).output == [said]


async def test_what_cannot_be_had_is_said_at_once() -> None:
    """An embedder that there is not, and a category that was not made."""
    with pytest.raises(ConfigError, match="there is no embedder 'statik'"):
        Runtime(Model(), cache=Caching(embedder="statik"))

    @program
    async def lost() -> str:
        return await helper.with_(cache=CacheControl(category="faq"))("x")

    async with Runtime(Model(), cache=Caching(), estimates=None) as runtime:
        assert "there is no cache category 'faq'" in str((await runtime.run(lost)).error)
