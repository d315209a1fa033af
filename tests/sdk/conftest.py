"""What the SDK's tests share: a scripted model server and a runtime that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest

from agentrt import Runtime
from agentrt.executors import OpenAIExecutor
from agentrt.testing import Reply, Script, ScriptedServer

Serve: TypeAlias = Callable[..., "asynccontextmanager[tuple[ScriptedServer, Runtime]]"]


@asynccontextmanager
async def served(
    script: Script | Sequence[Reply] | None = None, **settings: object
) -> AsyncIterator[tuple[ScriptedServer, Runtime]]:
    """A server with a script, and a runtime whose agents ask it."""
    async with ScriptedServer(script) as server:
        async with Runtime(OpenAIExecutor(server.url), **settings) as runtime:  # type: ignore[arg-type]
            yield server, runtime
        assert server.in_flight == 0


@pytest.fixture
def serve() -> Serve:
    """``async with serve(script) as (server, runtime)``."""
    return served  # type: ignore[return-value]
