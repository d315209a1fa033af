"""Where a step runs: model servers over HTTP and the tools of MCP servers, one contract for each.

``connect(url)`` finds out what a server is; ``SGLangExecutor`` and ``OpenAIExecutor`` say it; ``McpServer`` gives
tools. ``ModelExecutor`` is the contract that all of them and every wrapper meet.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
