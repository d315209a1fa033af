"""Checks of the hinted tree inside SGLang's own cache, without a model: run by the engine's Python.

``inside_hints.py NAME...`` runs the named checks, all of them when none is named. A check is a function without
arguments whose docstring is its claim; ``test_tree.py`` runs them. The cache, the pools and the host tier are
SGLang's; a request is reduced to what it does to them.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from array import array
from copy import deepcopy
from itertools import count
from pathlib import Path
from types import SimpleNamespace

os.environ["SGLANG_PLATFORM"] = "agentrt_cpu"
os.environ["SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND"] = "agentrt"

import torch
from sglang.srt.plugins import load_plugins

load_plugins()  # before SGLang's classes are imported, as in the engine

from sglang.benchmark import one_batch  # noqa: E402
from sglang.srt.managers.schedule_policy import AddReqResult, PrefillAdder  # noqa: E402
from sglang.srt.mem_cache.allocator.paged import PagedTokenToKVPoolAllocator  # noqa: E402
from sglang.srt.mem_cache.allocator.token import TokenToKVPoolAllocator  # noqa: E402
from sglang.srt.mem_cache.base_prefix_cache import EvictParams, InsertParams, MatchPrefixParams  # noqa: E402
from sglang.srt.mem_cache.cache_init_params import CacheInitParams  # noqa: E402
from sglang.srt.mem_cache.memory_pool import MHATokenToKVPool, ReqToTokenPool  # noqa: E402
from sglang.srt.mem_cache.radix_cache import RadixKey  # noqa: E402
from sglang.srt.mem_cache.unified_cache.component_type import ComponentType  # noqa: E402
from sglang.srt.mem_cache.unified_cache.unified_tree_core import UnifiedTreeCore  # noqa: E402
from sglang.srt.mem_cache.unified_radix_cache import UnifiedRadixCache  # noqa: E402
from sglang.srt.server_args import ServerArgs  # noqa: E402

from agentrt.kvcache.hints import Hint, Subject  # noqa: E402
from agentrt.kvcache.sglang import host_pool, prefetch, tree  # noqa: E402
from agentrt.kvcache.sglang.filling import filling  # noqa: E402

LONG = 40
"""Tokens of a context."""


def prompt(name, length=LONG):
    """Tokens that share nothing with another name's."""
    return [name] * 1 + [1000 + name * 100 + at for at in range(length - 1)]


