"""The ways in which servers are told hints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agentrt.errors import Refused, Unreachable
from agentrt.executors import OpenAIExecutor, SGLangExecutor, connect
from agentrt.executors.hinting import HintChannel, hint_channel, kv_teller
from agentrt.kvcache.hints import Capability, Hint, Subject
from agentrt.testing import ScriptedServer
from agentrt.types import Message, ToolSpec

ABLE = Capability(protocol=1, version="test", pool=1000, host=2000, budget=0.5, prefetch=True, salt=True)


def hint(number: int) -> Hint:
    return Hint(subject=Subject("session", f"run/a~{number}"), generation=number, steps=number, remaining=0.5)


@asynccontextmanager
async def channel_to(url: str, **options: Any) -> AsyncIterator[HintChannel]:
    """The way in to a server, closed in the end."""
    executor = SGLangExecutor(url, **options)
    try:
        yield await executor.hints()
    finally:
        await executor.close()


async def test_what_is_told_arrives_as_it_was():
    """The server reads the very hints that were sent, in order, and its capability is read back whole."""
    async with ScriptedServer(takes=ABLE) as server, channel_to(server.url) as channel:
        assert await channel.capability() == ABLE
        await channel.send([hint(1), hint(2)])
        await channel.send([hint(3)])
        assert server.hints == [hint(1), hint(2), hint(3)]


async def test_a_server_that_was_restarted_is_told_again():
    """An engine that was started anew is noticed, so that it can be told everything; one that only hung up is not."""
    first = ScriptedServer(takes=ABLE)
    async with first, channel_to(first.url) as channel:
        await channel.send([hint(1)])
        await first.stop()
        async with ScriptedServer(takes=ABLE, port=int(first.url.rsplit(":", 1)[1])) as same:
            await channel.send([hint(2)])
            assert same.hints == [hint(2)]
        async with ScriptedServer(takes=replace(ABLE, boot="2"), port=int(first.url.rsplit(":", 1)[1])) as again:
            with pytest.raises(Unreachable, match="anew"):
                await channel.send([hint(3)])
            await channel.send([hint(4)])
            assert again.hints[-1] == hint(4)


async def test_a_refusal_is_an_error_with_the_servers_words():
    """A server that refuses hints is told of by its status; the next batch asks for its capability anew."""
    async with ScriptedServer(takes=ABLE) as server, channel_to(server.url) as channel:
        server.deaf = 501
        with pytest.raises(Refused, match="not now") as refused:
            await channel.send([hint(1)])
        assert refused.value.status == 501
        server.deaf = None
        await channel.send([hint(2)])
        assert server.hints == [hint(2)]


async def test_a_server_that_is_gone_is_unreachable():
    """Sending to nobody raises what a turn would raise."""
    server = ScriptedServer(takes=ABLE)
    async with server, channel_to(server.url) as channel:
        await channel.capability()
        await server.stop()
        with pytest.raises(Unreachable):
            await channel.send([hint(1)])


async def test_the_key_travels_with_hints():
    """A server with a key takes hints from who has it; who has not finds none that takes any."""
    async with ScriptedServer(takes=ABLE, api_key="secret") as server:
        async with channel_to(server.url, api_key="secret") as channel:
            await channel.send([hint(1)])
        async with channel_to(server.url, api_key="guess") as stranger:
            assert await stranger.capability() == Capability()
            await stranger.send([hint(2)])
        assert server.hints == [hint(1)]


async def test_stock_sglang_has_no_protocol():
    """A server without the plugin says so by its missing route, and is sent nothing."""
    async with ScriptedServer() as server, channel_to(server.url) as channel:
        known = await channel.capability()
        assert (known.protocol, known.priority, known.salt) == (0, True, True)
        await channel.send([hint(1)])
        assert not server.hints


async def test_wrappers_hand_on_the_channel():
    """``connect`` finds the channel of what it found; a server of another kind has none."""
    async with ScriptedServer(takes=ABLE) as server, ScriptedServer(kind="openai") as other:
        found, plain = connect(server.url), connect(other.url)
        channel = await hint_channel(found)
        assert channel is not None
        assert (await channel.capability()).protocol == 1
        assert await hint_channel(plain) is None
        assert await hint_channel(OpenAIExecutor(other.url)) is None
        await found.close()
        await plain.close()


async def test_a_fixed_prompt_is_what_conversations_have_in_common():
    """The prefix covers tools and system prompt and nothing of what a user says."""
    tool = ToolSpec("search", "Look something up.", {"type": "object", "properties": {}})
    async with ScriptedServer(takes=ABLE) as server, channel_to(server.url) as channel:
        bare = await channel.prefix((Message("system", "You find rare things."),), ())
        tooled = await channel.prefix((Message("system", "You find rare things."),), (tool,))
        assert 4 <= len(bare) < len(tooled)


async def test_a_server_with_our_plugin_tells_of_its_cache():
    """Each scheduler's state comes back as it was said, and the server is asked for these programs alone."""
    asked: list[list[str]] = []

    def tells(programs: list[str]) -> dict[str, Any]:
        asked.append(programs)
        return {"pool": 1000, "subjects": []}

    async with ScriptedServer(takes=ABLE, tells=tells) as server, channel_to(server.url) as channel:
        teller = kv_teller(channel)
        assert teller is not None
        assert await teller.state(["run-1", "run 2&x"], "salt") == [{"pool": 1000, "subjects": []}]
        assert asked == [["run-1", "run 2&x"]]


async def test_a_server_without_our_plugin_tells_nothing():
    """Stock SGLang is not asked for what it does not know; one of ours that is too old refuses."""
    async with ScriptedServer() as stock, channel_to(stock.url) as channel:
        teller = kv_teller(channel)
        assert teller is not None
        assert await teller.state(["run-1"], "") == []
    async with ScriptedServer(takes=ABLE) as old, channel_to(old.url) as channel:
        teller = kv_teller(channel)
        assert teller is not None
        with pytest.raises(Refused):
            await teller.state(["run-1"], "")
