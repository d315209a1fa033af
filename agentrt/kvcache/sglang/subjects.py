"""What the ledger remembers of one subject, and how it is shown to people. Standard library only."""

from __future__ import annotations

import hashlib
import math
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

from agentrt.kvcache.hints import Hint, Subject
from agentrt.kvcache.sglang.counts import Standing
from agentrt.kvcache.sglang.order import Trail

ENDED: Final = -1
"""The rank of a node that only ended sessions ever used."""

UNHINTED: Final = 0
"""The rank of a node that no valid hint covers within the budget. Hinted nodes have ranks from 1."""


@dataclass(slots=True, eq=False)
class Known:
    """A subject: its newest hint, and the deepest node of its context. Session and agent alike.

    ``until`` and ``due`` are on the ledger's clock: when the hint stops being valid, and when the context is expected
    back (infinite when unknown). ``owned`` counts the nodes that no one else ever used, and ``ranks`` are theirs on
    the device and on the host. ``past`` owns those that the context no longer passes through, a turn said in other
    words; they go when the session ends. ``prefix`` is an agent's fixed prompt.
    """

    tenant: str
    subject: Subject
    hint: Hint | None = None
    until: float = -math.inf
    due: float = math.inf
    leaf: Any = None
    owned: int = 0
    ended: bool = False
    clipped: bool = False
    prefix: array[int] | None = None
    trail: Trail | None = None
    past: Known | None = None
    ranks: list[int] = field(default_factory=lambda: [UNHINTED, UNHINTED])

    @property
    def priority(self) -> float:
        """The hint's priority."""
        return self.hint.priority if self.hint else 0.0

    @property
    def steps(self) -> int | None:
        """The hint's steps to execution."""
        return self.hint.steps if self.hint else None

    def end(self, ended: bool) -> None:
        """Say whether the session ended: its nodes rank below all others from now on, or are unhinted again."""
        self.ended = ended
        self.ranks[:] = [ENDED, ENDED] if ended else [UNHINTED, UNHINTED]
        if self.past is not None:
            self.past.ranks[:] = self.ranks


SHARED: Final = Known("", Subject("agent", "*"))
"""The owner of a node that more than one used, or that is part of a fixed prompt."""

STRANGER: Final = Known("", Subject("agent", "?"))
"""The owner of a node that only requests without a session used."""


def shown(known: Known, now: float, *, valid: bool) -> dict[str, Any]:
    """``known`` as plain JSON; ``now`` is on the ledger's clock, ``valid`` says whether its hint still holds."""
    hint = known.hint or Hint(subject=known.subject, generation=0)
    return {
        "tenant": digest(known.tenant),
        "subject": list(known.subject),
        "agent": hint.agent,
        "generation": hint.generation,
        "class": "hinted" if valid else "ended" if known.ended else "unhinted",
        "priority": hint.priority,
        "steps": hint.steps,
        "remaining": None if hint.remaining is None else max(0.0, known.due - now),
        "keep": max(0.0, known.until - now),
        "tool": hint.tool,
        "prefetch": hint.prefetch,
        "clipped": known.clipped,
    }


def digest(tenant: str) -> str:
    """A name for ``tenant`` that does not give its salt away; empty for those who have none."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:12] if tenant else ""


def standing(rank: int) -> Standing:
    """The class of a node of ``rank``."""
    return "hinted" if rank > 0 else "unhinted" if rank == UNHINTED else "ended"