class Served:
    """SGLang's cache with ``pool`` tokens, and a host tier of ``host`` times that when asked."""

    def __init__(self, pool=200, page=1, host=0, backend=None, policy="lru", write="write_through", sessions=False):
        self.pool, self.page, self.generation = pool, page, count(1)
        self.kv = MHATokenToKVPool(pool, page, torch.float32, 1, 1, 2, "cpu", False)
        make = (pool, torch.float32, "cpu", self.kv, False)
        self.slots = TokenToKVPoolAllocator(*make) if page == 1 else PagedTokenToKVPoolAllocator(pool, page, *make[1:])
        params = CacheInitParams(
            disable=False, req_to_token_pool=ReqToTokenPool(8, 4096, "cpu", False), page_size=page,
            token_to_kv_pool_allocator=self.slots, eviction_policy=policy, tree_components=(ComponentType.FULL,),
            enable_session_radix_cache=sessions, tree_core_backend=backend,
        )  # fmt: skip
        self.cache = UnifiedRadixCache(params)
        self.core = self.cache.tree_core
        self.ledger = getattr(self.core, "ledger", None)
        if host:
            host_pool.fill_gaps()
            self.cache.init_hicache(configure(page, host, write), params)

    # -- what requests do ------------------------------------------------------------------------------------

    def key(self, tokens, salt=""):
        return RadixKey(array("q", tokens), cache_salt=salt or None)

    def ask(self, tokens, session="", salt=""):
        """A request: match, load from the host, allocate, compute, insert. Returns the tokens found on the device."""
        self.events()
        found = self.cache.match_prefix(MatchPrefixParams(key=self.key(tokens, salt)))
        on_device = found.device_prefix_len
        if found.host_hit_length and self.cache.load_back(found.best_match_node):
            self.cache.ready_to_load_host_cache()
            self.cache.check_hicache_events()
            found = self.cache.match_prefix(MatchPrefixParams(key=self.key(tokens, salt)))
        lock = self.cache.lock(found.last_device_node)
        have = self.cache.path_device_indices(found.last_device_node)
        fresh = self.allocate(len(tokens) // self.page * self.page - len(have), have)
        if fresh is not None:
            where = torch.cat((have, fresh))
            self.compute(tokens, where)
            self.cache.insert(
                InsertParams(
                    key=self.key(tokens, salt), value=where, prev_prefix_len=len(have), session_id=session or None
                )
            )
            self.cache.flush_pending_backups()
        self.cache.unlock(lock)
        return on_device

    def allocate(self, tokens, have):
        if tokens == 0:
            return have[:0]
        if short := max(0, tokens - self.slots.available_size()):
            self.cache.evict_for_alloc(EvictParams(num_tokens=short))
        if self.slots.available_size() < tokens:
            return None
        if self.page == 1:
            return self.slots.alloc(tokens)
        past, last = len(have), have[-1:] if len(have) else torch.tensor([-1])
        lengths = torch.tensor([past]), torch.tensor([past + tokens])
        return self.slots.alloc_extend(lengths[0], lengths[0], lengths[1], lengths[1], last, tokens)

    def compute(self, tokens, where):
        """Fill the slots with what only these tokens give, as a model would."""
        for layer in range(2):
            self.kv.k_buffer[layer][where, 0, 0] = torch.tensor(tokens[: len(where)], dtype=torch.float32) + layer

    # -- what is asked of them -------------------------------------------------------------------------------

    def hint(self, *names, kind="session", now=None, **fields):
        now = self.ledger.clock + 0.01 if now is None else now
        told = [Hint(subject=Subject(kind, name), generation=next(self.generation), **fields) for name in names]
        return self.ledger.apply(told, now)

    def match(self, tokens, salt=""):
        """Walk without touching: tokens on the device, tokens on the host alone."""
        node, at, device, host = self.core.root_node, 0, 0, 0
        key = self.key(tokens, salt)
        while at + self.page <= len(key):
            child = node.children.get(key.child_key_at(at, self.page))
            if child is None:
                break
            same = child.key.match_at(key, at, page_size=self.page)
            device += same * (not child.evicted)
            host += same * (child.evicted and child.backuped)
            if same < len(child.key):
                break
            node, at = child, at + same
        return device, host

    def device(self, name, salt=""):
        return self.match(prompt(name), salt)[0]

    def right(self, tokens):
        """Whether the slots of ``tokens`` on the device hold what the model would have put there."""
        found = self.cache.match_prefix(MatchPrefixParams(key=self.key(tokens)))
        where = self.cache.path_device_indices(found.last_device_node)
        expected = torch.tensor(tokens[: len(where)], dtype=torch.float32)
        return all(torch.equal(self.kv.k_buffer[layer][where, 0, 0], expected + layer) for layer in range(2))

    def events(self):
        """What the scheduler does at each turn: acknowledge the copies that are done."""
        if self.cache.cache_controller:
            self.cache.check_hicache_events()

    def evict(self, tokens):
        self.events()
        self.cache.evict(EvictParams(num_tokens=tokens))

    def check(self):
        """SGLang's own sanity check, which is for an engine at rest, and the ledger's places are those of the tree."""
        while self.cache.cache_controller and self.cache.ongoing_load_back:
            self.events()
        self.cache.sanity_check()
        held = sum(len(self.core.node_by_id(at).key) for at in self.core._node_arena if self.on_device(at))
        assert held + self.slots.available_size() == self.pool, (held, self.slots.available_size())
        if self.ledger is not None:
            places = {*self.ledger.owners.by_node, *self.ledger._leaves, *self.ledger.ranking.tiers[0].by_node}
            assert places <= self.core._node_arena.keys()
            assert self.ranks() == self.ranks(anew=True)

    def ranks(self, anew=False):
        """The rank of every node in both tiers; ``anew`` trusts nothing that was kept of earlier rankings."""
        self.ledger.ranking._shape += anew
        self.ledger.dirty = True
        self.ledger.refresh()
        return [self.ledger.rank(node_id, tier) for node_id in self.core._node_arena for tier in (0, 1)]

    def on_device(self, node_id):
        node = self.core.node_by_id(node_id)
        return node.parent is not None and not node.evicted


def configure(page, host, write):
    """SGLang's configuration with a host tier, published as its scheduler does; the model exists by name only."""
    folder = tempfile.mkdtemp()
    shape = dict.fromkeys(("num_hidden_layers", "num_attention_heads", "num_key_value_heads"), 2)
    model = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "vocab_size": 128}
    described = json.dumps(model | shape | {"intermediate_size": 64, "max_position_embeddings": 4096})
    Path(folder, "config.json").write_text(described)
    args = ServerArgs(
        model_path=folder, device="cpu", attention_backend="agentrt_cpu", sampling_backend="pytorch", page_size=page,
        disable_overlap_schedule=True, skip_tokenizer_init=True, enable_hierarchical_cache=True, hicache_ratio=host,
        hicache_io_backend="direct", hicache_mem_layout="layer_first", hicache_write_policy=write,
    )  # fmt: skip
    args.resolve_once()
    ranks = one_batch.SpawnRanks(world_rank=one_batch.spawn_world_rank(args, tp_rank=0, pp_rank=0), gpu_id=0)
    one_batch.publish(args, role="scheduler", ranks=ranks)
    return args


