"""Who answers: a server that is up, the engine that was left running, or one started for the benchmark."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.harness.sittings import kv_counts
from agentrt.errors import ExecutorError

if TYPE_CHECKING:
    from agentrt.engine import EngineInfo
    from agentrt.executors import ConnectedExecutor
    from agentrt.executors.base import ModelExecutor
    from agentrt.executors.http import HttpServer

_PATIENCE: Final = 30.0
"""Seconds that a server may take to say what it is, or anything."""

_FEW: Final = 16
"""Tokens of a reply that is only to show that there is one."""

_GLANCE: Final = 5.0
"""Seconds that it may take to say what it counted, which can be done without."""

_TOLD: Final = (
    "version", "context_length", "max_total_num_tokens", "tool_call_parser", "dtype", "radix_eviction_policy"
)  # fmt: skip
"""What is told of an SGLang, of all that it tells."""

_NO_RUN: Final = "-"
"""A program that there is none of: who asks for its contexts alone is told of none."""


@dataclass(frozen=True, slots=True)
class Served:
    """``told`` is what the engine says of itself: kind, version, model, address; ``session`` is the session id of an
    engine on this machine, 0 for none; ``teller`` tells how it is."""

    models: Mapping[str, ModelExecutor] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    session: int = 0
    teller: Answering | None = None


class Answering:
    """Asks an engine how it is. ``story`` says how its process ended, ``None`` while it runs."""

    def __init__(self, executor: ConnectedExecutor, story: Callable[[], str | None]) -> None:
        self._executor = executor
        self._story = story

    async def counts(self) -> Mapping[str, int]:
        """See ``Teller``."""
        from agentrt.executors.hinting import kv_teller

        try:
            async with asyncio.timeout(_GLANCE):
                channel = await self._executor.hints()
                teller = kv_teller(channel) if channel is not None else None
                return kv_counts(await teller.state([_NO_RUN], "")) if teller is not None else {}
        except (ExecutorError, TimeoutError):
            return {}

    async def trouble(self) -> str | None:
        """See ``Teller``: it is asked something that every model answers. The end of its log goes with it."""
        from agentrt.types import Message, ModelRequest, Sampling

        plain = ModelRequest((Message("user", "Say yes."),), sampling=Sampling(max_tokens=_FEW, temperature=0.0))
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._executor.execute(plain)
        except TimeoutError:
            return None  # it is there, and busy
        except ExecutorError as error:
            story = await asyncio.to_thread(self._story)
            return f"{error}; {story}" if story else str(error)
        return None


NOBODY: Final = Served(told={"kind": "none", "model": ""})
"""For a benchmark that asks no model."""


@asynccontextmanager
async def served(url: str | None, model: str | None) -> AsyncIterator[Served]:
    """Have a model that answers, by the name ``default``.

    Raises ``Unreachable`` or ``Refused`` for a server that does not answer, ``EngineError`` and ``ConfigError`` when
    none can be started. An engine that was started for this ends with the block.
    """
    url = url or os.environ.get("AGENTRT_ENGINE") or None
    if url is not None:
        from agentrt.engine import find

        async with _asked(url, await asyncio.to_thread(find, url), model) as here:
            yield here
        return
    found = await asyncio.to_thread(_left_running, model)
    if found is not None:
        async with _asked(found.url, found, None, found.exit_story) as here:
            yield here
        return
    from agentrt.engine import embedded, progress_for

    progress = progress_for()
    async with AsyncExitStack() as stack:
        failed = True
        try:
            engine = await stack.enter_async_context(embedded(model, progress=progress))
            failed = False
        finally:
            progress.close(failed=failed)
        yield await stack.enter_async_context(_asked(engine.url, engine.info, None, engine.exit_story))


def _left_running(model: str | None) -> EngineInfo | None:
    """The newest engine that was brought up to stay, if it serves that model."""
    from agentrt.engine import running

    wanted = Path(model).name if model and Path(model).is_dir() else model
    there = [one for one in running() if not one.attached]
    return next((one for one in there if wanted is None or one.model == wanted), None)


@asynccontextmanager
async def _asked(
    url: str, ours: EngineInfo | None, model: str | None, story: Callable[[], str | None] = lambda: None
) -> AsyncIterator[Served]:
    """Connect, and ask the server what it is."""
    from agentrt.executors import connect
    from agentrt.executors.failures import KEY_VARIABLE
    from agentrt.executors.http import HttpServer

    key = ours.api_key if ours else os.environ.get(KEY_VARIABLE)
    async with AsyncExitStack() as stack:
        executor = connect(url, api_key=key, model=model)
        stack.push_async_callback(executor.close)
        server = HttpServer(url, name=executor.name, api_key=key, timeout=_PATIENCE)
        stack.push_async_callback(server.close)
        found = await executor.probe()
        told = {"kind": "openai", "model": await found.model(), "url": url, **await _told(server)}
        if ours is not None:
            told["device"] = ours.device
        teller = Answering(executor, story)
        yield Served({"default": executor}, told, ours.pid if ours else 0, teller)


async def _told(server: HttpServer) -> dict[str, Any]:
    """What SGLang tells of itself that results or times depend on; nothing of other servers."""
    info: Any = {}
    with suppress(ExecutorError):
        info = await server.get("/server_info")
    if not isinstance(info, dict) or not info:
        return {}
    return {"kind": "sglang"} | {name: info[name] for name in _TOLD if info.get(name) is not None}
