"""Puts a scripted reply on the wire in the shapes of ``/v1/chat/completions`` and SGLang's ``/generate``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from agentrt.testing.script import Asked, Reply
from agentrt.testing.wire import Link
from agentrt.types import FinishReason, ToolCall, Usage


@dataclass(slots=True)
class Speech:
    """A reply while it is spoken: the pieces so far, and why it ended."""

    asked: Asked
    reply: Reply
    cached: int
    most: int | None
    finish: FinishReason = "stop"
    spoken: list[str] | None = None

    @property
    def words(self) -> list[str]:
        """The words generated so far; each is a token."""
        made = [str(call.name) + call.arguments for call in self.reply.tool_calls]
        return [word for text in (*(self.spoken or ()), *made) for word in text.split()]

    @property
    def usage(self) -> Usage:
        """Tokens of the prompt, and of the reply so far."""
        return Usage(len(self.asked.prompt), self.cached, len(self.words))

    async def pieces(self) -> AsyncIterator[str]:
        """The texts, each when its gate is open, as many as the request's token limit lets through."""
        self.spoken = []
        self.finish = self.reply.finish or ("tool_calls" if self.reply.tool_calls else "stop")
        left = self.most
        for piece in self.reply.pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            tokens = len(piece.split())
            if left is not None and tokens > left:
                self.finish = "length"
                return
            left = None if left is None else left - tokens
            self.spoken.append(piece)
            yield piece

    @property
    def text(self) -> str:
        """The reply's text so far."""
        return "".join(self.spoken or ())


async def finish_badly(link: Link, reply: Reply) -> bool:
    """The ending a script asked for, when it is not a good one. True when there is nothing more to send."""
    if reply.ending == "well":
        return False
    await link.begin_stream()
    if reply.ending == "garbage":
        await link.send_event("{this is no JSON")
    if reply.ending == "hangs":
        await asyncio.Event().wait()
    if reply.ending == "breaks off":
        await link.close()
    else:
        await link.end_stream()
    return True


async def stream_chat(link: Link, speech: Speech, model: str) -> None:
    """The chunks of a streamed chat completion."""

    async def send(delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await link.send_event(json.dumps(_chunk(model, [choice])))

    if speech.reply.ending != "empty":
        await send({"role": "assistant", "content": ""})
    async for piece in speech.pieces():
        await send({"content": piece})
    if await finish_badly(link, speech.reply):
        return
    for index, made in enumerate(speech.reply.tool_calls):
        for delta in _call_deltas(index, made):
            await send({"tool_calls": [delta]})
    await send({}, speech.finish)
    if (speech.asked.body.get("stream_options") or {}).get("include_usage"):
        await link.send_event(json.dumps({**_chunk(model, []), "usage": _usage(speech.usage)}))
    await link.send_event("[DONE]")
    await link.end_stream()


async def whole_chat(link: Link, speech: Speech, model: str) -> None:
    """A chat completion in one piece."""
    async for _ in speech.pieces():
        pass
    if await finish_badly(link, speech.reply):
        return
    message: dict[str, Any] = {"role": "assistant", "content": speech.text}
    if speech.reply.tool_calls:
        message["tool_calls"] = [_call(made) for made in speech.reply.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": speech.finish}
    answer = {**_chunk(model, [choice]), "object": "chat.completion", "usage": _usage(speech.usage)}
    await link.send_json(answer)


async def generate(link: Link, speech: Speech) -> None:
    """The answer of ``/generate``: text so far in each event when streamed, else one object.

    Tool calls are text here, in the tagged notation: this endpoint knows no others.
    """
    streamed = bool(speech.asked.body.get("stream"))
    said = ""
    async for piece in speech.pieces():
        said += piece
        if streamed:
            await link.send_event(json.dumps(_generated(said, speech, None)))
    if await finish_badly(link, speech.reply):
        return
    for made in speech.reply.tool_calls:
        said += f'<tool_call>\n{{"name": {json.dumps(made.name)}, "arguments": {made.arguments}}}\n</tool_call>'
    last = _generated(said, speech, "length" if speech.finish == "length" else "stop")
    if not streamed:
        await link.send_json(last)
        return
    await link.send_event(json.dumps(last))
    await link.send_event("[DONE]")
    await link.end_stream()


def _chunk(model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices}


def _call(made: ToolCall) -> dict[str, Any]:
    return {"id": made.id, "type": "function", "function": {"name": made.name, "arguments": made.arguments}}


def _call_deltas(index: int, made: ToolCall) -> list[dict[str, Any]]:
    """A call in two pieces, as servers stream it: who is called, then with what, cut in the middle."""
    half = len(made.arguments) // 2
    first = _call(ToolCall(made.id, made.name, made.arguments[:half]))
    return [{"index": index, **first}, {"index": index, "function": {"arguments": made.arguments[half:]}}]


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def _generated(text: str, speech: Speech, finish: str | None) -> dict[str, Any]:
    usage = speech.usage
    meta = {
        "id": "scripted",
        "finish_reason": None if finish is None else {"type": finish},
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "completion_tokens": usage.completion,
    }
    return {"text": text, "meta_info": meta}