# -- which tree --------------------------------------------------------------------------------------------------


def the_tree_is_ours():
    """The environment variable selects the hinted tree, and this SGLang has all that it overrides."""
    assert type(Served().core) is tree.HintedTreeCore
    assert all(hasattr(UnifiedTreeCore, name) for name in tree.WATCHED)
    overridden = {name for name in vars(tree.HintedTreeCore) if hasattr(UnifiedTreeCore, name)}
    missed = {name for name in overridden if not name.startswith(("__", "_abc"))} ^ set(tree.WATCHED)
    assert not missed, missed


def another_release_gets_the_stock_tree():
    """Where SGLang lacks a method that the hinted tree overrides or hooks, the engine starts with the stock one."""
    for needed in ("WATCHED", "HOOKED"):
        before = getattr(tree, needed)
        setattr(tree, needed, (*before, "no_such_method"))
        try:
            assert type(Served().core) is UnifiedTreeCore, needed
        finally:
            setattr(tree, needed, before)


def the_budget_is_read_from_the_environment():
    """A budget outside 0 to 1 is refused by name; none given means nine tenths."""
    assert Served().ledger.budget == 0.9
    found = {text: budget_from(text) for text in ("0.5", "1", "nan", "2", "much")}
    assert (found["0.5"], found["1"]) == (0.5, 1.0)
    for text in ("nan", "2", "much"):
        assert tree.BUDGET in found[text]
        assert text in found[text]


def budget_from(text):
    os.environ[tree.BUDGET] = text
    try:
        return Served().ledger.budget
    except ValueError as error:
        return str(error)
    finally:
        del os.environ[tree.BUDGET]


def without_hints_it_is_the_stock_tree():
    """Without hints every eviction policy of SGLang evicts the same nodes in the same order as in the stock tree."""
    for policy in ("lru", "lfu", "slru", "priority", "fifo", "mru", "filo"):
        for host in (0, 2):
            ours, stock = (Served(backend=name, policy=policy, host=host) for name in ("agentrt", "python"))
            dice = random.Random(policy)
            for _ in range(200):
                tokens = prompt(dice.randrange(12))[: dice.randrange(1, LONG)] + [dice.randrange(3)] * dice.randrange(9)
                session = dice.choice(("", "a", "b"))
                assert ours.ask(tokens, session) == stock.ask(tokens, session), policy
            ours.check()


# -- the order of eviction -----------------------------------------------------------------------------------------


def hinted_survives_a_flood():
    """A hinted context stays through a flood that evicts an unhinted one; an ended one goes before both."""
    served = Served(pool=200)
    for name in (1, 2, 3):
        served.ask(prompt(name), f"s{name}")
    served.hint("s1", steps=1)
    served.hint("s3", ended=True)
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2, 3)] == [LONG, LONG, 0]
    for name in range(10, 20):
        served.ask(prompt(name))
    assert [served.device(name) for name in (1, 2, 3)] == [LONG, 0, 0]
    assert served.ledger.counts.evicted["device"]["ended"] == LONG
    assert served.ledger.counts.evicted["device"]["hinted"] == 0
    served.check()


