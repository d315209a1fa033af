"""What every model executor must do, as tests to inherit.

    class TestMine(ModelExecutorContract):
        def make(self, url, **options):
            return MyExecutor(url, **options)

Needs pytest with pytest-asyncio in auto mode. Each test runs a ``ScriptedServer``; an executor that speaks
another protocol overrides ``serve`` as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agentrt.errors import PromptTooLong, Refused, Unreachable
from agentrt.executors.base import ModelExecutor
from agentrt.testing.script import Reply, Script, break_off, call, empty, garbage, hang, refuse, say, say_json
from agentrt.testing.server import ScriptedServer
from agentrt.types import Message, ModelRequest, Sampling, ToolCall, ToolSpec

SEARCH = ToolSpec("search", "Look something up.", {"type": "object", "properties": {"query": {"type": "string"}}})
ANSWER = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def ask(text: str, **more: Any) -> ModelRequest:
    """A turn of one user message."""
    return ModelRequest((Message("user", text),), **more)


class ModelExecutorContract:
    """Inherit and say how the executor is made."""

    def make(self, url: str, **options: Any) -> ModelExecutor:
        """The executor under test, for the server at ``url``; ``options`` are ``api_key`` and ``limit``."""
        raise NotImplementedError

    def serve(self, script: Script | Sequence[Reply] | None = None, **options: Any) -> ScriptedServer:
        """The server it is tested against."""
        return ScriptedServer(script, **options)

    async def test_text(self) -> None:
        """The reply holds the server's text, why it ended, and the model's name."""
        async with self.serve([say("Tea is a drink.")]) as server:
            executor = self.make(server.url)
            reply = await executor.execute(ask("What is tea?"))
            await executor.close()
        assert reply.text == "Tea is a drink."
        assert (reply.finish, reply.model, reply.tool_calls) == ("stop", "scripted", ())

    async def test_pieces_join_to_the_text(self) -> None:
        """Every piece is handed over as it comes, in order, and together they are the text."""
        gate = asyncio.Event()
        async with self.serve([say("Tea ", "is ", gate, "a drink ü🍵.")]) as server:
            executor = self.make(server.url)
            pieces: list[str] = []
            first = asyncio.Event()

            def emit(piece: str) -> None:
                pieces.append(piece)
                if "".join(pieces) == "Tea is ":
                    first.set()

            turn = asyncio.create_task(executor.execute(ask("What is tea?"), emit))
            await first.wait()  # half the reply is here while the server holds back the rest
            gate.set()
            reply = await turn
            await executor.close()
        assert len(pieces) > 1
        assert "".join(pieces) == reply.text == "Tea is a drink ü🍵."

    async def test_half_a_character(self) -> None:
        """One alone is none, so that the text can be sent back."""
        async with self.serve([say("🍵 and half of \ud83d"), say("Well.")]) as server:
            executor = self.make(server.url)
            reply = await executor.execute(ask("What is tea?"))
            assert reply.text == "🍵 and half of \N{REPLACEMENT CHARACTER}"
            assert (await executor.execute(ask(reply.text))).text == "Well."
            await executor.close()

    async def test_usage(self) -> None:
        """Tokens are the server's count; the beginning a second prompt shares with the first is cached."""
        async with self.serve() as server:
            executor = self.make(server.url)
            first = await executor.execute(ask("one two three four"))
            second = await executor.execute(ask("one two three five"))
            await executor.close()
        assert (first.usage.cached, first.usage.completion) == (0, 4)
        assert first.usage.prompt == second.usage.prompt > 4
        assert second.usage.cached == 4  # the role's mark and three words

    async def test_tools(self) -> None:
        """A tool call comes back with its name and its arguments as JSON text, and is why the reply ended."""
        async with self.serve([call("search", query="green tea")]) as server:
            executor = self.make(server.url)
            reply = await executor.execute(ask("Find tea.", tools=(SEARCH,)))
            await executor.close()
        assert [(made.name, made.arguments) for made in reply.tool_calls] == [("search", '{"query": "green tea"}')]
        assert reply.finish == "tool_calls"
        assert reply.tool_calls[0].id
        assert server.requests[0].tools[0]["function"]["name"] == "search"

    async def test_the_whole_context_arrives(self) -> None:
        """System, user, assistant with calls and tool messages reach the server in order, each with its parts."""
        made = ToolCall("c1", "search", '{"query": "tea"}')
        messages = (
            Message("system", "Be brief."),
            Message("user", "Tea?"),
            Message("assistant", "", (made,)),
            Message("tool", "a drink", tool_call_id="c1"),
        )
        async with self.serve() as server:
            executor = self.make(server.url)
            await executor.execute(ModelRequest(messages, tools=(SEARCH,)))
            await executor.close()
        seen = server.requests[0].messages
        assert [message["role"] for message in seen] == ["system", "user", "assistant", "tool"]
        assert seen[2]["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"query": "tea"}'}
        assert seen[3]["tool_call_id"] == "c1"

    async def test_schema(self) -> None:
        """The schema reaches the server, and the reply is its JSON."""
        async with self.serve([say_json({"answer": 42})]) as server:
            executor = self.make(server.url)
            reply = await executor.execute(ask("6 x 7?", schema=ANSWER))
            await executor.close()
        assert reply.text == '{"answer": 42}'
        assert server.requests[0].schema == ANSWER

    async def test_the_token_limit_ends_a_reply(self) -> None:
        """A reply cut by ``max_tokens`` says so."""
        async with self.serve([say("one two three four")]) as server:
            executor = self.make(server.url)
            reply = await executor.execute(ask("Count.", sampling=Sampling(max_tokens=2)))
            await executor.close()
        assert (reply.text, reply.finish) == ("one two", "length")

    async def test_unreachable(self) -> None:
        """No server at the address is ``Unreachable``, and the message names the address."""
        async with self.serve() as server:
            pass
        executor = self.make(server.url)
        with pytest.raises(Unreachable, match=server.url):
            await executor.execute(ask("Anyone?"))
        await executor.close()

    @pytest.mark.parametrize("ending", [break_off("half a "), break_off(), garbage("half a "), empty()], ids=repr)
    async def test_broken_answers(self, ending: Reply) -> None:
        """An answer that breaks off, is no JSON, or holds nothing is ``Unreachable``, never half a reply."""
        async with self.serve([ending]) as server:
            executor = self.make(server.url)
            with pytest.raises(Unreachable, match="broke off"):
                await executor.execute(ask("Go on."))
            await executor.close()

    async def test_refused(self) -> None:
        """An error status is ``Refused`` with the status and the server's words; the next turn works."""
        async with self.serve([refuse(503, "the queue is full"), say("Now.")]) as server:
            executor = self.make(server.url)
            with pytest.raises(Refused, match="the queue is full") as refused:
                await executor.execute(ask("Now?"))
            assert refused.value.status == 503
            assert (await executor.execute(ask("Now?"))).text == "Now."
            await executor.close()

    async def test_the_key(self) -> None:
        """The right key opens; a wrong one is ``Refused`` with the way out, and no message shows the key."""
        async with self.serve([say("Come in.")], api_key="right-key") as server:
            wrong, right = self.make(server.url, api_key="wrong-key"), self.make(server.url, api_key="right-key")
            with pytest.raises(Refused, match="AGENTRT_API_KEY") as refused:
                await wrong.execute(ask("Open."))
            assert (await right.execute(ask("Open."))).text == "Come in."
            await wrong.close()
            await right.close()
        assert refused.value.status == 401
        assert "wrong-key" not in f"{refused.value} {wrong!r} {vars(refused.value)}"

    async def test_prompt_too_long(self) -> None:
        """A prompt beyond the context is ``PromptTooLong`` with both lengths."""
        async with self.serve(context=50) as server:
            executor = self.make(server.url)
            with pytest.raises(PromptTooLong, match=r"102 tokens.* 50\b"):
                await executor.execute(ask("word " * 100))
            await executor.close()

    async def test_cancelling_ends_the_request_at_the_server(self) -> None:
        """Cancelled in the middle of a reply, the server sees the client leave and nothing stays in flight."""
        async with self.serve([hang("half a ")]) as server:
            executor = self.make(server.url)
            begun = asyncio.Event()
            turn = asyncio.create_task(executor.execute(ask("Tell a long story."), lambda _: begun.set()))
            await begun.wait()
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            await server.until(lambda s: s.in_flight == 0)
            await executor.close()
        assert server.cancelled == server.requests

    async def test_closing_twice(self) -> None:
        """Closing is fine before any use, and again."""
        async with self.serve() as server:
            executor = self.make(server.url)
            await executor.close()
            await executor.close()

    async def test_many_at_once(self) -> None:
        """200 turns are all in flight at the same time, and each gets its own answer."""
        together = asyncio.Event()

        async def answer(asked: Any) -> Reply:
            await together.wait()
            return say(asked.last)

        async with self.serve(answer) as server:
            executor = self.make(server.url)
            turns = [asyncio.create_task(executor.execute(ask(f"number {n}"))) for n in range(200)]
            await server.until(lambda s: s.in_flight == 200)
            together.set()
            replies = await asyncio.gather(*turns)
            await executor.close()
        assert [reply.text for reply in replies] == [f"number {n}" for n in range(200)]
        assert server.peak == 200

    def test_the_limit(self) -> None:
        """The limit is told as it was given; none means any number."""
        assert self.make("http://127.0.0.1:9", limit=3).limit == 3
        assert self.make("http://127.0.0.1:9").limit is None
