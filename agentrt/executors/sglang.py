"""An SGLang server: chat completions with sessions and priorities, or its own ``/generate``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentrt.errors import Refused
from agentrt.executors.base import Emit, ignore
from agentrt.executors.chat import chat_body, chat_message, chat_tool
from agentrt.executors.failures import broken
from agentrt.executors.generate import GenerateAssembler, generate_body
from agentrt.executors.hinting import HintChannel, SGLangHints
from agentrt.executors.openai import DEFAULT_TIMEOUT, OpenAIExecutor
from agentrt.types import ModelReply, ModelRequest

Endpoint: TypeAlias = Literal["chat", "native"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How this server was started, as far as requests depend on it.

    ``priority_sign``: 1 where larger is sooner, -1 where smaller is sooner, 0 where priorities are not taken.
    """

    priority_sign: int = 0
    incremental: bool = False


class SGLangExecutor(OpenAIExecutor):
    """Answers model turns on SGLang.

    ``endpoint="chat"`` uses ``/v1/chat/completions``, where the server applies the chat template, parses
    tool calls (when started with ``--tool-call-parser``) and draws by the model's own defaults.
    ``endpoint="native"`` has the server turn the messages into tokens (``/v1/tokenize``) and continues
    those with ``/generate``: one request more each turn, tool calls read from the text, and SGLang's
    defaults for what ``Sampling`` leaves open.

    A request's ``session`` travels as ``session_id``; its ``priority`` travels when the server schedules by priority;
    its ``tenant`` as ``cache_salt``, which keeps tenants' cached prefixes apart. Cached tokens are told by the chat
    endpoint only when the server runs with ``--enable-cache-report``. ``extra`` are further fields for the body of
    every request, as ``{"ignore_eos": True}`` on chat and ``{"sampling_params": {"ignore_eos": True}}`` natively;
    they win over ours.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        limit: int | None = None,
        name: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        endpoint: Endpoint = "chat",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            url, model=model, api_key=api_key, limit=limit, name=name or "the SGLang engine", timeout=timeout
        )
        self._endpoint = endpoint
        self._extra = dict(extra or {})
        self._channel: SGLangHints | None = None
        self._settings: Settings | None = None
        self._learning = asyncio.Lock()

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; see ``ModelExecutor.execute``."""
        model, settings = await self.model(), await self.settings()
        if self._endpoint == "native":
            return await self._generate(request, emit, model, settings)
        body = chat_body(request, model) | _extensions(request, settings)
        if request.tools:
            body["tools"] = _tools(request)
        return await self._complete(request, _laid_over(body, self._extra), emit)

    async def hints(self) -> HintChannel:
        """The way in for what a workflow knows of this server's KV cache; see ``agentrt.executors.hinting``."""
        if self._channel is None:
            self._channel = SGLangHints(self._server)
        return self._channel

    async def close(self) -> None:
        """Give back connections; twice is fine."""
        if self._channel is not None:
            await self._channel.close()
        await super().close()

    async def settings(self) -> Settings:
        """What ``/server_info`` says, asked for once. A server that does not tell is taken to be plain."""
        async with self._learning:
            if self._settings is None:
                try:
                    self._settings = _read_settings(await self._server.get("/server_info"))
                except Refused:
                    self._settings = Settings()
        return self._settings

    async def _generate(self, request: ModelRequest, emit: Emit, model: str, settings: Settings) -> ModelReply:
        tokens = await self._tokenize(request, model)
        body = _laid_over(generate_body(request, tokens) | _extensions(request, settings), self._extra)
        assembler = GenerateAssembler(request, self.name, emit, model=model, incremental=settings.incremental)
        async with aclosing(self._server.stream("/generate", body)) as events:
            async for event in events:
                assembler.add(event)
        if not assembler.finished:
            raise broken(self.name, self.url, "the stream ended before the reply was complete")
        return assembler.reply()

    async def _tokenize(self, request: ModelRequest, model: str) -> list[int]:
        """The prompt's tokens: the server renders the conversation exactly as for a chat completion."""
        body: dict[str, Any] = {"model": model, "messages": [chat_message(m) for m in request.messages]}
        if request.tools:
            body["tools"] = _tools(request)
            body["tool_choice"] = request.tool_choice
        answer = await self._server.post("/v1/tokenize", body)
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list):
            raise broken(self.name, self.url, "/v1/tokenize gave no tokens")
        return tokens


def _laid_over(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body with further fields; objects are merged, anything else is replaced."""
    merged = dict(body)
    for name, value in extra.items():
        below = merged.get(name)
        merged[name] = {**below, **value} if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _tools(request: ModelRequest) -> list[dict[str, Any]]:
    """The tools in the wire's shape, each strict: the arguments of a call are held to the tool's schema."""
    tools = [chat_tool(tool) for tool in request.tools]
    for tool in tools:
        tool["function"]["strict"] = True
    return tools


def _extensions(request: ModelRequest, settings: Settings) -> dict[str, Any]:
    """What SGLang takes beyond the protocol it shares with others."""
    more: dict[str, Any] = {}
    if request.session is not None:
        more["session_id"] = request.session
    if settings.priority_sign:
        more["priority"] = settings.priority_sign * request.priority
    if request.tenant:
        more["cache_salt"] = request.tenant
    return more


def _read_settings(info: Any) -> Settings:
    if not isinstance(info, dict):
        return Settings()
    sign = -1 if info.get("schedule_low_priority_values_first") else 1
    return Settings(
        priority_sign=sign if info.get("enable_priority_scheduling") else 0,
        incremental=bool(info.get("incremental_streaming_output")),
    )