def an_expired_hint_loses_its_privilege():
    """After its time a hinted context is evicted by its recency, like any other."""
    served = Served(pool=200)
    served.ask(prompt(1), "s1")
    served.ask(prompt(2))
    served.hint("s1", keep=5.0)
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2)] == [LONG, 0]
    served.ask(prompt(2))
    served.ledger.tick(served.ledger.clock + 6.0)
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2)] == [0, LONG]


def urgency_orders_the_hinted():
    """Among hinted contexts the one with most steps to execution goes first, whatever their recency."""
    served = Served(pool=400)
    steps = {1: 3, 2: 9, 3: 1, 4: 6}
    for name in steps:
        served.ask(prompt(name), f"s{name}")
    for name, distance in steps.items():
        served.hint(f"s{name}", steps=distance)
    gone = []
    for _ in steps:
        served.evict(LONG)
        gone += [name for name in steps if served.device(name) == 0 and name not in gone]
    assert gone == [2, 4, 1, 3], gone


def a_hinted_context_gives_way_from_its_end():
    """Of a hinted context only as much goes as is needed, from its end; an unhinted one goes whole, as in stock."""
    served = Served(pool=2000)
    served.ask(prompt(1, 900), "s1")
    served.ask(prompt(2, 900), "s2")
    served.hint("s1", "s2", steps=1)
    served.hint("s2", steps=5)
    served.evict(300)
    assert [served.match(prompt(name, 900))[0] for name in (1, 2)] == [900, 900 - 300]
    served.evict(3)
    assert served.match(prompt(2, 900))[0] == 900 - 300 - 64, "not in crumbs"
    served.hint("s2", keep=0.0)
    served.evict(100)
    assert [served.match(prompt(name, 900))[0] for name in (1, 2)] == [900, 0]
    assert served.right(prompt(1, 900))
    served.check()


def a_shared_prefix_outlives_its_branches():
    """A shared start is kept for the soonest of the contexts that need it, and each branch for its own."""
    served = Served(pool=200)
    start = prompt(1)
    served.ask([*start, *prompt(2)], "late")
    served.ask([*start, *prompt(3)], "soon")
    served.hint("late", steps=9)
    served.hint("soon", steps=1)
    served.evict(1)
    assert served.match([*start, *prompt(2)])[0] == LONG
    assert served.match([*start, *prompt(3)])[0] == 2 * LONG
    served.evict(1)
    assert served.match([*start, *prompt(3)])[0] == LONG
    served.check()


def sessions_of_sglang_do_not_outrank_hints():
    """With SGLang's own session cache switched on, hints still decide; its order holds among the unhinted."""
    served = Served(pool=200, sessions=True)
    for name in (1, 2, 3):
        served.ask(prompt(name), f"s{name}")
    served.core.full.register_session_leaf("s2", node_of_path(served, prompt(2)))
    served.hint("s1", steps=1)
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2, 3)] == [LONG, LONG, 0]
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2, 3)] == [LONG, 0, 0]


def a_fixed_prompt_ends_at_a_node():
    """A fixed prompt is cut where it ends, to the page, so that its suffix goes without it; recency stays."""
    for page in (1, 4):
        served = Served(pool=400, page=page)
        fixed = prompt(1, 42)
        whole = 42 // page * page
        served.hint("a", kind="agent", prefix=tuple(fixed), steps=1)
        served.ask([*fixed, *prompt(2)], "s1")
        served.ask(prompt(5))
        leaf = node_of_path(served, [*fixed, *prompt(2)])
        before = leaf.last_access_time
        served.ledger.tick(1.0)
        assert len(leaf.parent.key) == whole
        assert leaf.last_access_time == leaf.parent.last_access_time == before
        served.evict(1)
        assert served.match([*fixed, *prompt(2)])[0] == whole
        assert served.device(5) == LONG
        served.check()


def node_of_path(served, tokens):
    """The deepest node on the path of ``tokens``, without touching it."""
    node, at, key = served.core.root_node, 0, served.key(tokens)
    while at + served.page <= len(key) and (child := node.children.get(key.child_key_at(at, served.page))) is not None:
        node, at = child, at + len(child.key)
    return node


