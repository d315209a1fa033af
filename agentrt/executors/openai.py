"""Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, hosted models, SGLang too."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from agentrt.errors import ConfigError
from agentrt.executors.base import Emit, ignore
from agentrt.executors.chat import ChatAssembler, chat_body
from agentrt.executors.failures import broken
from agentrt.executors.http import HttpServer
from agentrt.types import ModelReply, ModelRequest

DEFAULT_TIMEOUT = 600.0
"""Seconds of silence before an answer counts as broken: long, because a busy engine lets a request wait its turn."""


class OpenAIExecutor:
    """Answers model turns by ``POST {url}/v1/chat/completions``, always streamed.

    ``model`` is asked of the server when not given (the first of ``GET /v1/models``). ``limit`` is how many
    turns are sent at once (``None``: any number). ``timeout`` is the longest silence in seconds. Reasoning
    that a server sends apart from the answer is not part of the reply's text.
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
    ) -> None:
        if limit is not None and limit < 1:
            raise ConfigError(f"limit={limit}: at least one turn must be allowed at once, or None for any number")
        self._name = name or "the model server"
        self._server = HttpServer(url, name=self._name, api_key=api_key, timeout=timeout)
        self._limit = limit
        self._model = model
        self._asking = asyncio.Lock()

    @property
    def name(self) -> str:
        """What messages and limits call it."""
        return self._name

    @property
    def limit(self) -> int | None:
        """How many turns are sent at once; ``None`` means any number."""
        return self._limit

    @property
    def url(self) -> str:
        """The server's address, without ``/v1``."""
        return self._server.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r}, model={self._model!r})"

    async def prepare(self) -> None:
        """Nothing to do: the server is somebody else's, and up or not."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; see ``ModelExecutor.execute``."""
        body = chat_body(request, await self.model())
        return await self._complete(request, body, emit)

    async def model(self) -> str:
        """The model's name at the server, asked for once."""
        async with self._asking:
            if self._model is None:
                self._model = self._first_model(await self._server.get("/v1/models"))
        return self._model

    async def close(self) -> None:
        """Give back connections; twice is fine."""
        await self._server.close()

    async def _complete(self, request: ModelRequest, body: dict[str, object], emit: Emit) -> ModelReply:
        assembler = ChatAssembler(request, self._name, emit)
        async with aclosing(self._server.stream("/v1/chat/completions", body)) as chunks:
            async for chunk in chunks:
                assembler.add(chunk)
        if not assembler.finished:
            raise broken(self._name, self.url, "the stream ended before the reply was complete")
        return assembler.reply()

    def _first_model(self, answer: object) -> str:
        models = answer.get("data") if isinstance(answer, dict) else None
        first = models[0] if isinstance(models, list) and models else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            raise ConfigError(f"{self._name} at {self.url} lists no model; name one with model=...")
        return str(first["id"])
