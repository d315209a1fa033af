"""Tools of MCP servers as tools of agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from agentrt.errors import ToolError
from agentrt.runtime import Handle, StepSpec, call
from agentrt.sdk.steps import Options, changed
from agentrt.sdk.tools import Tool
from agentrt.types import ToolSpec

if TYPE_CHECKING:
    from agentrt.executors import McpServer, McpTool


def mcp_tools(server: McpServer, **options: Unpack[Options]) -> list[Tool[..., Any]]:
    """The tools of an open MCP server, for ``Agent(tools=...)`` and for calling with arguments by name.

    Inside ``async with McpServer(...) as server``; the extra ``agentrt[mcp]`` brings what it needs.
    """
    after = tuple(options.get("after", ()))
    return [_McpTool(changed(_spec(one), options), one, after) for one in server.tools]


def _spec(one: McpTool) -> StepSpec:
    async def body(**arguments: Any) -> Any:
        return await one.call(arguments)

    return StepSpec(one.name.replace("/", ".").replace("#", "."), "tool", body, lane="tool")


class _McpTool(Tool[..., Any]):
    """A tool whose schema and whose checks are the server's."""

    def __init__(self, spec: StepSpec, function: McpTool, after: tuple[Handle[Any], ...] = ()) -> None:
        self.spec = spec
        self.function: Any = function
        self._after = after

    @cached_property
    def told(self) -> ToolSpec:
        """What a model is told of this tool."""
        return ToolSpec(self.name, self.function.description, self.function.parameters)

    def call_json(self, text: str) -> Handle[Any]:
        """Call the tool as a model does; the server checks whether the arguments fit its schema."""
        try:
            arguments = json.loads(text or "{}")
        except ValueError as error:
            raise ToolError(f"tool {self.name!r}: the arguments {text!r} are no JSON: {error}") from error
        if not isinstance(arguments, Mapping):
            raise ToolError(f"tool {self.name!r}: the arguments {text!r} are no JSON object")
        return call(self.spec, (), dict(arguments), self._after, depth=0)
