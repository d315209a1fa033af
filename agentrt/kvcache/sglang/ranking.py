"""The rank of every node, kept up to date at the cost of what changed. Standard library only.

A node that one subject alone holds ranks by that subject, whatever the length of its context; only shared nodes, and
the start of a context that fits in part, have ranks of their own. So ranking anew costs as much as there are
subjects, not nodes: well under a millisecond for two hundred, where they hold ten thousand nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any

from agentrt.kvcache.sglang.order import DEVICE, HOST, Place, Ranks, Tier, Trail, rank, upwards, urgency, worth
from agentrt.kvcache.sglang.owners import Owners
from agentrt.kvcache.sglang.subjects import SHARED, Known


class Ranking:
    """Ranks on the device and on the host. ``sizes`` says how many tokens of a node lie in each of them."""

    def __init__(self, owners: Owners, sizes: Callable[[Any], tuple[int, int]]) -> None:
        self.owners, self.sizes = owners, sizes
        self.tiers = (Ranks(), Ranks())
        self._shape = 0  # grows when a node changed that several trails may hold

    def of(self, node_id: int, tier: Tier = DEVICE) -> int:
        """Where a node stands: smaller is evicted earlier. -1 ended, 0 unhinted, from 1 hinted."""
        return self.reader(tier)(node_id)

    def reader(self, tier: Tier) -> Callable[[int], int]:
        """``of`` for ``tier``, for many nodes in a row: every evictable leaf is looked up at each eviction."""
        apart, owner = self.tiers[tier].by_node.get, self.owners.by_node.get
        return lambda node_id: apart(node_id) or owner(node_id, SHARED).ranks[tier]

    def renew(self, valid: Iterable[Known], device: int, host: int, now: float) -> None:
        """Rank what the ``valid`` hints hold within budgets of so many tokens; ``now`` is on the ledger's clock."""
        trails = {known: self.trail(known) for known in valid}
        on_device = rank(trails, DEVICE, urgency, self._tokens, device)
        for known in trails:
            known.clipped = id(known) in on_device.clipped
        behind = Ranks()
        if host:
            behind = rank(trails, HOST, lambda known: worth(known, trails[known].depth, now), self._tokens, host)
        self.tiers = (on_device, behind)

    def at_least(self, least: int, valid: Iterable[Known]) -> Iterator[int]:
        """The ids of all nodes of at least rank ``least`` on the device, ``least`` being above 0."""
        yield from (node_id for node_id, found in self.tiers[DEVICE].by_node.items() if found >= least)
        for known in valid:
            if known.ranks[DEVICE] >= least:
                yield from (node.id for node in self.trail(known).own)

    def trail(self, known: Known) -> Trail:
        """The nodes of a context, kept until one of them changes."""
        if known.trail is not None and known.trail.shape == self._shape:
            return known.trail
        nodes = list(upwards(known.leaf))
        own = list(takewhile(lambda node: self.owners.of(node.id) is known, nodes))
        sizes = [self._tokens(node) for node in nodes]
        device, behind = (sum(size[tier] for size in sizes[: len(own)]) for tier in (DEVICE, HOST))
        known.trail = Trail(own, nodes[len(own) :], (device, behind), sum(map(max, sizes)), self._shape)
        return known.trail

    def _tokens(self, node: Any) -> tuple[int, int]:
        device, host = self.sizes(node)
        return device, 0 if device else host

    # -- the tree changes ------------------------------------------------------------------------------------

    def touched(self, node: Place) -> None:
        """``node`` was split, removed, loaded or evicted: trails that hold it are out of date."""
        self.owners.of(node.id).trail = None
        if node.id in self.tiers[DEVICE].shared:
            self._shape += 1

    def shared(self, node: Place, owner: Known) -> None:
        """``node`` keeps the rank that it has by its ``owner``, who shares it from now on."""
        for tier, ranks in enumerate(self.tiers):
            if owner.ranks[tier] > 0:
                ranks.by_node[node.id] = owner.ranks[tier]
                ranks.shared.add(node.id)

    def split(self, above: Place, node: Place) -> None:
        """``above``, cut off the start of ``node``, ranks as it does."""
        for ranks in self.tiers:
            if node.id in ranks.by_node:
                ranks.by_node[above.id] = ranks.by_node[node.id]

    def removed(self, node: Place) -> None:
        """``node`` left the tree."""
        for ranks in self.tiers:
            ranks.by_node.pop(node.id, None)
