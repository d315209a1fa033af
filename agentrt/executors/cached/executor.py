"""One model with a cache in front."""

from __future__ import annotations

from agentrt.executors.base import Emit, ModelExecutor, ignore
from agentrt.executors.cached.cache import SemanticCache
from agentrt.types import ModelReply, ModelRequest


class CachedExecutor:
    """A ``ModelExecutor`` with a cache in front of ``inner``; ``model`` is what its answers are kept under."""

    def __init__(self, inner: ModelExecutor, cache: SemanticCache, *, model: str = "") -> None:
        self._inner = inner
        self._cache = cache
        self._model = model or inner.name
        self._busy = 0

    @property
    def name(self) -> str:
        """See ``ModelExecutor``."""
        return self._inner.name

    @property
    def limit(self) -> int | None:
        """See ``ModelExecutor``."""
        return self._inner.limit

    async def prepare(self) -> None:
        """See ``ModelExecutor``; and read what is kept."""
        await self._cache.open()
        await self._inner.prepare()

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """See ``ModelExecutor``; ``ModelReply.source`` is set on replies that no model was asked for."""
        await self._cache.open()
        load = self._busy / self._inner.limit if self._inner.limit else 0.0
        self._busy += 1
        try:
            return await self._cache.answer(self._inner, self._model, request, emit, load)
        finally:
            self._busy -= 1

    async def close(self) -> None:
        """See ``ModelExecutor``."""
        await self._cache.close()
        await self._inner.close()
