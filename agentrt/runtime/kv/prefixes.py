"""The tokens of fixed prompts, as one engine's tokenizer has them: asked for once each, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Final

from agentrt.executors.hinting import HintChannel
from agentrt.runtime.kv.tracker import Prompt

_log = logging.getLogger("agentrt")

MOST: Final = 1024
"""Prompts remembered at once; beyond that all are asked for anew."""


class Prefixes:
    """What every conversation of an agent starts with, in tokens."""

    def __init__(self, channel: HintChannel) -> None:
        self._channel = channel
        self._known: dict[tuple[object, ...], tuple[int, ...] | None] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    def of(self, prompt: Prompt, then: Callable[[], None]) -> tuple[int, ...]:
        """The tokens, none while they are not known; ``then`` is called once they are."""
        key = prompt.key
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = None
            if prompt.fixed or prompt.tools:
                fetching = self._fetch(prompt, key, then)
                task = asyncio.get_running_loop().create_task(fetching, context=Context())
                self._fetching.add(task)
                task.add_done_callback(self._fetching.discard)
        return self._known[key] or ()

    def forget(self, *, all: bool) -> None:  # noqa: A002 - the plain word
        """Ask again for those that could not be had, or for ``all``: it may be another server by now."""
        self._known = {} if all else {key: found for key, found in self._known.items() if found}

    async def close(self) -> None:
        """Stop asking."""
        left = list(self._fetching)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _fetch(self, prompt: Prompt, key: tuple[object, ...], then: Callable[[], None]) -> None:
        try:
            found = await self._channel.prefix(prompt.fixed, prompt.tools)
        except Exception as error:  # noqa: BLE001 - a server may answer anything; hints never end a run
            _log.debug("the fixed prompt of agent %r stays unknown to the engine: %s", prompt.agent, error)
            return
        self._known[key] = found
        then()
