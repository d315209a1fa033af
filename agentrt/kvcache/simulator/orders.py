"""What is evicted first: orders over the leaves of a pool. Smallest rank first, as SGLang's strategies answer."""

from __future__ import annotations

import math
from typing import Any, Final, Protocol

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.pool import Node


class Order(Protocol):
    """``rank`` answers a comparable for an evictable leaf, smallest evicted first; ``whole``: nodes go as one."""

    name: str
    whole: bool

    def begin(self, now: float) -> None:
        """An eviction begins; ranks are asked for next."""
        ...

    def rank(self, node: Node) -> Any:
        """Where the node stands now."""
        ...


class _Plain:
    """An order that needs no preparation."""

    def begin(self, now: float) -> None:
        """See ``Order``."""


class Lru(_Plain):
    """Least recently used first: SGLang's default."""

    name, whole = "lru", True

    def rank(self, node: Node) -> float:
        """The time of its last use."""
        return node.touched


class Slru(_Plain):
    """Nodes found fewer than ``threshold`` times first, each class by recency: SGLang's ``slru``."""

    name, whole = "slru", True

    def __init__(self, threshold: int = 2) -> None:
        self.threshold = threshold

    def rank(self, node: Node) -> tuple[bool, float]:
        """Class, then recency."""
        return node.hits >= self.threshold, node.touched


class Belady(_Plain):
    """Furthest next use first, never again before all others; of equals the larger (Bélády, IBM Systems Journal 1966).

    It knows the rest of the sequence. With ``whole`` false it evicts single tokens from the end of a node. A parent is
    needed no later than its children, so the order agrees with the tree, and all tokens count alike: for a fixed
    sequence with fixed locks Bélády's exchange argument holds and no order computes fewer tokens again. With whole
    nodes items differ in size, for which no greedy order is optimal: that one only says what an engine that evicts
    whole nodes and knew the future by this rule would do.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self.name = "belady-nodes" if whole else "belady"

    def rank(self, node: Node) -> tuple[float, int]:
        """The next use, furthest first, then the size."""
        return (-node.uses[-1] if node.uses else -math.inf), -node.have


ORDERS: Final = {"lru": Lru, "slru": Slru, "belady": Belady}


def order(name: str) -> Order:
    """The order of that name: ``lru``, ``slru``, ``belady`` or ``belady-nodes``. Raises ``ConfigError`` otherwise."""
    if name == "belady-nodes":
        return Belady(whole=True)
    if name not in ORDERS:
        raise ConfigError(f"no eviction order is called {name!r}; there are {', '.join([*ORDERS, 'belady-nodes'])}")
    made: Order = ORDERS[name]()
    return made
