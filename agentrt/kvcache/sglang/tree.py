"""SGLang's radix tree with an order that knows the hints: the Python tree core, told what to evict first.

SGLang picks its tree core by name (``SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND``) from a public registry. This one is
the stock Python core with the ledger watching: which session an insert belongs to, which nodes split and leave. An
eviction takes ended contexts first, then all that nobody hinted, in the order of the eviction policy that the server
was started with, then hinted ones by rank. Without hints it is the stock core. Only full attention is ordered so; the
state of sliding windows and of Mamba layers keeps SGLang's own order.
"""

from __future__ import annotations

import logging
import math
import os
from array import array
from collections.abc import Callable
from typing import Any, Final

from sglang.srt.mem_cache.radix_cache import RadixKey
from sglang.srt.mem_cache.unified_cache.component_type import ComponentType
from sglang.srt.mem_cache.unified_cache.unified_tree_core import UnifiedTreeCore

from agentrt.kvcache.sglang.advisor import Advisor
from agentrt.kvcache.sglang.ledger import Ledger
from agentrt.kvcache.sglang.order import DEVICE, HOST, Tier
from agentrt.kvcache.sglang.prefetch import Prefetcher

logger = logging.getLogger(__name__)

FULL: Final = ComponentType.FULL

BUDGET: Final = "AGENTRT_KV_BUDGET"
"""Environment variable: the share of each tier that hints may protect, from 0 to 1."""

DEFAULT_BUDGET: Final = 0.9

CHUNK: Final = 64
"""Tokens: the least that is evicted of a hinted node, and the least that is kept of it. Smaller pieces would have every
step of a decoding batch evict, and leave a tree of crumbs."""

WATCHED: Final = (
    "_evict_host_leaf", "_remove_leaf_from_parent", "_split_node", "_unevict_node_on_insert", "begin_insert",
    "commit_load_back", "demote", "drive_host_eviction", "evict_device_leaf", "evict_device_next_node",
    "evict_device_start", "finish_load_back", "reset", "resume_insert", "set_hicache_enabled",
)  # fmt: skip
"""What of the stock core we override. A release that renamed one would silently stop telling us."""

HOOKED: Final = ("add_one_req",)
"""What of SGLang's ``PrefillAdder`` we keep requests off a loading path by: else they would read half a context."""


def build(params: Any, components: dict[Any, Any]) -> Any:
    """Make the tree core of one scheduler process, as SGLang's registry asks for it.

    In a release of SGLang that lacks a method we override or hook, this is the stock Python core: slower caching beats
    wrong bookkeeping, and the capability that clients ask for says that no hints are taken.
    """
    from sglang.srt.managers.schedule_policy import PrefillAdder

    needed = ((UnifiedTreeCore, WATCHED), (PrefillAdder, HOOKED))
    missing = [f"{one.__name__}.{name}" for one, names in needed for name in names if not hasattr(one, name)]
    if missing:
        logger.warning("agentrt: this SGLang has no %s; hints are off", ", ".join(missing))
        return UnifiedTreeCore(params, components)
    return HintedTreeCore(params, components)


def budget() -> float:
    """The share of a tier that hints may protect. Raises ``ValueError`` where the variable holds no such number."""
    text = os.environ.get(BUDGET, "")
    try:
        share = float(text) if text else DEFAULT_BUDGET
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"{BUDGET}={text!r}: expected a number from 0 to 1, the share of the pool hints may protect")
    return share


