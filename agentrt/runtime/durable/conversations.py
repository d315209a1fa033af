"""What models were sent, kept as it grew: a chain of texts, each holding what was said since the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from agentrt.store.codec import compact, digest
from agentrt.types import Message, ModelRequest


class _Link(NamedTuple):
    """The newest link of a conversation: ``last`` is the last of its ``length`` messages."""

    length: int
    last: Message
    hash: str


class Conversations:
    """The conversations of one run. ``keep`` stores a text under its hash."""

    def __init__(self, keep: Callable[[str, str], None]) -> None:
        self._keep = keep
        self._links: dict[str, _Link] = {}

    def sent(self, request: ModelRequest) -> dict[str, Any]:
        """What there is to say of a request; its messages and its tools stand there by the hash of their text."""
        told: dict[str, Any] = {
            "agent": request.agent,
            "messages": self._chain(request),
            "count": len(request.messages),
        }
        if request.session is not None:
            told["session"] = request.session
        if request.tools:
            tools = [{"name": one.name, "description": one.description} for one in request.tools]
            told["tools"] = self._store(tools)
        if request.schema is not None:
            told["schema"] = self._store(dict(request.schema))
        return told

    def _chain(self, request: ModelRequest) -> str | None:
        messages = request.messages
        if not messages:
            return None
        before = self._links.get(request.session or "")
        if before is None or len(messages) < before.length or messages[before.length - 1] is not before.last:
            before = None
        start = 0 if before is None else before.length
        if before is not None and start == len(messages):
            return before.hash
        link = {"on": before.hash if before else None, "more": [plain_message(one) for one in messages[start:]]}
        hash_ = self._store(link)
        if request.session is not None:
            self._links[request.session] = _Link(len(messages), messages[-1], hash_)
        return hash_

    def _store(self, plain: Any) -> str:
        text = compact(plain)
        hash_ = digest(text)
        self._keep(hash_, text)
        return hash_


def plain_message(message: Message) -> dict[str, Any]:
    """A message as plain JSON; what is empty is left out."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = [[one.id, one.name, one.arguments] for one in message.tool_calls]
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain
