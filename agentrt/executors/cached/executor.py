"""One model with a cache in front."""

from __future__ import annotations

from agentrt.executors.base import Emit, ModelExecutor, ignore
from agentrt.executors.cached.cache import SemanticCache
from agentrt.executors.hinting import HintChannel, hint_channel
from agentrt.types import ModelReply, ModelRequest


class CachedExecutor:
    """A ``ModelExecutor`` with a cache in front of ``inner``.

    ``model`` is what its answers are kept under: the model's name at the server, unless another is given.
    """

    def __init__(self, inner: ModelExecutor, cache: SemanticCache, *, model: str = "") -> None:
        self._inner = inner
        self._cache = cache
        self._model = model
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
        self._model = self._model or await _served(self._inner)
        load = self._busy / self._inner.limit if self._inner.limit else 0.0
        self._busy += 1
        try:
            return await self._cache.answer(self._inner, self._model, request, emit, load)
        finally:
            self._busy -= 1

    async def hints(self) -> HintChannel | None:
        """The way in for hints of what it wraps."""
        return await hint_channel(self._inner)

    async def close(self) -> None:
        """See ``ModelExecutor``."""
        await self._cache.close()
        await self._inner.close()


async def _served(inner: ModelExecutor) -> str:
    """The model's name at its server; an executor that does not tell is taken by its own name."""
    probe = getattr(inner, "probe", None)
    model = getattr(inner if probe is None else await probe(), "model", None)
    return str(await model()) if callable(model) else inner.name
