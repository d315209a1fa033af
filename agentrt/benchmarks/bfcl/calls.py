"""The calls in a model's reply, whoever parsed them: the server, the executor, or the last resort here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from agentrt.executors.tool_calls import find_tool_calls
from agentrt.types import ModelReply, ToolCall


class _AnyName(Collection[str]):
    """Holds every name: a call of a function that was not offered is a call too, and a wrong one."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def split(reply: ModelReply, prefix: str = "call") -> tuple[str, tuple[ToolCall, ...]]:
    """The words of a reply and its calls, in order; ``prefix`` starts the ids of calls that have none.

    First what came as calls: the server's parser or the executor's found them, by the names that were offered. Else
    those that the text spells out by any name: ``<tool_call>`` blocks, fenced JSON, or nothing but JSON.
    """
    if reply.tool_calls:
        return reply.text, reply.tool_calls
    return find_tool_calls(reply.text, _AnyName(), prefix=prefix, cut=reply.finish == "length")
