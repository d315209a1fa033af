"""From a request to the chain of its prefixes: where it can part from others, told by hashes over its messages."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

from agentrt.kvcache.admission.gang import Link
from agentrt.types import Message, ModelRequest, ToolSpec

_MOST_TOOLS: Final = 4096


class _Kept(NamedTuple):
    """What is remembered of a session: its last request's messages, the tools before them, and the links."""

    messages: tuple[Message, ...]
    tools: Hashable
    links: list[Link]


class Chains:
    """Makes chains, sizes in characters. Requests whose chains begin with equal keys begin with the same tokens.

    Tenants share none. The chain of a session grows by its new messages; the old ones are not read again.
    """

    def __init__(self) -> None:
        self._tools: dict[int, tuple[ToolSpec, int, int]] = {}
        self._sessions: dict[str, _Kept] = {}

    def of(self, request: ModelRequest) -> Sequence[Link]:
        """The chain of a request, one link for each message; the tools count with the first."""
        tools, size = self._told(request.tools)
        kept = self._sessions.get(request.session) if request.session is not None else None
        links = _reusable(kept, request.messages, tools)
        key = links[-1].key if links else hash((request.tenant, tools))
        size = links[-1].size if links else size
        for message in request.messages[len(links) :]:
            key = hash((key, message))
            size += len(message.content) + sum(len(one.name) + len(one.arguments) for one in message.tool_calls)
            links.append(Link(key, size))
        if request.session is not None:
            self._sessions[request.session] = _Kept(request.messages, tools, links)
        return links

    def forget(self, session: str) -> None:
        """A session is over."""
        self._sessions.pop(session, None)

    def _told(self, tools: tuple[ToolSpec, ...]) -> tuple[Hashable, int]:
        told = [self._tool(tool) for tool in tools]
        return tuple(digest for digest, _ in told), sum(size for _, size in told)

    def _tool(self, tool: ToolSpec) -> tuple[int, int]:
        known = self._tools.get(id(tool))
        if known is None or known[0] is not tool:
            text = f"{tool.name}\n{tool.description}\n{json.dumps(tool.parameters, default=str)}"
            if len(self._tools) >= _MOST_TOOLS:
                self._tools.clear()
            known = self._tools[id(tool)] = (tool, hash(text), len(text))
        return known[1], known[2]


def _reusable(kept: _Kept | None, messages: tuple[Message, ...], tools: Hashable) -> list[Link]:
    """The links of the messages that were there the last time; a list of its own, as that one may be in use."""
    if kept is None or kept.tools != tools:
        return []
    same = 0
    for before, now in zip(kept.messages, messages, strict=False):
        if before is not now:
            break
        same += 1
    return kept.links[:same]
