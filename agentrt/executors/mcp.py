"""Tools of MCP servers, through the official ``mcp`` package (the extra ``agentrt[mcp]``).

async with McpServer(["python", "notes_server.py"]) as server:
    for tool in server.tools: ...
    await server.tools[0].call({"query": "tea"})
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from agentrt.errors import AgentrtError, ConfigError, ToolError, Unreachable
from agentrt.types import JsonSchema

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

_LOG_TAIL = 2000  # bytes of the server's own messages that an error shows


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of one server. ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: JsonSchema
    server: McpServer = field(repr=False, compare=False)
    wrapped: bool = field(default=False, repr=False)

    async def call(self, arguments: Mapping[str, Any]) -> Any:
        """The tool's result: its structured value where it gives one, else its text.

        A result that the server had to wrap as ``{"result": value}``, because the protocol wants an object, comes
        back as the value. Raises ``ToolError`` when the tool fails or the arguments do not fit, ``Unreachable``
        when the server is gone.
        """
        result = await self.server.call(self.name, arguments)
        structured = result.structured_content
        if structured is None:
            return _text(result)
        return structured["result"] if self.wrapped else structured


class McpServer:
    """A server and its tools, inside ``async with``: started by its command over stdio, or reached by its ``url``.

    ``env`` adds to the few variables that a command inherits (``PATH``, ``HOME`` and the like); ``api_key`` is sent
    as a bearer token to a ``url``. ``timeout`` is how many seconds it may take to start and tell its tools. What a
    command writes to stderr is kept for error messages. The process has ended when the ``async with`` has.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        api_key: str | None = None,
        name: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        if bool(command) == bool(url) or isinstance(command, str):
            raise ConfigError('an MCP server needs command=["program", "argument", ...] or url="http://...", not both')
        self.name = name or (Path(command[-1]).name if command else urlsplit(str(url)).netloc)
        self.tools: tuple[McpTool, ...] = ()
        self._command = list(command or ())
        self._url = url
        self._env = dict(env or {})
        self._cwd = cwd
        self._api_key = api_key
        self._timeout = timeout
        self._client: Client | None = None
        self._log: IO[str] | None = None
        self._stop = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"McpServer({self._url or self._command!r})"

    async def __aenter__(self) -> Self:
        _require_mcp()
        self._stop.clear()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(ready), name=f"mcp {self.name}")
        try:
            await asyncio.wait({self._owner, ready}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._end()
            raise
        if not ready.done() or ready.exception():
            await self._end()
        await ready
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop.set()
        await self._end(cancel=False)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool by name; the result as the protocol has it. Raises as ``McpTool.call`` does."""
        if self._client is None:
            raise ConfigError(f"the MCP server {self.name} is not open; call its tools inside its `async with`")
        with self._translated(tool):
            result = await self._client.call_tool(tool, dict(arguments))
        if result.is_error:
            raise ToolError(f"tool {tool!r} of {self.name} failed: {_text(result)}")
        return result

    async def _own(self, ready: asyncio.Future[None]) -> None:
        """Hold the connection. One task does it all, since the package's scopes end in the task that began them."""
        with tempfile.TemporaryFile("w+") as self._log:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self._timeout):
                        self._client = await self._connect(stack)
                        self.tools = tuple([self._tool(tool) for tool in await self._list(self._client)])
                    ready.set_result(None)
                    await self._stop.wait()
            except Exception as error:  # noqa: BLE001  (the package raises its transports' errors, in groups)
                if not ready.done():
                    ready.set_exception(self._start_error(_first(error)))
            finally:
                self._client = None

    async def _end(self, *, cancel: bool = True) -> None:
        """Wait for the owner to have ended, and with it the process, even while being cancelled ourselves."""
        owner, self._owner = self._owner, None
        cancelled = False
        while owner is not None and not owner.done():
            if cancel:
                owner.cancel()
            try:
                await asyncio.wait({owner})
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    async def _connect(self, stack: AsyncExitStack) -> Client:
        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamable_http_client

        transport: AbstractAsyncContextManager[Any]
        if self._url is None:
            program, *arguments = self._command
            started = StdioServerParameters(command=program, args=arguments, env=self._env, cwd=self._cwd)
            transport = stdio_client(started, errlog=self._log)  # type: ignore[arg-type]  # any file with a number
        else:
            http_client = await stack.enter_async_context(_http_client(self._api_key))
            transport = streamable_http_client(self._url, http_client=http_client)
        return await stack.enter_async_context(Client(transport))

    async def _list(self, client: Client) -> list[Tool]:
        tools: list[Tool] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                return tools

    def _tool(self, tool: Tool) -> McpTool:
        wrapped = list((tool.output_schema or {}).get("properties", {})) == ["result"]
        return McpTool(tool.name, tool.description or "", tool.input_schema, self, wrapped)

    def _start_error(self, error: Exception) -> AgentrtError:
        made: AgentrtError
        if isinstance(error, FileNotFoundError | PermissionError):
            made = ConfigError(f"cannot start the MCP server {self.name}: {error}; check {self._command[0]!r}")
        elif isinstance(error, TimeoutError):
            made = Unreachable(f"the MCP server {self.name} did not answer in {self._timeout:g} s{self._said()}")
        else:
            made = Unreachable(f"cannot reach the MCP server {self.name}: {_reason(error)}{self._said()}")
        made.__cause__ = error
        return made

    @contextmanager
    def _translated(self, tool: str) -> Iterator[None]:
        import anyio
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        try:
            yield
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise self._gone(tool) from error
            raise ToolError(f"tool {tool!r} of {self.name} failed: {error}") from error
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError) as error:
            raise self._gone(tool) from error
        except ValueError as error:  # a result that does not fit the schema the server gave for it
            raise ToolError(f"tool {tool!r} of {self.name} gave what it did not promise: {error}") from error

    def _gone(self, tool: str) -> Unreachable:
        return Unreachable(f"the MCP server {self.name} ended while {tool!r} was called{self._said()}")

    def _said(self) -> str:
        """The end of what the server wrote to stderr, for a message."""
        if self._log is None or self._log.closed:
            return ""
        number = self._log.fileno()
        size = os.fstat(number).st_size
        # Not seek and read: the server writes through the same file position.
        tail = os.pread(number, _LOG_TAIL, max(0, size - _LOG_TAIL)).decode("utf-8", "replace").strip()
        return f"; it wrote: {tail}" if tail else ""


def _http_client(api_key: str | None) -> Any:
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
    return create_mcp_http_client(headers=headers)


def _require_mcp() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise ConfigError("MCP servers need an extra: pip install 'agentrt[mcp]'") from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _first(error: Exception) -> Exception:
    """The first real error in nested groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _text(result: CallToolResult) -> str:
    """The text of a result; what is no text is named."""
    return "\n".join(_block_text(block) for block in result.content)


def _block_text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and hasattr(block.resource, "text"):
        return str(block.resource.text)
    return f"[{block.type} {getattr(block, 'mime_type', None) or getattr(block, 'uri', '')}]".replace(" ]", "]")
