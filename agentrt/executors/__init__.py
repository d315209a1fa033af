"""Where a step runs: model servers over HTTP and the tools of MCP servers, one contract for each.

``connect(url)`` finds out what a server is; ``SGLangExecutor`` and ``OpenAIExecutor`` say it; ``McpServer`` gives
tools. ``ModelExecutor`` is the contract that all of them and every wrapper meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.executors.auto import ConnectedExecutor, connect
    from agentrt.executors.base import Emit, ModelExecutor, ignore
    from agentrt.executors.mcp import McpServer, McpTool
    from agentrt.executors.openai import OpenAIExecutor
    from agentrt.executors.sglang import SGLangExecutor

_HOMES = {
    "ConnectedExecutor": "auto",
    "Emit": "base",
    "McpServer": "mcp",
    "McpTool": "mcp",
    "ModelExecutor": "base",
    "OpenAIExecutor": "openai",
    "SGLangExecutor": "sglang",
    "connect": "auto",
    "ignore": "base",
}

__all__ = [
    "ConnectedExecutor",
    "Emit",
    "McpServer",
    "McpTool",
    "ModelExecutor",
    "OpenAIExecutor",
    "SGLangExecutor",
    "connect",
    "ignore",
]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
