"""What SGLang has beyond the protocol it shares with others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agentrt.errors import Refused, Unreachable
from agentrt.executors import SGLangExecutor
from agentrt.executors.generate import GenerateAssembler, calls_schema, generate_body
from agentrt.testing.contract import ANSWER, SEARCH, ask
from agentrt.testing.script import call
from agentrt.testing.server import ScriptedServer
from agentrt.types import Message, ModelRequest, Sampling, ToolSpec


class Told(ScriptedServer):
    """A server that was started in a certain way."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        super().__init__()
        self.info = info

    async def _other(self, request: Any, link: Any) -> None:
        if request.path == "/server_info":
            await link.send_json(self.info)
        else:
            await super()._other(request, link)


@pytest.mark.parametrize("endpoint", ["chat", "native"])
@pytest.mark.parametrize(
    ("info", "sent"),
    [
        ({"enable_priority_scheduling": True}, 3),
        ({"enable_priority_scheduling": True, "schedule_low_priority_values_first": True}, -3),
        ({"enable_priority_scheduling": False}, None),
        ({}, None),
    ],
    ids=["larger first", "smaller first", "off", "untold"],
)
async def test_priorities(endpoint: Any, info: Mapping[str, Any], sent: int | None) -> None:
    """A larger priority is sooner however the server counts, and is kept back where it would be refused."""
    async with Told(info) as server:
        executor = SGLangExecutor(server.url, endpoint=endpoint)
        await executor.execute(ask("x", priority=3, session="s1"))
        await executor.close()
    assert server.requests[0].body.get("priority") == sent
    assert server.requests[0].body["session_id"] == "s1"


async def test_native_prompts_are_those_of_chat() -> None:
    """Both endpoints give the model the same prompt, so that either finds what the other left in the cache."""
    messages = (Message("system", "Be brief."), Message("user", "Tea or coffee?"))
    async with ScriptedServer() as server:
        replies = []
        for endpoint in ("chat", "native"):
            executor = SGLangExecutor(server.url, endpoint=endpoint)
            replies.append(await executor.execute(ModelRequest(messages, tools=(SEARCH,))))
            await executor.close()
    assert server.requests[0].prompt == server.requests[1].prompt
    assert [asked.path for asked in server.requests] == ["/v1/chat/completions", "/generate"]
    assert replies[1].usage.cached == replies[1].usage.prompt - 1


async def test_native_calls() -> None:
    """A call written in the tagged notation is read from the text."""
    async with ScriptedServer([call("search", query="tea")]) as server:
        executor = SGLangExecutor(server.url, endpoint="native")
        reply = await executor.execute(ask("Find tea.", tools=(SEARCH,)))
        await executor.close()
    assert (reply.text, reply.finish) == ("", "tool_calls")
    assert (reply.tool_calls[0].name, json.loads(reply.tool_calls[0].arguments)) == ("search", {"query": "tea"})


async def test_required_calls_are_asked_for_by_schema() -> None:
    """Natively, ``required`` becomes a schema of calls, which the reply then is."""
    async with ScriptedServer() as server:  # echoes a value of whatever schema it is asked for
        executor = SGLangExecutor(server.url, endpoint="native")
        reply = await executor.execute(ask("Find tea.", tools=(SEARCH,), tool_choice="required"))
        await executor.close()
    assert {made.name for made in reply.tool_calls} == {"search"}
    assert reply.finish == "tool_calls"


def test_the_schema_of_calls() -> None:
    """Definitions that tools bring along stand at the top, where their references point."""
    item = {"type": "object", "properties": {"to": {"$ref": "#/$defs/Person"}}, "$defs": {"Person": {"type": "string"}}}
    schema = calls_schema([SEARCH, ToolSpec("send", "", item)])
    assert schema["$defs"] == {"Person": {"type": "string"}}
    search, send = schema["items"]["anyOf"]
    assert search["properties"]["name"] == {"const": "search"}
    assert send["properties"]["arguments"] == {"type": "object", "properties": {"to": {"$ref": "#/$defs/Person"}}}


def test_the_native_body() -> None:
    """Sampling goes out under SGLang's own names."""
    sampling = Sampling(max_tokens=5, temperature=0.5, top_p=0.9, seed=7, stop=("END",))
    params = generate_body(ask("x", sampling=sampling, schema=ANSWER), [1, 2])["sampling_params"]
    assert json.loads(params.pop("json_schema")) == ANSWER
    assert params == {
        "max_new_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "sampling_seed": 7,
        "stop": ["END"],
    }


@pytest.mark.parametrize("incremental", [True, False])
def test_both_ways_of_streaming(incremental: bool) -> None:
    """Events with all the text so far and events with new text only give the same pieces."""
    pieces: list[str] = []
    assembler = GenerateAssembler(ask("x"), "s", pieces.append, model="m", incremental=incremental)
    for text, so_far, finish in [("ha", "ha", None), ("ha", "haha", None), ("", "haha", {"type": "length"})]:
        meta = {"finish_reason": finish, "prompt_tokens": 9, "cached_tokens": 4, "completion_tokens": 2}
        assembler.add({"text": text if incremental else so_far, "meta_info": meta})
    reply = assembler.reply()
    assert pieces == ["ha", "ha"]
    assert (reply.text, reply.finish, reply.usage.cached, reply.model) == ("haha", "length", 4, "m")


def test_native_errors_inside_a_stream() -> None:
    """A generation that the engine ends is an error with its status and words."""
    assembler = GenerateAssembler(ask("x"), "s", lambda _: None, model="m", incremental=False)
    finish = {"type": "abort", "status_code": 503, "message": "the queue is full"}
    with pytest.raises(Refused, match="the queue is full") as refused:
        assembler.add({"text": "", "meta_info": {"finish_reason": finish}})
    assert refused.value.status == 503
    with pytest.raises(Refused, match="no room"):
        assembler.add({"error": {"message": "no room", "code": 500}})


async def test_a_server_that_dies_between_turns() -> None:
    """Once everything was asked for, a server that ends is ``Unreachable`` at the next turn."""
    async with ScriptedServer() as server:
        executor = SGLangExecutor(server.url, endpoint="native")
        await executor.execute(ask("x"))
        await server.stop()
        with pytest.raises(Unreachable, match=server.url):
            await executor.execute(ask("x"))
        await executor.close()
