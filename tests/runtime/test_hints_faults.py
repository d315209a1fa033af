"""What goes wrong around hints costs hints at most: settings, threads, policies, servers, restarts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Agent, Runtime, program
from agentrt.errors import ConfigError
from agentrt.executors import SGLangExecutor
from agentrt.kvcache.hints import Capability
from agentrt.kvcache.policies import Agentrt
from agentrt.testing import ScriptedServer

ABLE = Capability(protocol=1, version="test", pool=10_000, budget=0.9, salt=True)

writer = Agent("writer", system="You write.")


@program
async def ask() -> str:
    return await writer("Write.")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"kv": None}, "kv=None: expected the name of a policy"),
        ({"kv": Agentrt}, "or an object with a name"),
        ({"kv": "lru"}, "policy 'lru' is not known"),
        ({"admission": "no"}, "admission='no': expected True, False or None"),
        ({"estimates": "learned.json"}, "estimates='learned.json': expected a pathlib.Path"),
        ({"tenant": None}, "tenant: expected a text"),
        ({"tenant": "x" * 513}, "tenant: expected a text of at most 512 characters"),
        ({"tenant": "\ud800"}, "writable as UTF-8"),
    ],
)
def test_bad_settings_are_refused_where_they_are_given(settings: dict[str, Any], expected: str) -> None:
    """A value that no hint could be made with fails at once, and a tenant is never repeated."""
    with pytest.raises(ConfigError, match=expected) as refused:
        Runtime({}, **settings)
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize("tenant", ["müller 雪", "two\nlines", "x" * 512])
async def test_any_text_is_a_tenant(tenant: str) -> None:
    """A tenant arrives as it was given, with turns and with hints."""
    async with ScriptedServer(takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), tenant=tenant) as runtime:
            result = await runtime.run(ask)
        assert tenant not in repr(result)
    assert {asked.body["cache_salt"] for asked in server.requests} == {tenant}
    assert {hint.tenant for hint in server.hints} == {tenant}


async def test_a_session_may_be_dropped_by_another_thread() -> None:
    """Whichever thread lets the last reference go, the engine is told that the session has ended."""
    sessions: list[Any] = []

    def in_a_thread(drop: Callable[[], None]) -> None:
        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()

    @program
    async def main() -> None:
        sessions.extend((writer.session(), writer.session()))
        for session in sessions:
            await session("Begin.")
        del session
        in_a_thread(sessions[0].close)
        in_a_thread(sessions.clear)
        await server.until(lambda server: sum(hint.ended for hint in server.hints) == 2)

    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url)) as runtime:
        result = await runtime.run(main)
    assert result.status == "done", result.error


def test_a_session_may_outlive_its_loop() -> None:
    """A session that somebody still holds when all is over can be closed and dropped without harm."""
    kept: list[Any] = []

    @program
    async def main() -> None:
        kept.append(writer.session())
        await kept[0]("Begin.")

    async def run(url: str) -> None:
        async with Runtime(SGLangExecutor(url)) as runtime:
            assert (await runtime.run(main)).status == "done"

    with ScriptedServer.in_thread(takes=ABLE) as server:
        asyncio.run(run(server.url))
    kept[0].close()
    kept.clear()
