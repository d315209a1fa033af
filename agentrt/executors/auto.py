"""An address is enough: asks the server what it is, then speaks to it in its own way."""

from __future__ import annotations

import asyncio
import os
from typing import TypeAlias

from agentrt.errors import Refused, Unreachable
from agentrt.executors.base import Emit, ignore
from agentrt.executors.failures import KEY_VARIABLE
from agentrt.executors.hinting import HintChannel, hint_channel
from agentrt.executors.http import HttpServer
from agentrt.executors.openai import DEFAULT_TIMEOUT, OpenAIExecutor
from agentrt.executors.sglang import SGLangExecutor
from agentrt.types import ModelReply, ModelRequest

Found: TypeAlias = OpenAIExecutor | SGLangExecutor

_NAME = "the model server"


def connect(
    url: str,
    *,
    api_key: str | None = None,
    model: str | None = None,
    limit: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> ConnectedExecutor:
    """The executor for the model server at ``url``: SGLang, or anything that speaks OpenAI's chat completions.

    Nothing is sent yet. ``api_key`` falls back to the environment variable ``AGENTRT_API_KEY``. Raises
    ``ConfigError`` for an address that can be none.
    """
    return ConnectedExecutor(
        url, api_key=api_key or os.environ.get(KEY_VARIABLE), model=model, limit=limit, timeout=timeout
    )


class ConnectedExecutor:
    """Finds out at first use whether its server is SGLang, and answers through the executor that fits."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        limit: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._plain = OpenAIExecutor(url, model=model, api_key=api_key, limit=limit, name=_NAME, timeout=timeout)
        self._sglang = SGLangExecutor(url, model=model, api_key=api_key, limit=limit, name=_NAME, timeout=timeout)
        self._asked = HttpServer(url, name=_NAME, api_key=api_key, timeout=timeout)
        self._limit = limit
        self._found: Found | None = None
        self._probing = asyncio.Lock()

    @property
    def name(self) -> str:
        """What messages and limits call it."""
        return _NAME

    @property
    def limit(self) -> int | None:
        """How many turns are sent at once; ``None`` means any number."""
        return self._limit

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._plain.url!r})"

    async def probe(self) -> Found:
        """Ask the server what it is, once; raises what ``execute`` raises when it cannot be reached."""
        async with self._probing:
            if self._found is None:
                self._found = self._sglang if await self._is_sglang() else self._plain
        return self._found

    async def prepare(self) -> None:
        """Nothing to do: the server is somebody else's, and up or not."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; see ``ModelExecutor.execute``."""
        found = self._found or await self.probe()
        return await found.execute(request, emit)

    async def hints(self) -> HintChannel | None:
        """The way in for hints, if the server has one; see ``agentrt.executors.hinting``."""
        return await hint_channel(self._found or await self.probe())

    async def close(self) -> None:
        """Give back connections; twice is fine."""
        for part in (self._plain, self._sglang, self._asked):
            await part.close()

    async def _is_sglang(self) -> bool:
        """Only SGLang has ``/model_info``. A server that asks for a key asks for it here already."""
        try:
            info = await self._asked.get("/model_info")
        except Refused as error:
            if error.status in {401, 403} or error.status >= 500:
                raise
            return False
        except Unreachable as error:
            if isinstance(error.__cause__, ValueError):  # it answered, with a page rather than JSON
                return False
            raise
        return isinstance(info, dict) and "model_path" in info
