"""The scripted server itself: what tests rely on when they use it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import agentrt.testing
from agentrt.executors import OpenAIExecutor, SGLangExecutor
from agentrt.testing.contract import ANSWER, SEARCH, ask
from agentrt.testing.samples import sample
from agentrt.testing.script import calls, echo, say
from agentrt.testing.server import ScriptedServer
from agentrt.testing.tokens import PrefixCache, Vocabulary
from agentrt.types import Message, ModelRequest

words = st.lists(st.sampled_from("abc"), max_size=8)


@given(st.lists(words, max_size=6), words)
def test_the_prefix_cache_is_exact(earlier: list[list[str]], prompt: list[str]) -> None:
    """It finds the longest beginning shared with anything shown before, short of the whole prompt."""
    cache = PrefixCache()
    for each in earlier:
        cache.add(each)
    shared = [n for n in range(len(prompt)) if any(each[:n] == prompt[:n] for each in earlier)]
    assert cache.match(prompt) == max(shared, default=0)
    cache.clear()
    assert cache.match(prompt) == 0


@given(st.lists(st.text(min_size=1)))
def test_numbers_for_words_and_back(text: list[str]) -> None:
    """Every word has one number, and the number gives the word."""
    vocabulary = Vocabulary()
    assert list(vocabulary.decode(vocabulary.encode(text))) == text


class Address(BaseModel):
    city: str = Field(min_length=10)
    number: int = Field(gt=5, le=9)


class Person(BaseModel):
    name: str
    kind: str = Field(json_schema_extra={"enum": ["a", "b"]})
    home: Address | None
    friends: list[Person] = Field(min_length=1, max_length=3)
    pair: tuple[int, bool]


class Flat(BaseModel):
    scores: list[float]
    by_name: dict[str, int]
    home: Address


@pytest.mark.parametrize("schema", [Flat.model_json_schema(), ANSWER, {"type": "array", "items": {"const": 3}}])
def test_samples_fit(schema: dict[str, Any]) -> None:
    """The value made for a schema is valid by it."""
    jsonschema.validate(sample(schema), schema)


async def test_the_default_echoes() -> None:
    """Without a script a turn gets its last message back, a schema a value that fits, ``required`` a call."""
    async with ScriptedServer() as server:
        executor = OpenAIExecutor(server.url)
        assert (await executor.execute(ask("say this"))).text == "say this"
        assert json.loads((await executor.execute(ask("x", schema=ANSWER))).text) == {"answer": 1}
        required = await executor.execute(ask("x", tools=(SEARCH,), tool_choice="required"))
        assert [made.name for made in required.tool_calls] == ["search"]
        await executor.close()


async def test_a_list_of_replies_ends() -> None:
    """One request too many is an error that says so, not silence."""
    async with ScriptedServer([say("only one")]) as server:
        executor = OpenAIExecutor(server.url)
        await executor.execute(ask("x"))
        with pytest.raises(Exception, match="holds 1 replies"):
            await executor.execute(ask("x"))
        await executor.close()


async def test_replies_join_the_cache() -> None:
    """A reply is part of what the next turn of its session finds cached."""
    async with ScriptedServer() as server:
        executor = SGLangExecutor(server.url)
        asked = Message("user", "one two three")
        first = await executor.execute(ModelRequest((asked,)))
        answered = Message("assistant", first.text)
        second = await executor.execute(ModelRequest((asked, answered, Message("user", "more"))))
        server.forget()
        third = await executor.execute(ModelRequest((asked, answered, Message("user", "more"))))
        await executor.close()
    assert second.usage.cached == first.usage.prompt + first.usage.completion
    assert third.usage.cached == 0


async def test_arguments_that_are_no_json_are_sent_as_they_are() -> None:
    """A script can make a model that writes broken calls."""
    async with ScriptedServer([calls(("search", "{oops"))]) as server:
        executor = OpenAIExecutor(server.url)
        reply = await executor.execute(ask("x", tools=(SEARCH,)))
        await executor.close()
    assert reply.tool_calls[0].arguments == "{oops"


async def test_a_script_that_raises() -> None:
    """A mistake in a script does not hang the test: it comes back as the server's error."""

    def wrong(asked: Any) -> Any:
        raise ZeroDivisionError

    async with ScriptedServer(wrong) as server:
        executor = OpenAIExecutor(server.url, model="m")
        with pytest.raises(Exception, match="ZeroDivisionError"):
            await executor.execute(ask("x"))
        await executor.close()


async def test_stopping_with_clients_in_the_middle() -> None:
    """The server stops at once, whatever it was doing."""
    async with ScriptedServer(lambda asked: say("a", asyncio.Event())) as server:
        executor = OpenAIExecutor(server.url)
        turns = [asyncio.create_task(executor.execute(ask("x"))) for _ in range(5)]
        await server.until(lambda s: s.in_flight == 5)
        await server.stop()
        failed = await asyncio.gather(*turns, return_exceptions=True)
        await executor.close()
    assert {type(each).__name__ for each in failed} == {"Unreachable"}


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def test_in_a_thread() -> None:
    """Code without an event loop can use it too, and reads what was asked afterwards."""
    with ScriptedServer.in_thread(echo, model="tiny") as server:
        assert json.loads(get(f"{server.url}/v1/models"))["data"][0]["id"] == "tiny"
        body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
        with urllib.request.urlopen(f"{server.url}/v1/chat/completions", body) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"] == "hello"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{server.url}/no/such/path")
    assert server.requests[0].last == "hello"


def test_as_a_program() -> None:
    """It runs by itself, prints its address first, and ends on a signal without a word."""
    command = [sys.executable, "-W", "error", "-m", "agentrt.testing.server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert get(f"{url}/health") == b""
        process.send_signal(signal.SIGTERM)
        rest, complaints = process.communicate(timeout=30)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_the_public_names() -> None:
    """Every name that the testing package lists can be had from it."""
    assert all(getattr(agentrt.testing, name) for name in agentrt.testing.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = agentrt.testing.nothing_such