def tenants_are_apart():
    """A hint reaches only the part of the tree that its tenant's salt opens, fixed prompts too."""
    served = Served(pool=400)
    for salt in ("", "x", "y"):
        served.ask(prompt(1), "s1", salt)
    served.hint("s1", tenant="x")
    served.hint("s1", tenant="y", ended=True)
    served.hint("a", kind="agent", tenant="z", prefix=tuple(prompt(1)))
    served.evict(LONG)
    assert [served.device(1, salt) for salt in ("", "x", "y")] == [LONG, LONG, 0]
    served.evict(LONG)
    assert [served.device(1, salt) for salt in ("", "x", "y")] == [0, LONG, 0]


def a_flush_forgets_places():
    """A flushed cache holds nothing of the ledger's places, and hints cover their contexts when they come back."""
    served = Served(pool=200)
    served.ask(prompt(1), "s1")
    served.hint("s1", keep=100.0)
    served.cache.reset()
    served.slots.clear()
    served.check()
    served.ask(prompt(1), "s1")
    served.ask(prompt(2))
    served.evict(LONG)
    assert [served.device(name) for name in (1, 2)] == [LONG, 0]


def a_fault_costs_the_hints_alone():
    """A fault in our bookkeeping switches the hints off, said once; the cache goes on as the stock one."""
    served = Served(pool=200)
    served.ask(prompt(1), "s1")
    served.hint("s1")
    served.core.advisor.ledger.place = None
    for name in (2, 3, 4, 5, 6):
        served.ask(prompt(name), f"s{name}")
    assert served.core.ledger is None
    assert [served.device(name) for name in (1, 2)] == [0, LONG]
    served.ledger = None
    served.check()


# -- the host tier -------------------------------------------------------------------------------------------------


def the_host_has_its_own_order():
    """On the host ended contexts go first, then unhinted ones, then those whose prefill is saved for least waiting."""
    served = Served(pool=100, host=3)
    for name in range(1, 8):
        served.ask(prompt(name), f"s{name}")
    served.evict(100)
    assert [served.match(prompt(name))[1] for name in range(1, 8)] == [LONG] * 7
    served.hint("s1", remaining=100.0)
    served.hint("s2", remaining=10.0)
    served.hint("s4", ended=True)
    for gone in ([4], [4, 3], [4, 3, 5]):
        served.cache.evict_host(LONG)
        assert [name for name in range(1, 8) if served.match(prompt(name))[1] == 0] == sorted(gone)
    for gone in (6, 7, 1, 2):
        served.cache.evict_host(LONG)
        assert served.match(prompt(gone))[1] == 0
    assert served.ledger.counts.evicted["host"] == {"ended": LONG, "unhinted": 4 * LONG, "hinted": 2 * LONG}
    served.check()


def prefetch_brings_a_context_back():
    """A hint loads a context back from the host before its request comes, with the right contents."""
    served = Served(pool=200, host=4)
    served.ask(prompt(1), "s1")
    served.evict(200)
    assert served.match(prompt(1)) == (0, LONG)
    served.hint("s1", prefetch=True, steps=1)
    assert served.core.prefetcher.flying
    served.events()
    assert not served.core.prefetcher.flying
    assert served.match(prompt(1)) == (LONG, 0)
    assert served.right(prompt(1))
    assert served.ledger.counts.prefetched == LONG
    assert not served.ledger.wanted
    assert served.ask(prompt(1), "s1") == LONG
    assert served.ledger.counts.loaded == served.ledger.counts.prefetched_in_vain == 0
    served.check()


def prefetch_takes_only_what_is_worth_less():
    """A prefetch evicts what ranks below it and nothing else, loads as far as the room goes, and tries again later."""
    served = Served(pool=200, host=8)
    far = [*prompt(1), *prompt(2)]
    served.ask(prompt(1), "far")
    served.ask(far, "far")
    served.evict(200)
    for name in (3, 4, 5, 6):
        served.ask(prompt(name), f"s{name}")
    served.events()
    served.hint("s3", "s4", "s5", steps=0, keep=5.0)
    served.hint("s6", steps=5, keep=5.0)
    served.hint("far", steps=2, prefetch=True)
    served.events()
    assert [served.device(name) for name in (3, 4, 5)] == [LONG] * 3
    assert served.match(far) == (LONG, LONG), served.match(far)
    assert served.ledger.wanted
    served.ledger.tick(served.ledger.clock + 6.0)
    served.events()
    assert served.match(far) == (2 * LONG, 0)
    assert not served.ledger.wanted
    served.check()


