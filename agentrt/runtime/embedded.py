"""The model executor of a runtime that was given none: an engine found or started when the first agent is asked."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agentrt.errors import Unreachable
from agentrt.executors.base import Emit, ModelExecutor, ignore
from agentrt.executors.hinting import HintChannel, hint_channel
from agentrt.types import ModelReply, ModelRequest

if TYPE_CHECKING:
    from agentrt.engine import Engine, EngineSpec, Progress
    from agentrt.executors import SGLangExecutor


class EmbeddedExecutor:
    """Answers from the engine that ``agentrt engine up`` left running, else from one of its own.

    Its own engine is set up and started by the first ``prepare``, or after a failed start by the next one; it is shown
    by ``progress``, and ends with ``close``, or with this process. ``spec`` says which model and how large.
    """

    name = "engine"
    limit = None

    def __init__(self, *, spec: EngineSpec | None = None, progress: Progress | None = None) -> None:
        self._spec = spec
        self._progress = progress
        self._stack = AsyncExitStack()
        self._story = _nothing
        self._connecting: asyncio.Task[SGLangExecutor] | None = None

    async def prepare(self) -> None:
        """Find or start the engine; many callers share one start, and a caller that gives up leaves it going."""
        await self._connected()

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; see ``ModelExecutor``. A crash of the engine is told with the end of its log."""
        executor = await self._connected()
        try:
            return await executor.execute(request, emit)
        except Unreachable as error:
            story = await asyncio.to_thread(self._story)
            if story is None:
                raise
            raise Unreachable(f"{error}; {story}") from error

    async def model(self) -> str:
        """The model's name at the engine that answers."""
        return await (await self._connected()).model()

    async def hints(self) -> HintChannel | None:
        """The way in for hints of the engine that answers."""
        return await hint_channel(await self._connected())

    async def close(self) -> None:
        """End the engine, if it is this executor's own."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._stack.aclose()

    async def _connected(self) -> SGLangExecutor:
        if self._connecting is None or _failed(self._connecting):
            self._connecting = asyncio.create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> SGLangExecutor:
        from agentrt.engine import discover
        from agentrt.executors import SGLangExecutor

        found = await asyncio.to_thread(discover) if self._spec is None else None
        where = found or await self._own()
        self._story = where.exit_story
        executor = SGLangExecutor(where.url, api_key=where.api_key)
        self._stack.push_async_callback(executor.close)
        return executor

    async def _own(self) -> Engine:
        from agentrt.engine import Silent, embedded

        progress = self._progress or Silent()
        failed = True
        try:
            engine = await self._stack.enter_async_context(embedded(spec=self._spec, progress=progress))
            failed = False
        finally:
            progress.close(failed=failed)
        return engine


def _nothing() -> str | None:
    return None


def _failed(task: asyncio.Task[ModelExecutor]) -> bool:
    """Whether it ended without a value; whoever asks next tries again."""
    return task.done() and (task.cancelled() or task.exception() is not None)
