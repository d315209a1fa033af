"""Hints that ride on a request: SGLang's ``kv_hints`` envelope on ``/generate``, as far as it is for us.

    {"protocol_version": "1", "message_id": "...", "actions": [
        {"action_id": "...", "action_type": "agentrt.hint", "action_version": "1", "payload": {...}}]}

``payload`` is what ``Hint.to_wire`` writes. Actions of other types are left to whoever they are for. A request speaks
for its own tenant alone: its ``cache_salt`` takes the place of any tenant the payload names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from agentrt.kvcache.hints import Hint

ACTION_TYPE: Final = "agentrt.hint"
ACTION_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Opened:
    """The hints of an envelope in order, and what was wrong with those that could not be read."""

    hints: tuple[Hint, ...] = ()
    faults: tuple[str, ...] = ()


def read(envelope: Any, salt: str | None) -> Opened:
    """Take our actions out of SGLang's ``KvHintsEnvelope``; ``salt`` is the request's own.

    Never raises for what a client wrote: advice that cannot be read must not cost the request.
    """
    hints, faults = [], []
    for action in envelope.actions:
        if action.action_type != ACTION_TYPE:
            continue
        try:
            hints.append(_hint(action, salt or ""))
        except ValueError as error:
            faults.append(str(error))
    return Opened(tuple(hints), tuple(faults))


def _hint(action: Any, tenant: str) -> Hint:
    if action.action_version != ACTION_VERSION:
        raise ValueError(f"{ACTION_TYPE} version {action.action_version!r} is not read here; write {ACTION_VERSION!r}")
    return replace(Hint.from_wire({**action.payload, "tenant": ""}), tenant=tenant)
