"""Sends a replay's turns to an SGLang server as token numbers, each with a reply of fixed length."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Any

from agentrt.benchmarks.replay.tokens import Ask, Told, drawn, fixed, prompt_of
from agentrt.executors import Emit, SGLangExecutor, ignore
from agentrt.executors.failures import broken
from agentrt.executors.generate import GenerateAssembler
from agentrt.executors.hinting import HintChannel, SGLangHints
from agentrt.types import Message, ModelReply, ModelRequest, Sampling, ToolSpec


class ReplayExecutor(SGLangExecutor):
    """Answers the turns of a replay, whose messages are those of ``tokens``.

    The reply's text is a ``Told``. A server that does not say which tokens it generated gets made-up ones back in the
    next prompt, which it has not cached.
    """

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; see ``ModelExecutor.execute``. ``emit`` is told only that the reply has begun."""
        tokens, ask = prompt_of(request.messages)
        model, settings = await self.model(), await self.settings()
        request = replace(request, sampling=Sampling(ask.say, 0.0))
        assembler = GenerateAssembler(request, self.name, ignore, model=model, incremental=settings.incremental)
        body = _body(request, tokens, ask.say, settings.priority_sign)
        generated: list[int] = []
        async with aclosing(self._server.stream("/generate", body)) as events:
            async for event in events:
                assembler.add(event)
                if not generated:
                    emit("")
                new = event.get("output_ids") or []
                generated = [*generated, *new] if settings.incremental else new
        if not assembler.finished:
            raise broken(self.name, self.url, "the stream ended before the reply was complete")
        reply = assembler.reply()
        return replace(reply, text=_told(reply, ask, generated).to_text())

    async def window(self) -> int:
        """The longest sequence that the server takes, as it says itself; 0 when it does not."""
        answer = await self._server.get("/v1/models")
        models = answer.get("data") if isinstance(answer, dict) else None
        first = models[0] if isinstance(models, list) and models else {}
        length = first.get("max_model_len") if isinstance(first, dict) else None
        return length if isinstance(length, int) and length > 0 else 0

    async def hints(self) -> HintChannel:
        """The way in for hints; fixed prompts are told by their token numbers."""
        if self._channel is None:
            self._channel = _Hints(self._server)
        return self._channel


class _Hints(SGLangHints):
    async def prefix(self, fixed_part: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        """See ``HintChannel``."""
        return tuple(fixed(fixed_part[0].content)) if fixed_part else ()


def _body(request: ModelRequest, tokens: list[int], say: int, sign: int) -> dict[str, Any]:
    sampling = {"temperature": 0.0, "max_new_tokens": say, "ignore_eos": True}
    body: dict[str, Any] = {"input_ids": tokens, "sampling_params": sampling, "stream": True}
    if request.session is not None:
        body["session_id"] = request.session
    if sign:
        body["priority"] = sign * request.priority
    if request.tenant:
        body["cache_salt"] = request.tenant
    return body


def _told(reply: ModelReply, ask: Ask, generated: list[int]) -> Told:
    made_up = drawn(f"{ask.tail} reply", ask.say)
    cached = reply.usage.cached
    again = max(0, min(ask.keep, ask.prompt - 1) - cached) if ask.own else 0
    return Told(tuple((generated + made_up[len(generated) :])[: ask.say]), reply.usage.prompt, cached, again)
