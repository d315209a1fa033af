"""How hints reach a server: through our plugin where it is, through what stock SGLang takes, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, Protocol, cast

from agentrt.errors import ExecutorError, Refused, Unreachable
from agentrt.executors.chat import chat_message, chat_tool
from agentrt.executors.failures import broken
from agentrt.executors.http import HttpServer
from agentrt.kvcache.hints import PROTOCOL, Capability, Hint, Subject, batch_to_wire
from agentrt.types import Message, ToolSpec

_log = logging.getLogger("agentrt")

HINTS: Final = "/agentrt/hints"
CAPABILITY: Final = "/agentrt/capability"
KV: Final = "/agentrt/kv"
TENANT: Final = "X-Agentrt-Tenant"
"""The header that names the tenant whose contexts are told of."""

NO_SUCH_ROUTE: Final = frozenset({401, 403, 404, 405, 501})
"""What a server without our plugin, or without a key that is right, answers; anything else may pass."""


class HintChannel(Protocol):
    """The way to one server for hints. Advice only: a failure here never fails a step."""

    async def capability(self) -> Capability:
        """What the server can do with hints; asked again after ``send`` has failed. Raises ``ExecutorError``."""
        ...

    async def send(self, hints: Sequence[Hint]) -> None:
        """Tell the server, in order. Raises ``ExecutorError`` when it cannot be told."""
        ...

    async def prefix(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        """The token ids that every conversation of an agent starts with. Raises ``ExecutorError``."""
        ...


class KvTeller(Protocol):
    """A channel to a server that also tells what its KV cache holds, as ours does."""

    async def state(self, programs: Sequence[str], tenant: str) -> Sequence[Mapping[str, Any]]:
        """What each of its schedulers says (``GET /agentrt/kv``), with the contexts of these programs of a tenant.

        Nothing from a server without our plugin. Raises ``ExecutorError``.
        """
        ...


def kv_teller(channel: HintChannel) -> KvTeller | None:
    """The channel as one that tells of the cache; ``None`` for one that cannot."""
    return cast("KvTeller", channel) if hasattr(channel, "state") else None


async def hint_channel(executor: object) -> HintChannel | None:
    """The channel of an executor that has one: its ``hints()``. Wrappers hand on that of what they wrap."""
    ask = getattr(executor, "hints", None)
    return None if ask is None else cast("HintChannel | None", await ask())


class SGLangHints:
    """Hints to SGLang. Without our plugin, sessions that have ended are closed where the server counts them."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._post = server.plain_post()
        self._known: Capability | None = None

    async def capability(self) -> Capability:
        """See ``HintChannel``."""
        if self._known is None:
            try:
                self._known = _read_capability(await self._server.get(CAPABILITY))
            except Refused as error:
                if error.status not in NO_SUCH_ROUTE:
                    raise
                self._known = Capability()
            if not self._known.protocol:
                self._known = await self._stock()
        return self._known

    async def send(self, hints: Sequence[Hint]) -> None:
        """See ``HintChannel``."""
        known = await self.capability()
        if known.protocol == PROTOCOL:
            await self._tell(batch_to_wire(hints))
        elif known.closes:
            for hint in hints:
                if hint.ended and hint.subject.kind == "session":
                    await self._close(hint.subject)

    async def state(self, programs: Sequence[str], tenant: str) -> Sequence[Mapping[str, Any]]:
        """See ``KvTeller``."""
        if (await self.capability()).protocol != PROTOCOL:
            return []
        headers = {TENANT: tenant} if tenant else None
        answer = await self._server.get(KV, [("program", one) for one in programs], headers)
        states = answer.get("schedulers") if isinstance(answer, dict) else None
        if not isinstance(states, list) or not all(isinstance(one, dict) for one in states):
            raise broken(self._server.name, self._server.url, f"{KV} told nothing of its schedulers")
        return states

    async def close(self) -> None:
        """Give the connection back; twice is fine."""
        if self._post is not None:
            await self._post.close()

    async def _tell(self, batch: dict[str, Any]) -> None:
        try:
            if self._post is None:
                await self._server.post(HINTS, batch)
                return
            before = self._post.opened
            await self._post.post(HINTS, batch)
            if 0 < before < self._post.opened:  # the connection was closed meanwhile, by a server that ended perhaps
                await self._recognise()
        except ExecutorError:
            self._known = None  # it may be another server by now
            raise

    async def _recognise(self) -> None:
        """Raise ``Unreachable`` when another engine answers now than the one that was told so far."""
        now = _read_capability(await self._server.get(CAPABILITY))
        if self._known is not None and now.boot != self._known.boot:
            raise Unreachable(f"{self._server.name} at {self._server.url} was started anew and knows no hints yet")

    async def prefix(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        """See ``HintChannel``. What two conversations that differ in their first word have in common."""
        one, other = [await self._tokens(fixed, tools, word) for word in ("a", "Zebra")]
        same = 0
        while same < min(len(one), len(other)) and one[same] == other[same]:
            same += 1
        return tuple(one[:same])

    async def _tokens(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...], word: str) -> list[int]:
        messages = [chat_message(one) for one in (*fixed, Message("user", word))]
        body: dict[str, Any] = {"messages": messages}
        if tools:
            body["tools"] = [chat_tool(one) for one in tools]
            for tool in body["tools"]:
                tool["function"]["strict"] = True
        answer = await self._server.post("/v1/tokenize", body)
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        return tokens if isinstance(tokens, list) and all(type(one) is int for one in tokens) else []

    async def _stock(self) -> Capability:
        try:
            info = await self._server.get("/server_info")
        except Refused:
            return Capability()
        if not isinstance(info, dict):
            return Capability()
        return Capability(
            pool=int(info.get("max_total_num_tokens") or info.get("max_total_tokens") or 0),
            closes=bool(info.get("enable_session_radix_cache")),
            priority=bool(info.get("enable_priority_scheduling")),
            salt=True,
        )

    async def _close(self, session: Subject) -> None:
        try:
            await self._server.post("/close_session", {"session_id": session.name})
        except ExecutorError as error:
            _log.debug("session %s could not be closed: %s", session.name, error)


def _read_capability(answer: object) -> Capability:
    """What a server says of itself; an answer of another shape says nothing."""
    if not isinstance(answer, dict):
        return Capability()
    known = {one.name: type(one.default) for one in fields(Capability)}
    told = {name: value for name, value in answer.items() if name in known}
    if not all(isinstance(value, (known[name], int)) for name, value in told.items()):
        return Capability()
    return Capability(**told)
