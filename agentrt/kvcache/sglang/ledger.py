"""What one scheduler process knows of the hints it was given. Standard library only, no clock of its own.

With tensor parallelism every rank must evict the same nodes, so time comes with the messages: all ranks receive the
same messages in the same order, and nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentrt.kvcache.hints import Hint, Tally


class Node(Protocol):
    """A node of the engine's radix tree, as far as the ledger looks at it."""

    parent: Any


@dataclass(slots=True)
class Counts:
    """What happened since the engine started. Tokens by class: ``ended``, ``unhinted``, ``hinted``."""

    accepted: int = 0
    ignored: int = 0
    clipped: int = 0
    expired: int = 0
    protected: int = 0
    """Tokens that hints protect on the device now (a gauge)."""
    evicted: dict[str, dict[str, int]] = field(
        default_factory=lambda: {tier: {"ended": 0, "unhinted": 0, "hinted": 0} for tier in ("device", "host")}
    )
    prefetched: int = 0
    prefetched_in_vain: int = 0


class Ledger:
    """Hints by tenant and subject, and where in the tree their contexts lie.

    ``pool`` and ``host`` are the tiers in tokens, ``budget`` the share of each that hints may protect. ``tokens``
    says how many tokens of a node lie on the device and on the host.
    """

    def __init__(
        self, *, pool: int, host: int = 0, budget: float = 0.9, tokens: Callable[[Any], tuple[int, int]]
    ) -> None:
        self.pool, self.host, self.budget, self.tokens = pool, host, budget, tokens
        self.clock = 0.0
        self.counts = Counts()

    def apply(self, hints: Iterable[Hint], now: float) -> Tally:
        """Take a batch in order; ``now`` is in seconds of the sender's clock and never goes back."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Move the clock, so that hints expire while none arrive."""
        raise NotImplementedError

    @property
    def live(self) -> bool:
        """Whether any hint is still valid: whether ticks are wanted."""
        raise NotImplementedError

    def placed(self, tenant: str, session: str, node: Node) -> None:
        """Note that a request of ``session`` left its context ending at ``node``."""
        raise NotImplementedError

    def state(self, tenant: str | None = None) -> dict[str, Any]:
        """The ledger as plain JSON: ``clock``, ``totals``, ``counts``, ``subjects`` (of ``tenant``, or of all).

        A tenant is named by a short digest, never by its salt.
        """
        raise NotImplementedError
