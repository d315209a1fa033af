"""Loading contexts from the host tier before their requests come.

A hint asks for it when its subject is needed next. The load takes only room that is worth less than what it brings:
free slots, and what ranks strictly below. While a path is loading, requests on it are passed over at admission, and
those behind them are not held up:

    hint --> load_back, start_loading --> copy, on its own stream --> acknowledged, by all ranks together --> admitted
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentrt.kvcache.sglang.order import upwards
from agentrt.kvcache.sglang.subjects import Known

if TYPE_CHECKING:
    from agentrt.kvcache.sglang.tree import HintedTreeCore

MOST: Final = 8192
"""Tokens in one prefetch; the next starts when it has arrived. A request that must load for itself waits behind it on
the same stream: at 128 KB a token and 25 GB a second 40 ms at most."""

SPARE: Final = 20
"""One part in this many of the pool is left alone, for requests that are decoding."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A load on its way: the path from ``leaf`` up to ``start``, which was on the device before."""

    leaf: Any
    start: Any


class Prefetcher:
    """Loads what the ledger's ``wanted`` subjects need. One batch at a time, so that requests find a free slot."""

    def __init__(self, tree: HintedTreeCore) -> None:
        self.tree = tree
        self.working = False
        self.flights: list[Flight] = []
        self._unused: dict[int, tuple[int, Any]] = {}  # node id -> tokens, and when it was last used before

    @property
    def able(self) -> bool:
        """Whether there is a host tier of the plain kind: full attention, kept in main memory, no outside store."""
        tree, cache = self.tree, self.tree.cache
        plain = len(tree.components) == 1 and cache.linker is None and cache.buffer_pipeline is None
        return plain and cache.pp_size == 1 and cache.cache_controller is not None

    @property
    def flying(self) -> bool:
        """Whether a prefetch is not yet acknowledged. All ranks of a tensor-parallel group agree on this."""
        if self.flights:
            under_way = self.tree.cache.ongoing_load_back
            self.flights = [flight for flight in self.flights if flight.leaf.id in under_way]
        return bool(self.flights)

    def run(self) -> None:
        """Start what is wanted and has room; the rest is tried again after the next arrival or message."""
        ledger = self.tree.advisor.ledger
        if not ledger.wanted or not self.able or self.flying:
            return
        controller = self.tree.cache.cache_controller
        if controller.load_queue or not self.tree.cache.has_free_load_back_slot():
            return
        ledger.refresh()
        left = MOST
        for known in sorted(ledger.wanted, key=self._rank, reverse=True):
            left -= self._load(known, left)
        if self.flights:
            controller.start_loading()

    def on_its_way(self, node_id: int) -> bool:
        """Whether the path to this node is loading now: a request on it must not read it yet."""
        if not self.flying:
            return False
        loading = {node.id for flight in self.flights for node in _between(flight.leaf, flight.start)}
        return any(node.id in loading for node in upwards(self.tree._node_arena.get(node_id)))

    def evicted(self, node: Any) -> None:
        """Note that ``node`` left the device: if no request used it since, its prefetch was in vain."""
        tokens, used = self._unused.pop(node.id, (0, None))
        if tokens and node.last_access_time == used:
            self.tree.advisor.ledger.counts.prefetched_in_vain += tokens

    def emptied(self) -> None:
        """Note that the whole tree is gone."""
        self.flights, self._unused = [], {}

    def _rank(self, known: Known) -> int:
        return self.tree.advisor.ledger.rank(known.leaf.id) if known.leaf is not None else 0

    def _load(self, known: Known, most: int) -> int:
        """Load as much of the subject's path as there is room for; return the tokens."""
        wanted = self.tree.advisor.ledger.wanted
        if known.leaf is None:
            return 0  # its context is not known yet
        missing = _missing(known.leaf)
        if not missing:
            wanted.pop(known)
            return 0
        fitting = _fitting(missing, min(most, self._room(self._rank(known))))
        if not fitting:
            return 0
        if len(fitting) == len(missing):
            wanted.pop(known)
        return self._start(fitting)

    def _start(self, nodes: list[Any]) -> int:
        tokens, start = sum(len(node.key) for node in nodes), nodes[0].parent
        self.working = True
        try:
            started = self.tree.cache.load_back(nodes[-1].id)
        finally:
            self.working = False
        if not started:  # too short to be worth it, or being loaded for another
            return 0
        self.flights.append(Flight(nodes[-1], start))
        self.tree.advisor.ledger.counts.prefetched += tokens
        for node in nodes:
            self._unused[node.id] = (len(node.key), node.last_access_time)
        return tokens

    def _room(self, rank: int) -> int:
        """Tokens that are free or rank below ``rank``, less what is spared. Unranked contexts get free slots only."""
        tree, ledger = self.tree, self.tree.advisor.ledger
        free: int = tree.cache.token_to_kv_pool_allocator.available_size() - ledger.pool // SPARE
        if rank == 0:
            return free
        return free + int(tree.full_evictable_size()) - tree.kept(rank)


def _missing(leaf: Any) -> list[Any]:
    """The nodes of the path to ``leaf`` that lie on the host alone, from the root down."""
    nodes = []
    for node in upwards(leaf):
        if not node.evicted:
            break
        if not node.backuped:
            return []
        nodes.append(node)
    return nodes[::-1]


def _fitting(nodes: list[Any], room: int) -> list[Any]:
    taken = []
    for node in nodes:
        room -= len(node.key)
        if room < 0:
            break
        taken.append(node)
    return taken


def _between(leaf: Any, start: Any) -> list[Any]:
    nodes = []
    node = leaf
    while node is not start:
        nodes.append(node)
        node = node.parent
    return nodes


def pass_over_loading(admit: Any, adder: Any, request: Any, *args: Any, **named: Any) -> Any:
    """Around SGLang's ``PrefillAdder.add_one_req``: leave a request whose path is loading in the queue, and go on.

    What is admitted is counted, with what of it the cache had.
    """
    tree: Any = getattr(adder.tree_cache, "tree_core", None)
    if getattr(tree, "prefetcher", None) is None:
        return admit(adder, request, *args, **named)
    if tree.prefetcher.on_its_way(request.last_node):
        from sglang.srt.managers.schedule_policy import AddReqResult

        return AddReqResult.CONTINUE
    found = getattr(adder, "log_hit_tokens", 0)
    verdict = admit(adder, request, *args, **named)
    if any(one is request for one in adder.can_run_list[-1:]) and not getattr(request, "retracted_stain", False):
        tree.advisor.admitted(len(request.origin_input_ids), getattr(adder, "log_hit_tokens", 0) - found)
    return verdict
