"""The scheduler's end of the control way: takes messages, asks the ledger, answers. Standard library only.

One desk sits in every scheduler process. What goes wrong here is logged once and answered as an error: advice never
breaks the loop that it advises. Log lines carry no values of a message, since a tenant's salt may be among them.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import agentrt
from agentrt.kvcache.hints import PROTOCOL, Capability, Hint
from agentrt.kvcache.sglang import envelope
from agentrt.kvcache.sglang.filling import filling

if TYPE_CHECKING:
    from agentrt.kvcache.sglang.ledger import Ledger

logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal["hints", "tick", "look", "state", "capability"]
"""``hints``: apply them. ``tick``: only move the clock, no answer. ``look``: is any hint still valid? ``state``: the
ledger as of the last of the others, for people. ``capability``: what can be asked of this engine."""


class Message(Protocol):
    """What comes in. ``now`` is in seconds of the sender's clock; ``tenant`` is whose subjects a ``state`` shows,
    None for everybody's, and ``programs`` of which of that tenant's programs, empty for all."""

    kind: Kind
    now: float
    hints: list[Hint]
    tenant: str | None
    programs: list[str]


class Answer(NamedTuple):
    """What goes back: an HTTP status and plain JSON."""

    status: int
    body: dict[str, Any]


class Desk:
    """Answers the control messages of one scheduler process; ``scheduler`` is SGLang's."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.boot = secrets.token_hex(4)
        self._spent = 0.0
        self._said: set[str] = set()

    @property
    def ledger(self) -> Ledger | None:
        """The hints of the tree in use, or None when that tree is not ours."""
        return getattr(self._core, "ledger", None)

    @property
    def _core(self) -> Any:
        return getattr(self.scheduler.tree_cache, "tree_core", None)

    @property
    def spent(self) -> float:
        """Seconds that hints took of this scheduler's time: messages, and what the tree asks of the ledger."""
        return self._spent + float(getattr(getattr(self._core, "advisor", None), "spent", 0.0))

    def take(self, message: Message) -> Answer | None:
        """Do what ``message`` asks; None where nothing is to be sent back."""
        began = time.perf_counter()
        try:
            return self._answers[message.kind](self, message)
        except Exception as error:  # noqa: BLE001 - advice must not end the scheduler's loop
            self._complain(f"a {message.kind!r} message", error)
            return self._failed(message, error)
        finally:
            self._spent += time.perf_counter() - began

    def open(self, request: Any) -> None:
        """Apply the hints in the envelope of ``request``, a tokenized ``/generate``.

        They are timed by the last control message. Without any there is no clock they could expire by, and they
        are ignored.
        """
        try:
            self._open(request)
        except Exception as error:  # noqa: BLE001 - nor may it cost the request
            self._complain("an envelope", error)

    def _open(self, request: Any) -> None:
        ledger = self.ledger
        if ledger is None:
            return
        opened = envelope.read(request.kv_hints, request.cache_salt)
        if ledger.clock > 0:
            ledger.apply(opened.hints, ledger.clock)
        else:
            ledger.counts.ignored += len(opened.hints)
        ledger.counts.ignored += len(opened.faults)
        if opened.faults and self._first("malformed"):
            logger.warning("agentrt: an envelope held %d hints that cannot be read", len(opened.faults))

    # -- one method for each kind of message -----------------------------------------------------------------

    def _hints(self, message: Message) -> Answer:
        ledger = self.ledger
        if ledger is None:
            return Answer(501, {"error": self.why_not})
        return Answer(200, asdict(ledger.apply(message.hints, message.now)))

    def _tick(self, message: Message) -> None:
        if self.ledger is not None:
            self.ledger.tick(message.now)

    def _look(self, message: Message) -> Answer:
        self._tick(message)
        return Answer(200, {"live": self.ledger is not None and self.ledger.live})

    def _state(self, message: Message) -> Answer:
        ledger = self.ledger
        if ledger is None:
            return Answer(501, {"error": self.why_not})
        began = time.perf_counter()
        state = ledger.state(message.tenant, frozenset(message.programs)) | filling(self.scheduler, self._core)
        return Answer(200, state | {"spent": self.spent, "took": time.perf_counter() - began})

    def _capability(self, _: Message) -> Answer:
        ledger = self.ledger
        if ledger is None:
            return Answer(200, asdict(self._stock) | {"policy": self.policy, "why": self.why_not})
        found = asdict(self._stock) | {
            "protocol": PROTOCOL,
            "pool": ledger.pool,
            "host": ledger.host,
            "budget": ledger.budget,
            "prefetch": bool(self._core.prefetcher.able),
        }
        return Answer(200, found | {"policy": self.policy})

    _answers: dict[Kind, Callable[[Desk, Message], Answer | None]] = {  # noqa: RUF012 - a table of our own methods
        "hints": _hints,
        "tick": _tick,
        "look": _look,
        "state": _state,
        "capability": _capability,
    }

    # -- what is known of the engine -------------------------------------------------------------------------

    @property
    def _stock(self) -> Capability:
        return Capability(
            version=agentrt.__version__,
            closes=bool(getattr(self.scheduler, "enable_session_radix_cache", False)),
            priority=bool(getattr(self.scheduler, "enable_priority_scheduling", False)),
            salt=True,
            boot=self.boot,
        )

    @property
    def policy(self) -> str:
        """The engine's own eviction policy by name, which also orders what has no hint."""
        return str(getattr(self.scheduler.server_args, "radix_eviction_policy", ""))

    @property
    def why_not(self) -> str:
        """Why hints do nothing here."""
        if hasattr(self._core, "ledger"):  # it is ours, and has given its ledger up
            return "a fault has switched hints off in this engine; its log says where, and a new start brings them back"
        names = type(self.scheduler.tree_cache).__name__
        if self._core is not None:
            names += f" with {type(self._core).__name__}"
        return (
            f"this engine's radix tree is {names}, which knows no hints; start it with agentrt's tree core, or see its "
            f"log for why that was not taken"
        )

    # -- what goes wrong -------------------------------------------------------------------------------------

    def _failed(self, message: Message, error: Exception) -> Answer | None:
        if message.kind == "tick":
            return None
        return Answer(500, {"error": f"the scheduler failed on it ({type(error).__name__}); its log says where"})

    def _first(self, what: str) -> bool:
        fresh = what not in self._said
        self._said.add(what)
        return fresh

    def _complain(self, what: str, error: Exception) -> None:
        if self._first(f"{what}: {type(error).__name__}"):
            trace = "".join(traceback.format_tb(error.__traceback__))
            logger.error("agentrt: %s failed with %s (said once)\n%s", what, type(error).__name__, trace)