def long_prefetches_come_in_parts():
    """A prefetch of many tokens is loaded in parts, one after the other, so that requests can load in between."""
    served = Served(pool=400, host=8)
    long = [*prompt(1), *prompt(2), *prompt(3)]
    for end in (1, 2, 3):
        served.ask(long[: end * LONG], "s1")
    served.evict(400)
    prefetch.MOST, most = LONG + 1, prefetch.MOST
    try:
        served.hint("s1", prefetch=True)
        for arrived in (1, 2, 3):
            assert served.match(long) == (arrived * LONG, (3 - arrived) * LONG)
            served.events()
    finally:
        prefetch.MOST = most
    assert not served.core.prefetcher.flying
    assert served.right(long)
    served.check()


def prefetch_evicts_nothing_more_urgent():
    """Where all that is on the device is needed sooner, a prefetch waits."""
    served = Served(pool=200, host=8)
    served.ask(prompt(1), "far")
    served.evict(200)
    for name in (3, 4, 5, 6, 7):
        served.ask(prompt(name), f"s{name}")
    served.events()
    served.ledger.budget = 1.0
    served.hint("s3", "s4", "s5", "s6", "s7", steps=0)
    served.hint("far", steps=2, prefetch=True)
    assert not served.core.prefetcher.flying
    assert served.match(prompt(1)) == (0, LONG)


def prefetch_in_vain_is_counted():
    """A prefetched context that is evicted before anybody used it is counted as loaded in vain; a used one is not."""
    served = Served(pool=200, host=8)
    for name in (1, 2):
        served.ask(prompt(name), f"s{name}")
    served.evict(200)
    served.hint("s1", "s2", prefetch=True)
    served.events()
    served.ask(prompt(1), "s1")
    served.evict(200)
    assert served.ledger.counts.prefetched == 2 * LONG
    assert served.ledger.counts.prefetched_in_vain == LONG


def requests_on_a_loading_path_are_passed_over():
    """While a path is loading, admission leaves requests on it in the queue and goes on with the others."""
    served = Served(pool=200, host=8)
    served.ask([*prompt(1), *prompt(2)], "s1")
    served.ask([*prompt(1), *prompt(3)], "s2")
    served.ask(prompt(4), "s3")
    served.evict(200)
    served.hint("s1", prefetch=True)
    adder = SimpleNamespace(tree_cache=served.cache)
    for tokens, waits in (([*prompt(1), *prompt(2), 7], True), ([*prompt(1), *prompt(3)], True), (prompt(4), False)):
        found = served.cache.match_prefix(MatchPrefixParams(key=served.key(tokens)))
        request = SimpleNamespace(last_node=found.last_device_node)
        assert admitted(adder, request) is not waits, tokens
    served.events()
    found = served.cache.match_prefix(MatchPrefixParams(key=served.key([*prompt(1), *prompt(2)])))
    assert admitted(adder, SimpleNamespace(last_node=found.last_device_node))


def admitted(adder, request):
    """Whether SGLang's own admission, as hooked, looks at the request at all: it needs more of it than there is."""
    try:
        verdict = PrefillAdder.add_one_req(adder, request, False, None)
    except AttributeError:
        return True
    assert verdict is AddReqResult.CONTINUE
    return False


def the_tiers_add_up():
    """What runs, what hints keep, what may go and what is free make up the device; a host tier counts its copies."""
    served = Served(pool=200, host=2)
    for name in (1, 2, 3):
        served.ask(prompt(name), f"s{name}")
    served.events()
    assert tiers(served)["device"] == {"locked": 0, "kept": 0, "evictable": 3 * LONG, "free": 200 - 3 * LONG}
    assert tiers(served)["host"] == {"used": 3 * LONG, "free": served.ledger.host - 3 * LONG}
    served.hint("s1", "s2", steps=1)
    assert tiers(served)["device"] == {"locked": 0, "kept": 2 * LONG, "evictable": LONG, "free": 200 - 3 * LONG}
    lock = served.cache.lock(served.cache.match_prefix(MatchPrefixParams(key=served.key(prompt(1)))).last_device_node)
    assert tiers(served)["device"] == {"locked": LONG, "kept": LONG, "evictable": LONG, "free": 200 - 3 * LONG}
    served.cache.unlock(lock)
    served.evict(LONG)
    assert tiers(served)["device"] == {"locked": 0, "kept": 2 * LONG, "evictable": 0, "free": 200 - 2 * LONG}
    assert filling(SCHEDULER, served.core)["requests"] == {"running": 1, "queued": 2}


