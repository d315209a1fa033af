"""The chat protocol: what is sent, and how odd but honest answers are read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from agentrt.errors import ConfigError, ExecutorError, PromptTooLong, Refused, Unreachable
from agentrt.executors.chat import ChatAssembler, chat_body, schema_name
from agentrt.executors.http import base_url
from agentrt.executors.openai import OpenAIExecutor
from agentrt.testing.contract import SEARCH, ask
from agentrt.testing.script import Reply, say
from agentrt.testing.server import ScriptedServer
from agentrt.types import ModelReply, ModelRequest, Sampling


def fold(chunks: list[dict[str, Any]], request: ModelRequest | None = None) -> ModelReply:
    assembler = ChatAssembler(request or ask("x", tools=(SEARCH,)), "the server", lambda piece: None)
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.reply()


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "model": "m"}


def test_only_what_was_chosen_is_sent() -> None:
    """What is left open stays out of the body, and what is chosen is in it under the protocol's names."""
    plain = chat_body(ask("x"), "m")
    assert plain.keys() == {"model", "messages", "stream", "stream_options"}
    sampling = Sampling(max_tokens=5, temperature=0.0, top_p=0.5, seed=7, stop=("END",))
    full = chat_body(ask("x", sampling=sampling, tools=(SEARCH,), tool_choice="required"), "m")
    assert {key: full[key] for key in ("max_tokens", "temperature", "top_p", "seed", "stop", "tool_choice")} == {
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 7,
        "stop": ["END"],
        "tool_choice": "required",
    }


def test_schema_names_are_acceptable() -> None:
    """A title of any kind becomes a name that servers take."""
    assert schema_name("List[Päragraph]") == "List_P_ragraph_"
    assert schema_name(None) == "reply"
    assert len(schema_name("x" * 100)) == 64


def test_calls_side_by_side_are_kept_apart() -> None:
    """Pieces of two calls that come mixed are put together by their index; a missing id is made up, once each."""
    reply = fold(
        [
            chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "search", "arguments": '{"query"'}}]),
            chunk(tool_calls=[{"index": 1, "function": {"name": "search", "arguments": "{}"}}]),
            chunk(tool_calls=[{"index": 0, "function": {"name": None, "arguments": ': "tea"}'}}]),
            chunk("tool_calls"),
        ]
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("a", '{"query": "tea"}'), ("call_1_1", "{}")]


def test_calls_without_an_index() -> None:
    """A server that numbers nothing starts a new call with each name; ``stop`` counts as a call's end."""
    reply = fold(
        [
            chunk(tool_calls=[{"id": "a", "function": {"name": "search", "arguments": "{}"}}]),
            chunk(tool_calls=[{"id": "b", "function": {"name": "search", "arguments": '{"q'}}]),
            chunk("stop", tool_calls=[{"function": {"arguments": '": 1}'}}]),
        ]
    )
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("a", "{}"), ("b", '{"q": 1}')]
    assert reply.finish == "tool_calls"


def test_calls_in_the_text() -> None:
    """A call the server left in the text is a call, when tools were offered and may be used."""
    said = [chunk(content='<tool_call>{"name": "search", "arguments": {"query": "tea"}}</tool_call>'), chunk("stop")]
    reply = fold(said)
    assert (reply.text, reply.finish, reply.tool_calls[0].name) == ("", "tool_calls", "search")
    assert fold(said, ask("x")).tool_calls == ()
    assert fold(said, ask("x", tools=(SEARCH,), tool_choice="none")).tool_calls == ()


def test_halves_of_a_character_become_one() -> None:
    """In the text and in arguments, when a server streams them one by one."""
    tool = {"index": 0, "id": "c", "function": {"name": "search", "arguments": '{"query": "\ud83c'}}
    rest = {"index": 0, "function": {"arguments": '\udf75"}'}}
    reply = fold(
        [chunk(content="\ud83c"), chunk(content="\udf75"), chunk(tool_calls=[tool]), chunk("stop", tool_calls=[rest])]
    )
    assert (reply.text, reply.tool_calls[0].arguments) == ("🍵", '{"query": "🍵"}')


