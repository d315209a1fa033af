"""What the tree tells the ledger, and what it asks of it. A fault of ours costs the hints, never the engine.

Standard library only. Every call is guarded: after the first exception the advisor is off, the tree goes on as the
stock one, and the capability that clients ask for says that no hints are taken.
"""

from __future__ import annotations

import functools
import logging
import time
from array import array
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from agentrt.kvcache.sglang.counts import TIERS
from agentrt.kvcache.sglang.order import DEVICE, Place, Tier
from agentrt.kvcache.sglang.subjects import standing

if TYPE_CHECKING:
    from agentrt.kvcache.sglang.ledger import Ledger
    from agentrt.kvcache.sglang.prefetch import Prefetcher

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


def guarded(method: Callable[Concatenate[Advisor, P], T]) -> Callable[Concatenate[Advisor, P], T | None]:
    """``method`` that answers None once anything went wrong, and says so once."""

    @functools.wraps(method)
    def call(self: Advisor, /, *args: P.args, **named: P.kwargs) -> T | None:
        if self.off:
            return None
        began = time.perf_counter()
        try:
            return method(self, *args, **named)
        except Exception:
            self.off = True
            logger.exception("agentrt: a fault in %s; hints are off until the engine starts anew", method.__name__)
            return None
        finally:
            self.spent += time.perf_counter() - began

    return call


class Advisor:
    """Stands between the tree and the ``ledger`` with its ``prefetcher``. ``spent`` is the seconds that took in all."""

    def __init__(self, ledger: Ledger, prefetcher: Prefetcher) -> None:
        self.ledger, self.prefetcher = ledger, prefetcher
        self.off = False
        self.spent = 0.0

    @guarded
    def settle(self) -> None:
        """The tree is at rest: fixed prompts that came in may be cut out now."""
        self.ledger.settle()

    @guarded
    def placed(self, tenant: str, session: str, node: Place, tokens: array[int]) -> None:
        """A request of ``session`` left ``tokens`` in the tree, ending at ``node``."""
        self.ledger.place(tenant, session, node, tokens)

    @guarded
    def split(self, above: Place, node: Place) -> None:
        """``above`` was cut off the start of ``node``."""
        self.ledger.split(above, node)

    @guarded
    def removed(self, node: Place) -> None:
        """``node`` left the tree."""
        self.ledger.removed(node)

    @guarded
    def emptied(self) -> None:
        """The whole tree is gone."""
        self.ledger.emptied()
        self.prefetcher.emptied()

    @guarded
    def order(self, tier: Tier, plain: Callable[[Any], Any]) -> Callable[[Any], Any] | None:
        """The order of eviction, smallest first; ``plain`` where ranks are equal. None where no hint says anything."""
        if self.ledger.silent:
            return None
        self.ledger.refresh()
        rank = self.ledger.ranking.reader(tier)
        return lambda node: (rank(node.id), plain(node))

    @guarded
    def rank(self, node: Place, tier: Tier) -> int:
        """Where ``node`` stands now; asked before it is evicted, told after."""
        return self.ledger.rank(node.id, tier)

    @guarded
    def evicted(self, node: Place, tier: Tier, rank: int | None, tokens: int) -> None:
        """``node``, which stood at ``rank``, was evicted from ``tier`` with so many tokens."""
        self.ledger.counts.evicted[TIERS[tier]][standing(rank or 0)] += tokens
        if tier == DEVICE:
            self.ledger.touched(node)
            self.prefetcher.evicted(node)

    @guarded
    def restored(self, nodes: Iterable[Place], tokens: int) -> None:
        """``nodes`` lie on the device again and count against the budget; a request waited for so many tokens."""
        for node in nodes:
            self.ledger.touched(node)
        self.ledger.dirty = True
        if not self.prefetcher.working:
            self.ledger.counts.loaded += tokens

    @guarded
    def admitted(self, tokens: int, cached: int) -> None:
        """A prompt of so many tokens goes to be computed, except for those that are ``cached``."""
        self.ledger.counts.prompt += tokens
        self.ledger.counts.cached += min(tokens, cached)

    @guarded
    def landed(self) -> None:
        """A load has arrived."""
        self.prefetcher.run()

    @guarded
    def backed(self, host: int) -> None:
        """There is a host tier of so many tokens."""
        self.ledger.host = host
        self.ledger.dirty = True