SCHEDULER = SimpleNamespace(
    running_batch=SimpleNamespace(
        reqs=[SimpleNamespace(finished=lambda: False), SimpleNamespace(finished=lambda: True)]
    ),
    last_batch=None,
    waiting_queue=[1, 2],
)


def tiers(served):
    found = filling(SCHEDULER, served.core)["tiers"]
    assert sum(found["device"].values()) == served.pool
    return found


# -- anything at all -----------------------------------------------------------------------------------------------


def any_sequence_keeps_the_books():
    """After any mix of requests, hints, ends, evictions and prefetches SGLang's checks hold and nothing leaks."""
    shapes = ((0, "write_through", 1), (3, "write_through", 1), (2, "write_back", 1), (3, "write_through", 4))
    for host, write, page in shapes:
        counts = [jumble(Served(pool=240, host=host, page=page, write=write), random.Random(seed)) for seed in range(6)]
        for tokens in ("ended", "unhinted", "hinted"):
            assert sum(one.evicted["device"][tokens] for one in counts) > 0
        assert (sum(one.prefetched for one in counts) > 0) is (host > 0)


def jumble(served, dice):
    for turn in range(250):
        name, salt = dice.randrange(6), dice.choice(("", "t"))
        what = dice.random()
        if what < 0.55:
            served.ask(
                prompt(name)[: dice.randrange(8, LONG)] + prompt(name + 6)[: dice.randrange(30)], f"s{name}", salt
            )
        elif what < 0.85:
            served.hint(
                f"s{name}", tenant=salt, keep=dice.choice((0.0, 1.0, 9.0)), steps=dice.choice((None, 0, 1, 5)),
                ended=dice.random() < 0.2, prefetch=dice.random() < 0.5, remaining=dice.choice((None, 1.0, 5.0)),
            )  # fmt: skip
        elif what < 0.9:
            served.hint(f"a{name}", kind="agent", tenant=salt, prefix=tuple(prompt(name)[: dice.randrange(4, 20)]))
        elif what < 0.95:
            served.evict(dice.randrange(100))
        else:
            served.ledger.tick(served.ledger.clock + dice.random() * 3)
        if turn % 10 == 0:
            served.events()
            served.check()
    served.events()
    served.check()
    counts = deepcopy(served.ledger.counts)
    served.evict(10_000)
    if served.cache.cache_controller:
        served.cache.evict_host(10_000)
    assert served.slots.available_size() == served.pool
    assert len(served.core._node_arena) == 1, served.core._node_arena
    assert not served.ledger.owners.by_node
    assert not served.ledger._leaves
    return counts


CHECKS = [
    the_tree_is_ours, another_release_gets_the_stock_tree, the_budget_is_read_from_the_environment,
    without_hints_it_is_the_stock_tree, hinted_survives_a_flood, an_expired_hint_loses_its_privilege,
    urgency_orders_the_hinted, a_hinted_context_gives_way_from_its_end,
    a_shared_prefix_outlives_its_branches, sessions_of_sglang_do_not_outrank_hints,
    a_fixed_prompt_ends_at_a_node, tenants_are_apart, a_flush_forgets_places,
    a_fault_costs_the_hints_alone, the_host_has_its_own_order,
    prefetch_brings_a_context_back, prefetch_takes_only_what_is_worth_less,
    long_prefetches_come_in_parts, prefetch_evicts_nothing_more_urgent,
    prefetch_in_vain_is_counted, requests_on_a_loading_path_are_passed_over, the_tiers_add_up,
    any_sequence_keeps_the_books,
]  # fmt: skip


if __name__ == "__main__":
    for check in [globals()[name] for name in sys.argv[1:]] or CHECKS:
        print(check.__name__, flush=True)
        check()