def test_errors_inside_a_stream() -> None:
    """An error sent after the stream began, or an ending that is none, is an error with the server's words."""
    with pytest.raises(PromptTooLong):
        fold([{"error": {"message": "The input (9 tokens) is longer than the model's context length (5 tokens)."}}])
    with pytest.raises(Refused, match="out of memory") as refused:
        fold([{"error": {"message": "out of memory", "code": 503}}])
    assert refused.value.status == 503
    with pytest.raises(ExecutorError, match="abort"):
        fold([chunk("abort", content="half")])


async def test_a_server_that_does_not_stream() -> None:
    """A whole completion in place of a stream is read all the same."""

    class Whole(ScriptedServer):
        def _read(self, request: Any) -> Any:
            body = {**json.loads(request.body), "stream": False}
            return super()._read(
                type(request)(request.method, request.path, request.headers, json.dumps(body).encode())
            )

    async with Whole([say("All at once.")]) as server:
        executor = OpenAIExecutor(server.url)
        reply = await executor.execute(ask("x"))
        await executor.close()
    assert (reply.text, reply.usage.completion) == ("All at once.", 3)


async def test_a_page_in_place_of_an_answer() -> None:
    """Something that is no model server gives a clear message with what it said."""

    class Page(ScriptedServer):
        async def _exchange(self, request: Any, link: Any) -> None:
            await link.send(b"<html>hello</html>", 200, "text/html")

    async with Page() as server:
        for executor in (OpenAIExecutor(server.url), OpenAIExecutor(server.url, model="m")):
            with pytest.raises(Unreachable, match="<html>hello</html>"):
                await executor.execute(ask("x"))
            await executor.close()


async def test_silence_ends() -> None:
    """A server that sends nothing for longer than the timeout is ``Unreachable``, with the time."""
    async with ScriptedServer([Reply(ending="hangs")]) as server:
        executor = OpenAIExecutor(server.url, timeout=0.1)
        with pytest.raises(Unreachable, match=r"0\.1 s"):
            await executor.execute(ask("x"))
        await executor.close()


async def test_the_model_is_asked_for_once() -> None:
    """Without a name the server's first model is used, and a name that is given is sent as it is."""
    async with ScriptedServer(model="org/some-model") as server:
        executor, named = OpenAIExecutor(server.url), OpenAIExecutor(server.url, model="other")
        for each in (executor, executor, named):
            await each.execute(ask("x"))
            await each.close()
    assert [asked.body["model"] for asked in server.requests] == ["org/some-model", "org/some-model", "other"]


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://host:1", "http://host:1"),
        ("https://host/v1/", "https://host"),
        (" http://host/api/v1", "http://host/api"),
    ],
)
def test_addresses(given: str, base: str) -> None:
    """An address may end in a slash or ``/v1``."""
    assert base_url(given) == base


@pytest.mark.parametrize("wrong", ["", "localhost:30000", "ftp://host", "http://", "http://host:port", "http://[::1"])
def test_what_is_no_address(wrong: str) -> None:
    """Anything else is refused at once, with the way to write it."""
    with pytest.raises(ConfigError, match="http://host:port"):
        OpenAIExecutor(wrong)


def test_no_turns_at_once() -> None:
    """A limit below one would never answer."""
    with pytest.raises(ConfigError, match="limit=0"):
        OpenAIExecutor("http://host", limit=0)


async def test_a_thousand_turns_at_once() -> None:
    """A thousand turns on one executor are answered, whatever the process may open in files."""
    command = [sys.executable, "-m", "agentrt.testing.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            executor = OpenAIExecutor(process.stdout.readline().strip())
            replies = await asyncio.gather(*(executor.execute(ask(f"turn {n}")) for n in range(1000)))
            await executor.close()
        finally:
            process.terminate()
    assert [reply.text for reply in replies] == [f"turn {n}" for n in range(1000)]
