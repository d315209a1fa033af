"""A semantic cache in front of all models of a runtime, put together from its parts.

Runtime(models, journal="runs.db", cache=Caching([Category("faq", examples=("How do I return a parcel?",))]))
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentrt.errors import ConfigError
from agentrt.semcache.category import Category

if TYPE_CHECKING:
    from agentrt.executors.base import ModelExecutor
    from agentrt.executors.cached import SemanticCache
    from agentrt.semcache.base import AnswerStore, Embedder
    from agentrt.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Caching:
    """What a runtime's semantic cache is made of.

    ``categories`` are rules for kinds of questions; there is always one called ``default``. ``embedder`` is one, or a
    name: ``static``, ``minilm``, the URL of a server; with ``None`` only equal requests count. ``store`` keeps answers
    and feedback; without it the runtime's journal does, and memory where there is none.
    """

    categories: Sequence[Category] = ()
    embedder: Embedder | str | None = "static"
    store: AnswerStore | None = None


def fronted(
    models: Mapping[str, ModelExecutor], caching: Caching, journal: Journal | None
) -> tuple[Mapping[str, ModelExecutor], SemanticCache]:
    """These models with one cache in front, and the cache. Raises ``ConfigError`` where a part cannot be had."""
    from agentrt.executors.cached import CachedExecutor

    cache = _cache(caching, journal)
    return {name: CachedExecutor(inner, cache) for name, inner in models.items()}, cache


def _cache(caching: Caching, journal: Journal | None) -> SemanticCache:
    try:
        import numpy  # noqa: F401, ICN001 - said below in words
    except ImportError as error:
        raise ConfigError("the semantic cache needs an extra: pip install 'agentrt[semcache]'") from error
    from agentrt.executors.cached import SemanticCache
    from agentrt.semcache import embed, index
    from agentrt.semcache.category import Kinds
    from agentrt.semcache.regions import Learned

    made = embed.embedder(caching.embedder) if isinstance(caching.embedder, str) else caching.embedder
    name, size = ("", 0) if made is None else (made.name, made.size)
    kinds, judge = Kinds(caching.categories, made), Learned(run=_beside)
    return SemanticCache(_store(caching, journal), kinds, judge, lambda: index.new(name, size), made)


def _beside(work: Callable[[], None]) -> None:
    """Learning takes up to some seconds, which the loop is not kept for."""
    asyncio.get_running_loop().run_in_executor(None, work)


def _store(caching: Caching, journal: Journal | None) -> AnswerStore:
    if caching.store is not None:
        return caching.store
    if journal is None:
        from agentrt.semcache.memory import MemoryStore

        return MemoryStore()
    from agentrt.store.answers import Answers

    return Answers(journal)
