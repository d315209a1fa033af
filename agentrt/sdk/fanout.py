"""Bounded fan-out over many items."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TypeVar

from agentrt.errors import ConfigError
from agentrt.runtime import Handle

A = TypeVar("A")
R = TypeVar("R")


async def each(
    step: Callable[[A], Handle[R]], items: Iterable[A] | AsyncIterable[A], *, at_once: int = 32
) -> AsyncIterator[R]:
    """The step's value for every item, in the items' order, with at most ``at_once`` calls under way.

    Items are taken one by one as places get free, so a slow source is fine, and so is one larger than memory; the run
    itself remembers each step. A step that fails raises here; the calls still under way end as the program says.
    """
    if at_once < 1:
        raise ConfigError(f"each(at_once={at_once}): expected 1 or more")
    waiting: deque[Handle[R]] = deque()
    async for item in _async(items):
        if len(waiting) == at_once:
            yield await waiting.popleft()
        waiting.append(step(item))
    while waiting:
        yield await waiting.popleft()


async def _async(items: Iterable[A] | AsyncIterable[A]) -> AsyncIterator[A]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
