"""Tools of real MCP servers, over stdio and HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from agentrt.errors import ConfigError, ToolError, Unreachable
from agentrt.executors import McpServer, McpTool
from tests.executors.mcp_tools import make

COMMAND = [sys.executable, str(Path(__file__).with_name("mcp_tools.py"))]


@asynccontextmanager
async def over_http() -> AsyncIterator[McpServer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # clients queue here until uvicorn takes them
        config = uvicorn.Config(make().streamable_http_app(), log_config=None, ws="none", timeout_graceful_shutdown=1)
        web = uvicorn.Server(config)
        running = asyncio.create_task(web.serve(sockets=[listening]))
        try:
            async with McpServer(url=f"http://127.0.0.1:{listening.getsockname()[1]}/mcp") as server:
                yield server
        finally:
            web.should_exit = True
            await running


def open_server(kind: str) -> object:
    return McpServer(COMMAND) if kind == "stdio" else over_http()


def find(server: McpServer, name: str) -> McpTool:
    return next(tool for tool in server.tools if tool.name == name)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_tools_are_listed_and_called(kind: str) -> None:
    """Over either transport, tools tell their schema, and give a value, an object or a text."""
    async with open_server(kind) as server:
        add = find(server, "add")
        assert add.description == "Add two numbers."
        assert set(add.parameters["properties"]) == {"a", "b"}
        assert await add.call({"a": 2, "b": 3}) == 5
        assert await find(server, "total").call({"numbers": [1, 2, 3]}) == {"total": 6}
        assert await find(server, "greet").call({"name": "Ada"}) == "Hello, Ada."


@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_a_failing_tool(kind: str) -> None:
    """What a tool raises, arguments that do not fit and an unknown name are each a ``ToolError`` that names it."""
    async with open_server(kind) as server:
        with pytest.raises(ToolError, match=r"'fail'.*the shelf is empty"):
            await find(server, "fail").call({})
        with pytest.raises(ToolError, match="'add'"):
            await find(server, "add").call({"a": "many"})
        with pytest.raises(ToolError, match="'subtract'"):
            await server.call("subtract", {})
        assert await find(server, "add").call({"a": 1, "b": 1}) == 2


async def test_calls_run_side_by_side(tmp_path: Path) -> None:
    """A call that hangs holds up no other, and cancelling it leaves the server usable."""
    mark = tmp_path / "mark"
    async with McpServer(COMMAND) as server:
        hanging = asyncio.create_task(find(server, "hang").call({"mark": str(mark)}))
        sums = await asyncio.gather(*(find(server, "add").call({"a": n, "b": 1}) for n in range(20)))
        assert sums == list(range(1, 21))
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await find(server, "add").call({"a": 1, "b": 1}) == 2


async def test_a_dying_server() -> None:
    """A server that ends in the middle of a call is ``Unreachable`` with its last words, and so are later calls."""
    async with McpServer(COMMAND) as server:
        with pytest.raises(Unreachable, match="out of paper"):
            await find(server, "die").call({})
        with pytest.raises(Unreachable, match="'add'"):
            await find(server, "add").call({"a": 1, "b": 1})


async def test_no_process_is_left() -> None:
    """The server's process has ended when the block has, and calling its tools afterwards says what is wrong."""
    async with McpServer(COMMAND) as server:
        add = find(server, "add")
        pid = await find(server, "pid").call({})
        assert alive(pid)
    assert not alive(pid)
    with pytest.raises(ConfigError, match="not open"):
        await add.call({"a": 1, "b": 1})


async def test_no_process_is_left_when_cancelled() -> None:
    """Cancelled inside the block, twice even, the process has ended when the task has."""
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def use() -> None:
        async with McpServer(COMMAND) as server:
            pids.put_nowait(await find(server, "pid").call({}))
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    pid = await pids.get()
    using.cancel()
    await asyncio.wait({using}, timeout=0)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not alive(pid)


async def test_opened_in_one_task_and_closed_in_another() -> None:
    """The block may begin in one task and end in another, as fixtures and exit stacks do."""
    server = McpServer(COMMAND)
    await asyncio.create_task(server.__aenter__())
    pid = await find(server, "pid").call({})
    await asyncio.create_task(server.__aexit__(None, None, None))
    assert not alive(pid)


async def test_servers_that_do_not_start() -> None:
    """No such program, a program that ends at once, one that never answers, and nobody at an address."""
    with pytest.raises(ConfigError, match="no-such-program"):
        await McpServer(["no-such-program"]).__aenter__()
    with pytest.raises(Unreachable, match="not today"):
        await McpServer([sys.executable, "-c", "raise SystemExit('not today')"]).__aenter__()
    with pytest.raises(Unreachable, match=r"0\.2 s"):
        await McpServer([sys.executable, "-c", "input(); input(); input()"], timeout=0.2).__aenter__()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        await McpServer(url="http://127.0.0.1:9/mcp").__aenter__()


def test_a_command_or_a_url() -> None:
    """Neither, both, or a command in one string is refused with the way to write it."""
    for wrong in ({}, {"command": ["a"], "url": "http://b"}, {"command": "python server.py"}):
        with pytest.raises(ConfigError, match="program"):
            McpServer(**wrong)


async def test_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the error says what to install."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"agentrt\[mcp\]"):
        await McpServer(COMMAND).__aenter__()
