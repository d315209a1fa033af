"""The runs that are told what their engines hear and say of the KV cache: for those who watch, and never in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from agentrt.events import HintsSent, Note
from agentrt.kvcache.hints import Hint
from agentrt.types import RunId


class Listener(NamedTuple):
    """One run while it goes on: its clock in seconds since it started, and where a note of it goes."""

    run: RunId
    now: Callable[[], float]
    tell: Callable[[Note], None]


def tell_hints(listeners: Mapping[RunId, Listener], model: str, hints: Sequence[Hint]) -> None:
    """Tell each run of the hints on its own contexts that ``model``'s engine has just taken."""
    of: dict[str, list[Mapping[str, Any]]] = {}
    for hint in hints:
        of.setdefault(hint.subject.owner, []).append(shown(hint))
    for name, its in of.items():
        listener = listeners.get(RunId(name))
        if listener is not None:
            listener.tell(HintsSent(listener.run, listener.now(), model, tuple(its)))


def shown(hint: Hint) -> Mapping[str, Any]:
    """A hint as JSON for those who watch: without its tenant, which is a key, and how long its prompt is, in tokens."""
    wire = hint.to_wire()
    wire.pop("tenant", None)
    prefix = wire.pop("prefix", None)
    return wire if prefix is None else {**wire, "prefix_tokens": len(prefix)}