class HintedTreeCore(UnifiedTreeCore):  # type: ignore[misc]  # SGLang's classes are Any here
    """The stock tree core with a ``ledger`` that ranks its nodes and a ``prefetcher`` that loads what hints ask."""

    def __init__(self, params: Any, components: dict[Any, Any]) -> None:
        allocator = params.token_to_kv_pool_allocator
        self.prefetcher = Prefetcher(self)
        ledger = Ledger(
            pool=allocator.size if allocator is not None else 0,
            budget=budget(),
            sizes=sizes,
            find=self.find,
            then=self.prefetcher.run,
        )
        self.advisor = Advisor(ledger, self.prefetcher)
        self.goal: int | None = None
        self._inserting: Any = None
        super().__init__(params, components)
        self.full: Any = components[FULL]
        self.full._ensure_eviction_strategy()
        self.plain_order: Callable[[Any], Any] = self.full.session_ref_eviction_strategy

    @property
    def ledger(self) -> Ledger | None:
        """The hints of this process; None once a fault has switched them off."""
        return None if self.advisor.off else self.advisor.ledger

    @property
    def cache(self) -> Any:
        """The cache that owns this tree; it runs what the tree decides."""
        return self.full.cache

    # -- what comes and goes ---------------------------------------------------------------------------------

    def begin_insert(self, params: Any) -> Any:
        """Start an insert; the tree is at rest before it, so new fixed prompts are found and cut here."""
        self.advisor.settle()
        self._inserting = params
        return self._noted(super().begin_insert(params))

    def resume_insert(self) -> Any:
        """Go on with an insert that waited for the cache."""
        return self._noted(super().resume_insert())

    def _noted(self, step: Any) -> Any:
        if step.result is not None:
            params, self._inserting = self._inserting, None
            node = self._node_arena[step.result.last_device_node]
            self.advisor.placed(params.key.cache_salt or "", params.session_id or "", node, params.key.token_ids)
        return step

    def _split_node(self, key: Any, child: Any, split_len: int) -> Any:
        node, action = super()._split_node(key, child, split_len)
        self.advisor.split(node, child)
        return node, action

    def _unevict_node_on_insert(self, node: Any, *args: Any, **named: Any) -> None:
        super()._unevict_node_on_insert(node, *args, **named)
        self.advisor.restored([node], 0)

    def _remove_leaf_from_parent(self, node: Any) -> None:
        super()._remove_leaf_from_parent(node)
        self.advisor.removed(node)

    def reset(self) -> None:
        """Empty the tree; hints stay."""
        super().reset()
        self.advisor.emptied()

    def find(self, tenant: str, prefix: array[int]) -> tuple[Any, bool]:
        """The deepest node that lies within ``prefix``, and whether it ends where the prefix does (to the page).

        A node that reaches beyond is cut there, so that what follows the prompt can go without it. Nobody used it
        for that, so both parts keep its recency.
        """
        key, _ = RadixKey(prefix, cache_salt=tenant or None).maybe_to_bigram_view(self.is_eagle)
        key, node, at = key.page_aligned(self.page_size), self.root_node, 0
        while at < len(key):
            child = node.children.get(key.child_key_at(at, self.page_size))
            if child is None or (child.evicted and not child.backuped):
                break
            same = child.key.match_at(key, at, page_size=self.page_size)
            if same < len(child.key):
                if at + same == len(key):
                    return self._cut(child, same), True
                break
            node, at = child, at + same
        return node, 0 < at == len(key)

    def _cut(self, child: Any, length: int) -> Any:
        recency = child.last_access_time
        node, action = self._split_node(child.key, child, length)
        node.last_access_time = child.last_access_time = recency
        if action is not None:
            self.cache._apply_cache_actions([action])
        return node

    # -- eviction --------------------------------------------------------------------------------------------

    def order(self, tier: Tier) -> Callable[[Any], Any]:
        """The order of eviction, smallest first. Where no hint says anything, exactly the stock one."""
        return self.advisor.order(tier, self.plain_order) or self.plain_order

    def evict_device_start(self, component_type: Any, request_cnt: int) -> None:
        """Begin to evict; the component builds its heap from our order."""
        if component_type is FULL:
            self.full.session_ref_eviction_strategy = self.order(DEVICE)
        super().evict_device_start(component_type, request_cnt)

    def evict_device_next_node(self, component_type: Any, tracker: Any) -> Any:
        """Choose the next leaf to evict, and cut off its start where less is enough."""
        result = super().evict_device_next_node(component_type, tracker)
        if component_type is FULL and result.node_id is not None:
            self._spare(self._node_arena[result.node_id])
        return result

    def _spare(self, node: Any) -> None:
        """Keep the start of a hinted context that has to give way: it is still a prefix of what comes back.

        Nodes are as long as turns, and evicting the last one whole would free far more than is needed. Without a hint
        it goes whole, as in the stock tree.
        """
        if self.goal is None or (self.advisor.rank(node, DEVICE) or 0) <= 0:
            return
        short = self.goal - self.cache._component_available_size(FULL)
        kept = (len(node.key) - max(short, CHUNK)) // self.page_size * self.page_size
        if kept >= CHUNK:
            self._cut(node, kept)

    def drive_host_eviction(self, component_type: Any, num_tokens: int) -> Any:
        """Evict from the host tier in its own order. It may run within an eviction from the device."""
        if component_type is not FULL:
            return super().drive_host_eviction(component_type, num_tokens)
        before = self.full.session_ref_eviction_strategy
        self.full.session_ref_eviction_strategy = self.order(HOST)
        try:
            return super().drive_host_eviction(component_type, num_tokens)
        finally:
            self.full.session_ref_eviction_strategy = before

    def evict_device_leaf(self, node_id: int, is_write_back: bool) -> Any:
        """Evict one leaf from the device, and count it."""
        node = self._node_arena[node_id]
        rank = self.advisor.rank(node, DEVICE)
        result = super().evict_device_leaf(node_id, is_write_back)
        return self._counted(result, node, rank)

    def demote(self, node_id: int) -> Any:
        """Evict a leaf whose copy to the host was made just now, and count it."""
        node = self._node_arena[node_id]
        rank = self.advisor.rank(node, DEVICE)
        return self._counted(super().demote(node_id), node, rank)

    def _counted(self, result: Any, node: Any, rank: int | None) -> Any:
        if tokens := result.tracker.get(FULL, 0):
            self.advisor.evicted(node, DEVICE, rank, tokens)
        return result

    def _evict_host_leaf(self, node: Any, *args: Any, **named: Any) -> None:
        rank, tokens = self.advisor.rank(node, HOST), sizes(node)[1]
        super()._evict_host_leaf(node, *args, **named)
        self.advisor.evicted(node, HOST, rank, tokens)

    def kept(self, least: int = 1) -> int:
        """Tokens on the device of at least rank ``least``, above 0, that no running request holds."""
        kept = 0
        for node_id in self.advisor.ledger.ranked(least):
            data = self.node_by_id(node_id).component_data[FULL]
            if data.value is not None and data.lock_ref == 0:
                kept += len(data.value)
        return kept

    # -- the host tier ---------------------------------------------------------------------------------------

    def set_hicache_enabled(self) -> None:
        """Note that there is a host tier."""
        super().set_hicache_enabled()
        self.advisor.backed(self.cache.cache_controller.mem_pool_host.size)

    def commit_load_back(self, node_id: int, device_indices: Any, kv_xfer: Any, comp_xfers: Any) -> Any:
        """Note that a path lies on the device again: it counts against the budget from now on."""
        actions = super().commit_load_back(node_id, device_indices, kv_xfer, comp_xfers)
        self.advisor.restored([self._node_arena[one] for one in kv_xfer.nodes_to_load or ()], len(device_indices))
        return actions

    def finish_load_back(self, anchor_node_id: int) -> None:
        """Note that a load has arrived, on all ranks: the next prefetch may start."""
        super().finish_load_back(anchor_node_id)
        self.advisor.landed()


def towards_goal(evict: Callable[..., Any], cache: Any, params: Any, *args: Any, **named: Any) -> Any:
    """Around SGLang's ``UnifiedRadixCache._evict``: tell our tree how many tokens have to be free in the end."""
    tree = cache.tree_core
    if not isinstance(tree, HintedTreeCore):
        return evict(cache, params, *args, **named)
    before, tree.goal = tree.goal, cache._component_available_size(FULL) + params.num_tokens
    try:
        return evict(cache, params, *args, **named)
    finally:
        tree.goal = before


def sizes(node: Any) -> tuple[int, int]:
    """How many tokens of ``node`` lie on the device and how many on the host."""
    data = node.component_data[FULL]
    length = len(node.key)
    return (0 if data.value is None else length), (0 if data.host_value is None else length)
