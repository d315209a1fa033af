"""The control way into the engine: hints, and questions about them, with or without a request in flight.

    POST /agentrt/hints       a batch (``batch_to_wire``) -> {"schedulers": [{"accepted", "ignored", "clipped"}, ...]}
    GET  /agentrt/kv          how full the tiers are and what hints hold, for people; totals, and the subjects of the
                              tenant in ``X-Agentrt-Tenant``, with ``?program=...`` (repeated for several) only theirs
    GET  /agentrt/kv/all      the same for every tenant; needs the server's admin key
    GET  /agentrt/capability  the fields of ``Capability``, the engine's eviction policy, and ``why`` if protocol is 0

    client --HTTP--> Way (HTTP process) --IPC--> [data-parallel controller] --> Desk (every scheduler) --> Ledger
                      Pulse: the clock                                           Exporter: /metrics

**One order.** The HTTP process reads and checks a batch, stamps it with its clock and sends it over the socket that
requests take. SGLang forwards it to every data-parallel replica and broadcasts it to the ranks of each with the
requests, so all ranks see one order. Batches are sent in the order of their arrival and not held back by each
other's answers; generation numbers settle what is left.

**One clock.** ``Pulse`` sends the time while hints are valid; a scheduler reads none for hints.

**Tenants.** The tenant of a hint is the ``cache_salt`` of its requests. Where several tenants share one API key the
salt itself is what grants: whoever knows it can hint that tenant's KV and ask for its sessions, and could as well
read its cached prefixes by timing. So a salt must be a secret that cannot be guessed (16 random bytes, say), not a
customer's name. Here it is never in an address, a log line or an answer. A made-up tenant touches nobody's KV: its
hints are kept within the ledger's bounds and have no context to act on.

**Several HTTP processes.** With tokenizer workers each has the routes and a pulse. They share the machine's clock, a
ledger's never goes back, and generation numbers order what different workers bring. SGLang takes no keys then, so the
view of every tenant is not served. Behind its Rust server or gRPC there are no routes: a client gets 404, or nothing,
and takes that for no hints. Envelopes come through there too, but without a clock they could not expire: ignored.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from sglang.srt.managers.io_struct import BaseReq, hook_custom_types
from sglang.srt.plugins.hook_registry import HookRegistry, HookType

from agentrt.kvcache.hints import Hint
from agentrt.kvcache.sglang import metrics
from agentrt.kvcache.sglang.desk import Desk, Kind

SCHEDULER = "sglang.srt.managers.scheduler.Scheduler."
TOKENIZER = "sglang.srt.managers.tokenizer_manager.TokenizerManager."
HTTP = "sglang.srt.entrypoints.http_server"
WORKERS = "agentrt.kvcache.sglang.workers:app"


class AgentrtControlReq(BaseReq, kw_only=True):  # type: ignore[misc, call-arg]  # SGLang's are Any here
    """From the HTTP process to every scheduler; the fields are those of ``desk.Message``."""

    kind: Kind
    now: float
    hints: list[Hint] = []  # noqa: RUF012 - a msgspec field, copied for each message
    tenant: str | None = None
    programs: list[str] = []  # noqa: RUF012 - the same


class AgentrtControlReqOutput(BaseReq, kw_only=True):  # type: ignore[misc, call-arg]
    """From the first rank of every replica back; ``replica`` is its number."""

    replica: int
    status: int
    body: dict[str, Any]


def install() -> None:
    """Make the two messages known, and hook both their ends; runs in every process of the engine."""
    os.environ.setdefault("SGLANG_HTTP_SERVER_APP_PATH", WORKERS)
    hook_custom_types(AgentrtControlReq, AgentrtControlReqOutput)
    HookRegistry.register(SCHEDULER + "init_request_dispatcher", attend, HookType.AFTER)
    HookRegistry.register(SCHEDULER + "handle_generate_request", open_envelope, HookType.BEFORE)
    HookRegistry.register(SCHEDULER + "process_input_requests", metrics.export, HookType.AFTER)
    HookRegistry.register(TOKENIZER + "init_request_dispatcher", open_way, HookType.AFTER)
    HookRegistry.register(TOKENIZER + "generate_request", announce_envelope, HookType.BEFORE)


# -- in a scheduler ------------------------------------------------------------------------------------------


def attend(_: None, scheduler: Any) -> None:
    """Put a desk into a scheduler that is being set up, and give it our messages."""
    from sglang.srt.runtime_context import get_parallel
    from sglang.utils import TypeBasedDispatcher

    desk = scheduler.agentrt_desk = Desk(scheduler)
    replica = get_parallel().dp_rank or 0

    def take(message: AgentrtControlReq) -> AgentrtControlReqOutput | None:
        answer = desk.take(message)
        if answer is None:
            return None
        return AgentrtControlReqOutput(rid=message.rid, replica=replica, status=answer.status, body=answer.body)

    scheduler._request_dispatcher += TypeBasedDispatcher([(AgentrtControlReq, take)])


def open_envelope(scheduler: Any, request: Any, **_: Any) -> None:
    """Apply the hints on a request before the request itself is taken."""
    if request.kv_hints is not None:
        scheduler.agentrt_desk.open(request)


# -- in the HTTP process -------------------------------------------------------------------------------------


def open_way(_: None, manager: Any) -> None:
    """Add our routes to the server's app, if this process has one, before the server decides on its keys."""
    server = sys.modules.get(HTTP)
    if server is None:
        return
    from sglang.srt.runtime_context import get_serving
    from sglang.utils import TypeBasedDispatcher

    from agentrt.kvcache.sglang.routes import Way

    way = manager.agentrt_way = Way(manager)
    manager._result_dispatcher += TypeBasedDispatcher([(AgentrtControlReqOutput, way.take)])
    way.mount(server.app, keys=get_serving().tokenizer_worker_num == 1)


def announce_envelope(manager: Any, request: Any, *_: Any, **__: Any) -> None:
    """Send the time ahead of a request that carries hints, and keep sending it."""
    way = getattr(manager, "agentrt_way", None)
    if way is not None and getattr(request, "kv_hints", None):
        way.announce()
