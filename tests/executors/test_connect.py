"""Finding out what a server is, and what importing executors costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

import agentrt.executors
from agentrt.errors import Refused, Unreachable
from agentrt.executors import OpenAIExecutor, SGLangExecutor, connect
from agentrt.testing.contract import ask
from agentrt.testing.server import ScriptedServer


@pytest.mark.parametrize(("kind", "found"), [("sglang", SGLangExecutor), ("openai", OpenAIExecutor)])
async def test_the_kind_is_found(kind: Any, found: type) -> None:
    """SGLang is spoken to as SGLang, anything else by the common protocol."""
    async with ScriptedServer(kind=kind) as server:
        executor = connect(server.url)
        assert type(await executor.probe()) is found
        await executor.close()


async def test_the_kind_is_asked_for_once() -> None:
    """Turns that start together share one question."""

    class Counting(ScriptedServer):
        asked = 0

        async def _other(self, request: Any, link: Any) -> None:
            self.asked += request.path == "/model_info"
            await super()._other(request, link)

    async with Counting() as server:
        executor = connect(server.url)
        await asyncio.gather(*(executor.execute(ask("x")) for _ in range(20)))
        await executor.close()
    assert server.asked == 1


async def test_a_page_for_every_path_is_no_sglang() -> None:
    """A server that answers any path with a page is taken for one of the common kind."""

    class Page(ScriptedServer):
        async def _other(self, request: Any, link: Any) -> None:
            if request.path == "/model_info":
                await link.send(b"<html>", 200, "text/html")
            else:
                await super()._other(request, link)

    async with Page() as server:
        executor = connect(server.url)
        assert type(await executor.probe()) is OpenAIExecutor
        await executor.close()


async def test_a_server_that_is_not_there_yet() -> None:
    """A failed question is asked again, so that a server which comes up later is found."""
    async with ScriptedServer() as server:
        url, port = server.url, int(server.url.rpartition(":")[2])
    executor = connect(url)
    with pytest.raises(Unreachable, match=url):
        await executor.probe()
    async with ScriptedServer(port=port):
        assert type(await executor.probe()) is SGLangExecutor
    await executor.close()


async def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``AGENTRT_API_KEY`` is used where no key is given, and a given one comes first."""
    monkeypatch.setenv("AGENTRT_API_KEY", "right")
    async with ScriptedServer(api_key="right") as server:
        executor, wrong = connect(server.url), connect(server.url, api_key="wrong")
        assert (await executor.execute(ask("hello"))).text == "hello"
        with pytest.raises(Refused, match="AGENTRT_API_KEY"):
            await wrong.probe()
        await executor.close()
        await wrong.close()
    assert "right" not in repr(executor)


def test_importing_is_light() -> None:
    """Naming an executor imports no HTTP client and no MCP package; those come with the first use."""
    code = (
        "import sys; from agentrt.executors import connect, McpServer, OpenAIExecutor; connect('http://h');"
        "print({'httpx', 'mcp', 'anyio', 'pydantic', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_is_there() -> None:
    """What is listed can be had, and nothing else."""
    assert all(getattr(agentrt.executors, name) for name in agentrt.executors.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = agentrt.executors.nothing_such
