"""The HTTP end of the control way; ``control`` tells the whole of it."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sglang.srt.runtime_context import get_parallel
from sglang.srt.utils.auth import AuthLevel, auth_level
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from agentrt.kvcache.hints import batch_from_wire
from agentrt.kvcache.sglang.control import AgentrtControlReq, AgentrtControlReqOutput
from agentrt.kvcache.sglang.desk import Kind
from agentrt.kvcache.sglang.pulse import Pulse

MAX_BODY = 8 << 20
"""Bytes of a batch."""

PATIENCE = 60.0
"""Seconds to wait for the schedulers; one that computes answers after its step."""

TENANT = "x-agentrt-tenant"
"""The header that names the tenant to show, by its salt."""


class Refused(Exception):
    """The caller gets ``status`` and ``{"error": message}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Waiting:
    """The answers to one message so far; ``done`` holds them once there is one from each of ``replicas``."""

    replicas: int
    done: asyncio.Future[list[AgentrtControlReqOutput]]
    answers: list[AgentrtControlReqOutput] = field(default_factory=list)

    def add(self, answer: AgentrtControlReqOutput) -> None:
        """Take an answer; the last one ends the wait."""
        self.answers.append(answer)
        if len(self.answers) == self.replicas and not self.done.done():
            self.done.set_result(sorted(self.answers, key=lambda one: one.replica))


class Way:
    """Our routes, and what they need of SGLang's tokenizer ``manager``; ``now`` is the clock of all hints, seconds."""

    def __init__(self, manager: Any, now: Callable[[], float] = time.monotonic) -> None:
        self._manager, self._now = manager, now
        self._waiting: dict[str, Waiting] = {}
        self._pulse = Pulse(self.tick, self._any_live)

    def mount(self, app: Any, keys: bool) -> None:
        """Add the routes to ``app``; ``keys`` says whether it asks for any, and so can tell an administrator."""
        app.add_route("/agentrt/hints", self.hints, methods=["POST"], include_in_schema=False)
        app.add_route("/agentrt/kv", self.kv, methods=["GET"], include_in_schema=False)
        app.add_route("/agentrt/capability", self.capability, methods=["GET"], include_in_schema=False)
        if keys:
            app.add_route("/agentrt/kv/all", self.kv_all, methods=["GET"], include_in_schema=False)

    # -- routes ----------------------------------------------------------------------------------------------

    async def hints(self, request: Request) -> JSONResponse:
        """Apply a batch in every scheduler. 400 for a malformed one, which is then ignored as a whole."""
        try:
            batch = read_batch(await body_of(request))
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        self._pulse.wake()
        return await self._answer("hints", hints=batch)

    async def kv(self, request: Request) -> JSONResponse:
        """The ledgers as far as one tenant may see them, of all programs or those that the query names."""
        programs = request.query_params.getlist("program")
        return await self._answer("state", tenant=request.headers.get(TENANT, ""), programs=programs)

    @auth_level(AuthLevel.ADMIN_FORCE)  # type: ignore[untyped-decorator]
    async def kv_all(self, _: Request) -> JSONResponse:
        """The ledgers, whole."""
        return await self._answer("state", tenant=None)

    async def capability(self, _: Request) -> JSONResponse:
        """What hints can do here; replicas are alike, so sizes are summed and the rest is the first one's."""
        try:
            answers = await self.ask("capability")
        except TimeoutError:
            return _late()
        whole = dict(answers[0].body)
        whole |= {tier: sum(one.body[tier] for one in answers) for tier in ("pool", "host")}
        return JSONResponse(whole | {"schedulers": len(answers)})

    async def _answer(self, kind: Kind, **fields: Any) -> JSONResponse:
        try:
            answers = await self.ask(kind, **fields)
        except TimeoutError:
            return _late()
        worst = max(answers, key=lambda one: one.status)
        if worst.status != 200:
            return JSONResponse(worst.body, worst.status)
        return JSONResponse({"schedulers": [one.body for one in answers]})

    # -- messages --------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Send the time; nobody answers."""
        self._send(AgentrtControlReq(kind="tick", now=self._now()))

    def announce(self) -> None:
        """Hints come by another way than ours: let their clock run."""
        self.tick()
        self._pulse.wake()

    async def ask(self, kind: Kind, **fields: Any) -> list[AgentrtControlReqOutput]:
        """Send a message and return the answers, in order of replicas. Raises ``TimeoutError``."""
        self._manager.auto_create_handle_loop()
        rid = uuid.uuid4().hex
        waiting = Waiting(get_parallel().num_dp_ranks, asyncio.get_running_loop().create_future())
        self._waiting[rid] = waiting
        try:
            self._send(AgentrtControlReq(rid=rid, kind=kind, now=self._now(), **fields))
            return await asyncio.wait_for(waiting.done, PATIENCE)
        finally:
            del self._waiting[rid]

    def take(self, answer: AgentrtControlReqOutput) -> None:
        """Take one replica's answer; late ones are dropped."""
        waiting = self._waiting.get(answer.rid)
        if waiting is not None:
            waiting.add(answer)

    async def _any_live(self) -> bool:
        return any(one.body.get("live", True) for one in await self.ask("look"))

    def _send(self, message: AgentrtControlReq) -> None:
        self._manager._dispatch_to_scheduler(message)


def _late() -> JSONResponse:
    return JSONResponse({"error": f"the schedulers did not answer within {PATIENCE:g} s"}, 504)


async def body_of(request: Request) -> bytes:
    """The body, refused with 413 as soon as it is too long."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise Refused(413, f"more than {MAX_BODY} bytes in one batch of hints; send several")
    except ClientDisconnect as error:
        raise Refused(400, "the body ended too early") from error
    return bytes(body)


def read_batch(body: bytes) -> list[Any]:
    """The hints of a batch. Raises ``Refused`` with what is wrong; a tenant is never repeated."""
    try:
        wire = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is no JSON") from error
    try:
        return batch_from_wire(wire)
    except ValueError as error:
        raise Refused(400, without_tenants(str(error), wire)) from error


def without_tenants(text: str, wire: Any) -> str:
    """``text`` with every tenant that ``wire`` names starred out: a message may be logged by whoever gets it."""
    hints = wire.get("hints") if isinstance(wire, dict) else None
    for hint in hints if isinstance(hints, list) else ():
        tenant = hint.get("tenant") if isinstance(hint, dict) else None
        if tenant:
            text = text.replace(repr(tenant), "'***'")
    return text
