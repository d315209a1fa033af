"""Tools of an MCP server in an agent's hands."""

from __future__ import annotations

import sys
from pathlib import Path

from agentrt import Agent, mcp_tools, program
from agentrt.executors import McpServer
from agentrt.testing import calls, say

from .conftest import served

SERVER = Path(__file__).parent.parent / "executors" / "mcp_tools.py"


async def test_an_agent_uses_the_tools_of_an_mcp_server() -> None:
    """The model is told the server's schemas, its calls run there side by side, programs may call them too."""
    async with McpServer([sys.executable, str(SERVER)]) as server:
        tools = mcp_tools(server, timeout=60)
        add = next(one for one in tools if one.name == "add")
        agent = Agent("agent", tools=tools)

        @program
        async def main() -> tuple[str, object]:
            return await agent("go"), await add(a=1, b=2)

        script = [calls(("add", {"a": 2, "b": 3}), ("fail", {}), ("add", {"a": "x", "b": 1})), say("done")]
        async with served(script) as (scripted, runtime):
            result = await runtime.run(main)
    assert result.output == ("done", 3)
    told = [message["content"] for message in scripted.requests[1].messages if message["role"] == "tool"]
    assert told[0] == "5"
    assert told[1].startswith("error: ")
    assert "the shelf is empty" in told[1]
    assert told[2].startswith("error: ")
    assert {record.id for record in result.steps} >= {"agent#1/add#1", "agent#1/fail#1", "agent#1/add#2", "add#1"}
