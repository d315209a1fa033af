"""A real MCP server for the tests: run as a program it speaks stdio; ``make()`` is for serving over HTTP."""

from __future__ import annotations

import os
import sys

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel


class Sum(BaseModel):
    total: int


def make() -> MCPServer:
    server = MCPServer("tools")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def total(numbers: list[int]) -> Sum:
        return Sum(total=sum(numbers))

    @server.tool(structured_output=False)
    def greet(name: str) -> str:
        return f"Hello, {name}."

    @server.tool()
    def fail() -> str:
        raise ToolError("the shelf is empty")

    @server.tool()
    def die() -> str:
        print("out of paper", file=sys.stderr, flush=True)
        os._exit(3)

    @server.tool()
    def pid() -> int:
        return os.getpid()

    @server.tool()
    async def hang(mark: str) -> str:
        await anyio.Path(mark).write_text("begun")
        await anyio.sleep_forever()
        return ""

    return server


if __name__ == "__main__":
    make().run("stdio")
