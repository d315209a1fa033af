"""What goes wrong around hints costs hints at most: settings, threads, policies, servers, restarts."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agentrt import Agent, Runtime, command, program, tool
from agentrt.errors import ConfigError
from agentrt.executors import SGLangExecutor
from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.hints import MAX_TEXT, Capability
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
    """A tenant arrives as it was given, with turns and with hints, and is shown by neither."""
    async with ScriptedServer(takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), tenant=tenant) as runtime:
            result = await runtime.run(ask)
        assert tenant not in repr((result, server.hints))
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


@dataclass
class Says:
    """Advises the same of everything; ``asked`` counts how often."""

    advice: Any = field(default_factory=lambda: Advice(keep=30.0))
    name: str = "says"
    asked: int = 0

    def advise(self, context: Context, world: World) -> Advice | None:
        """The advice."""
        self.asked += 1
        return self.advice


class Steps(Says):
    """Advises what the graph says."""

    def advise(self, context: Context, world: World) -> Advice | None:
        """The steps to execution."""
        return Advice(steps=context.steps)


@program
async def two_turns(between: Callable[[], Awaitable[object]]) -> str:
    async with writer.session() as session:
        await session("Begin.")
        await between()
        return await session("Go on.")


def port_of(server: ScriptedServer) -> int:
    return int(server.url.rsplit(":", 1)[1])


def prompts(server: ScriptedServer) -> dict[str, tuple[int, ...]]:
    """The fixed prompts that the server was told, by the names of their subjects."""
    return {hint.subject.name: hint.prefix for hint in server.hints if hint.prefix}


@pytest.mark.parametrize(
    "advice",
    [
        Advice(priority=math.nan),
        Advice(remaining=math.inf),
        Advice(remaining=-1.0),
        Advice(keep=-1.0),
        Advice(steps=-1),
        Advice(steps=1.5),  # type: ignore[arg-type]
        "soon",
    ],
)
async def test_nonsense_of_a_policy_is_not_sent(advice: object, caplog: pytest.LogCaptureFixture) -> None:
    """Advice that no engine takes costs hints, with one line in the log; it is not sent again and again."""
    policy = Says(advice)

    async def asked() -> None:
        while not caplog.records:
            await asyncio.sleep(0)

    async with ScriptedServer(takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), kv=policy) as runtime:
            result = await runtime.run(two_turns, asked)
        assert result.status == "done"
        assert not server.hints
    assert ["the policy failed" in one.message for one in caplog.records] == [True]
    assert policy.asked == 1


async def test_an_engine_that_was_restarted_is_told_everything_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another engine at the same address hears of every context and prompt, and its size counts from now on."""
    monkeypatch.setattr("agentrt.runtime.kv.publisher.SETBACK", 0.01)
    first = ScriptedServer(takes=replace(ABLE, boot="first"))
    again: list[ScriptedServer] = []

    async def restart() -> None:
        await first.until(lambda server: bool(prompts(server)))
        await first.stop()
        second = ScriptedServer(takes=replace(ABLE, boot="second", pool=500), port=port_of(first))
        again.append(await stack.enter_async_context(second))

    @program
    async def main() -> None:
        async with writer.session() as session, writer.session() as other:
            await asyncio.gather(session("Begin."), other("Begin."))
            await restart()
            while len({one.subject for one in again[0].hints}) < 3:
                await session("Go on.")

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        async with Runtime(SGLangExecutor(first.url), kv=Steps()) as runtime:
            result = await runtime.run(main)
            assert runtime.desk is not None
            admission = runtime.desk.gate("default").admission
            assert admission is not None
            assert admission.capacity == 500
        assert result.status == "done", result.error
        assert prompts(again[0]) == prompts(first)


async def test_two_prompts_of_one_name_are_two_subjects() -> None:
    """Agents that share a name but not their prompt are both kept: the engine is told of each prompt."""
    other = writer.with_(system="You write of the sea, and of nothing else.")

    @program
    async def main() -> None:
        async with writer.session() as one, other.session() as two:
            await asyncio.gather(one("Begin."), two("Begin."))
            await server.until(lambda server: len(prompts(server)) == 2)

    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url), kv=Says()) as runtime:
        result = await runtime.run(main)
    assert result.status == "done", result.error
    told = prompts(server)
    assert set(told) == {"writer", "writer~2"}
    assert told["writer"] != told["writer~2"]


async def test_a_long_command_does_not_spoil_the_batch() -> None:
    """A tool whose command is longer than a hint may say is named as far as there is room."""

    @tool
    async def looks() -> None:
        """Wait until the engine knows of the tool."""
        with pytest.raises(ConfigError):
            await command("y" * 2000)
        await server.until(lambda server: any(hint.tool for hint in server.hints))

    @program
    async def waits() -> None:
        async with writer.session() as session:
            await session("Begin.")
            await looks()
            await session("Go on.")

    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url), kv=Says()) as runtime:
        result = await runtime.run(waits)
    assert result.status == "done", result.error
    assert max(len(hint.tool) for hint in server.hints) == MAX_TEXT


@pytest.mark.parametrize("strange", [{"pool": "many"}, {"protocol": "1"}, {"budget": None}])
async def test_a_strange_capability_is_none(strange: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A server that says nonsense of itself gets no hints, and every turn is answered."""
    async with ScriptedServer(takes=replace(ABLE, **strange)) as server:
        async with Runtime(SGLangExecutor(server.url), kv=Says()) as runtime:
            assert (await runtime.run(ask)).status == "done"
            assert (await runtime.run(ask)).status == "done"
        assert not server.hints
    assert not caplog.records


async def test_where_nobody_listens_nothing_is_kept() -> None:
    """A long run at an engine that takes no hints keeps nothing of its sessions that are over."""

    @program
    async def main() -> int:
        for _ in range(5):
            async with writer.session() as session:
                await session("Begin.")
        return len(runtime_of.contexts.ended)

    async with ScriptedServer() as server, Runtime(SGLangExecutor(server.url)) as runtime:
        runtime_of: Any = runtime.start(main)
        result = await runtime_of
    assert result.output <= 1


async def test_looking_takes_a_share_of_the_time() -> None:
    """However slow a policy is and however much happens, looking at contexts takes a twentieth of one core."""

    class Slow(Says):
        def advise(self, context: Context, world: World) -> Advice | None:
            """Burn two milliseconds."""
            until = time.thread_time() + 0.002
            while time.thread_time() < until:
                pass
            return super().advise(context, world)

    @program
    async def main() -> None:
        sessions = [writer.session() for _ in range(20)]
        for _ in range(5):
            await asyncio.gather(*(session("Go on.") for session in sessions))

    policy = Slow()
    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url), kv=policy) as runtime:
        began = time.perf_counter()
        result = await runtime.run(main)
        took = time.perf_counter() - began
        asked = policy.asked
    assert result.status == "done", result.error
    look = 21 * 0.002
    assert 0 < asked * 0.002 <= 2 * look + took * 0.05
