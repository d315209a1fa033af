"""The ledger: what hints do to the order of eviction, and what they cannot do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentrt.kvcache.hints import Hint, Subject, Tally
from agentrt.kvcache.sglang.ledger import LINGER
from agentrt.kvcache.sglang.order import DEVICE, HOST, Tier, shares
from tests.kvcache.sglang.fake_tree import FakeNode, FakeTree

SYSTEM = list(range(100, 110))
"""A fixed prompt of ten tokens."""


@pytest.fixture
def tree() -> FakeTree:
    return FakeTree()


class Clockwork:
    """Sends hints to a tree's ledger with growing generations, a moment apart."""

    def __init__(self, tree: FakeTree) -> None:
        self.ledger, self.generation = tree.ledger, 0

    def __call__(self, *subjects: Subject, **fields: Any) -> Tally:
        self.generation += 1
        hints = [Hint(subject=one, generation=self.generation, **fields) for one in subjects]
        return self.ledger.apply(hints, self.ledger.clock + 0.001)


@pytest.fixture
def hint(tree: FakeTree) -> Clockwork:
    return Clockwork(tree)


def session(name: str) -> Subject:
    return Subject("session", name)


def agent(name: str, program: str = "p") -> Subject:
    return Subject("agent", name, program)


def rank(tree: FakeTree, node: FakeNode) -> int:
    tree.ledger.refresh()
    return tree.ledger.rank(node.id)


# -- classes ---------------------------------------------------------------------------------------------------


def test_silence(tree: FakeTree) -> None:
    """Without hints nothing sets one node apart from another, so that the engine's own order holds."""
    nodes = [tree.request([at, at + 1], session=f"s{at}") for at in range(5)]
    assert tree.ledger.silent
    assert {rank(tree, node) for node in nodes} == {0}
    assert not tree.ledger.live


def test_classes(tree: FakeTree, hint: Clockwork) -> None:
    """Ended contexts go before unhinted ones, and those before hinted ones."""
    ended, plain, hinted = (tree.request([at], session=name) for at, name in enumerate(("ended", "plain", "hinted")))
    hint(session("hinted"))
    hint(session("ended"), ended=True)
    assert rank(tree, ended) < rank(tree, plain) < rank(tree, hinted)


@pytest.mark.parametrize(
    ("sooner", "later"),
    [
        ({"priority": 1.0, "steps": 9}, {"priority": 0.0, "steps": 1}),
        ({"steps": 1, "remaining": 99.0}, {"steps": 2, "remaining": 1.0}),
        ({"steps": 5}, {"steps": None}),
        ({"steps": 1, "remaining": 1.0}, {"steps": 1, "remaining": 2.0}),
        ({"steps": 1, "remaining": 50.0}, {"steps": 1, "remaining": None}),
    ],
)
def test_urgency(tree: FakeTree, hint: Clockwork, sooner: dict[str, Any], later: dict[str, Any]) -> None:
    """Among hinted contexts priority decides, then steps to execution, then expected time; unknown is furthest."""
    first, second = tree.request([1], session="first"), tree.request([2], session="second")
    hint(session("first"), **sooner)
    hint(session("second"), **later)
    assert rank(tree, second) < rank(tree, first)


def test_equals_share_a_rank(tree: FakeTree, hint: Clockwork) -> None:
    """Contexts of equal urgency are left to the engine's own order."""
    first, second = tree.request([1], session="first"), tree.request([2], session="second")
    hint(session("first"), session("second"), steps=3)
    assert rank(tree, first) == rank(tree, second) > 0


def test_time_passes_for_all(tree: FakeTree, hint: Clockwork) -> None:
    """A hint of ten seconds sent nine seconds ago is more urgent than one of two seconds sent now."""
    old, new = tree.request([1], session="old"), tree.request([2], session="new")
    hint(session("old"), remaining=10.0)
    tree.ledger.tick(9.0)
    hint(session("new"), remaining=2.0)
    assert rank(tree, old) > rank(tree, new)


def test_most_urgent_holder_wins(tree: FakeTree, hint: Clockwork) -> None:
    """A shared node ranks with the soonest of the contexts that hold it, and falls back when that one moves away."""
    late = tree.request([*SYSTEM, 1], session="late")
    soon = tree.request([*SYSTEM, 2], session="soon")
    shared = late.parent
    assert shared is not None
    assert shared is soon.parent
    hint(session("late"), steps=7)
    hint(session("soon"), steps=1)
    assert rank(tree, shared) == rank(tree, soon) > rank(tree, late)
    hint(session("soon"), steps=9)
    assert rank(tree, shared) == rank(tree, late) > rank(tree, soon)


# -- validity --------------------------------------------------------------------------------------------------


def test_expiry(tree: FakeTree, hint: Clockwork) -> None:
    """A hint holds for as long as it says; then its context is ranked as if it had none."""
    node = tree.request([1, 2], session="s")
    hint(session("s"), keep=5.0)
    tree.ledger.tick(4.9)
    assert rank(tree, node) > 0
    assert tree.ledger.live
    tree.ledger.tick(5.1)
    assert rank(tree, node) == 0
    assert not tree.ledger.live
    assert tree.ledger.counts.expired == 1


def test_renewal(tree: FakeTree, hint: Clockwork) -> None:
    """A newer hint prolongs, and the end of the older one means nothing any more."""
    node = tree.request([1, 2], session="s")
    hint(session("s"), keep=5.0)
    tree.ledger.tick(4.0)
    hint(session("s"), keep=5.0)
    tree.ledger.tick(6.0)
    assert rank(tree, node) > 0
    assert tree.ledger.counts.expired == 0


def test_generations(tree: FakeTree) -> None:
    """A hint that is not newer than the last on its subject is ignored: sent twice or late, it does no harm."""
    tree.request([1], session="s")
    batch = [Hint(subject=session("s"), generation=at, steps=at) for at in (3, 2, 3, 4)]
    assert tree.ledger.apply(batch, 1.0) == Tally(accepted=2, ignored=2)
    assert tree.ledger.apply(batch, 2.0) == Tally(accepted=0, ignored=4)
    assert tree.ledger.state()["subjects"][0]["steps"] == 4


def test_clock_never_goes_back(tree: FakeTree, hint: Clockwork) -> None:
    """A message with an earlier time does not bring expired hints back."""
    node = tree.request([1], session="s")
    tree.ledger.tick(100.0)
    hint(session("s"), keep=1.0)
    tree.ledger.tick(102.0)
    tree.ledger.tick(3.0)
    assert tree.ledger.clock == 102.0
    assert rank(tree, node) == 0


def test_hint_before_context(tree: FakeTree, hint: Clockwork) -> None:
    """A hint that comes before its context's first request covers the context once it is there."""
    hint(session("s"), steps=1)
    assert rank(tree, tree.request([1, 2], session="s")) > 0


# -- budget ----------------------------------------------------------------------------------------------------


def test_budget_clips_the_least_urgent() -> None:
    """Hints protect no more than the budget; what is beyond is ordered as if nobody had hinted it."""
    tree = FakeTree(pool=100, budget=0.5)
    nodes = [tree.request(range(at * 100, at * 100 + 20), session=f"s{at}") for at in range(4)]
    tally = Clockwork(tree)(*(session(f"s{at}") for at in range(4)), steps=1)
    assert tally.clipped == 2
    assert sum(rank(tree, node) > 0 for node in nodes) == 2
    assert tree.ledger.counts.protected == 40 <= 50


def test_clipped_context_keeps_its_start() -> None:
    """A context that fits in part is protected from its start: a hole in front would make the rest useless."""
    tree = FakeTree(pool=30, budget=1.0)
    whole = tree.request(range(40), session="s")
    start = tree.split(whole, 25)
    Clockwork(tree)(session("s"))
    assert rank(tree, start) > 0 == rank(tree, whole)


def test_nothing_hangs_below_a_clipped_node() -> None:
    """What follows a clipped node is not protected either, or the clipped node could not be evicted."""
    tree = FakeTree(pool=30, budget=1.0)
    big = tree.request([*range(40), 1], session="soon")
    shared = tree.split(big, 40)
    small = tree.request([*range(40), 2], session="late")
    hint = Clockwork(tree)
    hint(session("soon"), steps=1)
    hint(session("late"), steps=2)
    assert {rank(tree, node) for node in (shared, big, small)} == {0}


def test_budget_is_of_the_device() -> None:
    """Tokens that lie on the host alone take nothing of the device's budget, and have one of their own."""
    tree = FakeTree(pool=30, host=50, budget=1.0)
    away = [tree.request(range(at * 100, at * 100 + 30), session=f"s{at}") for at in range(2)]
    for node in away:
        tree.move(node, on_device=False)
    here = tree.request(range(900, 930), session="here")
    Clockwork(tree)(session("here"), session("s0"), session("s1"), steps=1)
    assert rank(tree, here) > 0
    assert sum(tree.ledger.rank(node.id, HOST) > 0 for node in away) == 1


@pytest.mark.parametrize(
    ("demand", "budget", "given"),
    [
        ({"a": 10, "b": 10}, 30, {"a": 10, "b": 10}),
        ({"a": 100, "b": 100}, 60, {"a": 30, "b": 30}),
        ({"a": 100, "b": 10}, 60, {"a": 50, "b": 10}),
        ({"a": 100, "b": 5, "c": 40}, 60, {"a": 28, "b": 5, "c": 27}),
        ({}, 60, {}),
    ],
)
def test_shares(demand: dict[str, int], budget: int, given: dict[str, int]) -> None:
    """Tenants share the budget equally; what one leaves goes to the others."""
    assert shares(demand, budget) == given


def test_one_tenant_cannot_crowd_out_another() -> None:
    """However urgent one tenant calls its contexts, another keeps its share."""
    tree = FakeTree(pool=100, budget=1.0)
    greedy = [tree.request(range(at * 100, at * 100 + 20), session=f"g{at}", tenant="greedy") for at in range(9)]
    modest = [tree.request(range(at * 100, at * 100 + 20), session=f"m{at}", tenant="modest") for at in range(2)]
    hint = Clockwork(tree)
    hint(*(session(f"g{at}") for at in range(9)), tenant="greedy", priority=1e9)
    hint(*(session(f"m{at}") for at in range(2)), tenant="modest")
    assert all(rank(tree, node) > 0 for node in modest)
    assert sum(rank(tree, node) > 0 for node in greedy) == 3


def test_tenants_apart(tree: FakeTree, hint: Clockwork) -> None:
    """A hint names a subject within its tenant: the same session name elsewhere is another session."""
    mine, theirs = (tree.request([1, 2], session="s", tenant=name) for name in ("me", "them"))
    hint(session("s"), tenant="me")
    assert rank(tree, mine) > 0 == rank(tree, theirs)
    hint(session("s"), tenant="me", ended=True)
    assert rank(tree, mine) < 0 == rank(tree, theirs)


# -- ends ------------------------------------------------------------------------------------------------------


def test_end_spares_what_others_use(tree: FakeTree, hint: Clockwork) -> None:
    """An end frees the nodes that no other session ever used, and no others, whoever came first."""
    tree.request([*SYSTEM, 2], session="stays")
    gone = tree.request([*SYSTEM, 1], session="gone")
    hint(session("gone"), ended=True)
    assert rank(tree, gone) == -1
    assert gone.parent is not None
    assert rank(tree, gone.parent) == 0


def test_end_spares_what_nobody_named_uses(tree: FakeTree, hint: Clockwork) -> None:
    """A request without a session is somebody too."""
    gone = tree.request([*SYSTEM, 1], session="gone")
    tree.request(SYSTEM)
    hint(session("gone"), ended=True)
    assert gone.parent is not None
    assert rank(tree, gone.parent) == 0 > rank(tree, gone)


def test_end_takes_old_branches(tree: FakeTree, hint: Clockwork) -> None:
    """A turn that was said in other words later is the session's own, and goes with it."""
    first = tree.request([*SYSTEM, 1, 2], session="s")
    second = tree.request([*SYSTEM, 1, 3, 4], session="s")
    hint(session("s"), ended=True)
    assert rank(tree, first) == rank(tree, second) == -1


def test_end_spares_the_fixed_prompt(tree: FakeTree, hint: Clockwork) -> None:
    """A fixed prompt outlives the only session that used it, and its program: the next run wants it."""
    hint(agent("a"), prefix=tuple(SYSTEM))
    node = tree.request([*SYSTEM, 1, 2], session="s")
    tree.ledger.settle()
    prompt = node.parent
    assert prompt is not None
    assert list(prompt.tokens) == SYSTEM
    hint(session("s"), ended=True)
    assert rank(tree, node) == -1
    assert rank(tree, prompt) > 0
    hint(agent("a"), ended=True)
    assert rank(tree, prompt) == 0


def test_late_request_of_an_ended_session(tree: FakeTree, hint: Clockwork) -> None:
    """What a session's last request leaves after its end was told goes first too."""
    hint(session("s"), ended=True)
    assert rank(tree, tree.request([1, 2], session="s")) == -1


def test_session_comes_back(tree: FakeTree, hint: Clockwork) -> None:
    """A newer hint takes an end back."""
    node = tree.request([1, 2], session="s")
    hint(session("s"), ended=True)
    hint(session("s"), steps=1)
    assert rank(tree, node) > 0


# -- the tree changes ------------------------------------------------------------------------------------------


def test_split_keeps_the_rank(tree: FakeTree, hint: Clockwork) -> None:
    """Both parts of a split node rank as it did, ended or hinted, without ranking anew."""
    kept, gone = tree.request(range(10), session="kept"), tree.request(range(50, 60), session="gone")
    hint(session("kept"))
    hint(session("gone"), ended=True)
    assert not tree.ledger.dirty
    for node in (kept, gone):
        assert tree.ledger.rank(tree.split(node, 4).id) == tree.ledger.rank(node.id) != 0


def test_context_shrinks_to_its_parent(tree: FakeTree, hint: Clockwork) -> None:
    """When the end of a context is evicted, the rest of it keeps its rank."""
    node = tree.request([1, 2, 3, 4], session="s")
    start = tree.split(node, 2)
    hint(session("s"))
    tree.remove(node)
    tree.ledger.dirty = True
    assert rank(tree, start) > 0
    assert tree.ledger.state()["subjects"][0]["device"] == 2


def test_next_turn_extends_the_context(tree: FakeTree, hint: Clockwork) -> None:
    """A hint covers what a later turn adds; the prompt's own insert after it does not shorten the context."""
    tree.request([1, 2], session="s")
    hint(session("s"))
    longer = tree.request([1, 2, 3, 4], session="s")
    tree.request([1, 2, 3], session="s")
    assert rank(tree, longer) > 0


def test_prompt_of_many_agents(tree: FakeTree, hint: Clockwork) -> None:
    """A prompt that another program brought in is found when the hint comes, and cut where it ends."""
    node = tree.request([*SYSTEM, 1, 2], session="s")
    hint(agent("late"), prefix=tuple(SYSTEM), steps=2)
    assert node.parent is not None
    assert list(node.parent.tokens) == SYSTEM
    assert rank(tree, node.parent) > 0 == rank(tree, node)


def test_prompt_comes_back(tree: FakeTree, hint: Clockwork) -> None:
    """A prompt that was evicted is found again with the next request, though it is told only once."""
    hint(agent("a"), prefix=tuple(SYSTEM))
    node = tree.request([*SYSTEM, 1], session="s")
    tree.ledger.settle()
    prompt = node.parent
    assert prompt is not None
    tree.remove(node)
    tree.remove(prompt)
    again = tree.request([*SYSTEM, 2], session="t")
    tree.ledger.tick(1.0)
    assert again.parent is not None
    assert rank(tree, again.parent) > 0 == rank(tree, again)


def test_emptied(tree: FakeTree, hint: Clockwork) -> None:
    """When the cache is flushed hints stay, and cover their contexts when they come back."""
    tree.request([1, 2], session="s")
    hint(session("s"), keep=100.0)
    tree.roots.clear()
    tree.ledger.emptied()
    assert not tree.ledger.owners.by_node
    assert rank(tree, tree.request([1, 2], session="s")) > 0


# -- memory ----------------------------------------------------------------------------------------------------


def test_room_for_subjects() -> None:
    """Beyond its room the ledger forgets the subject it heard of longest ago."""
    tree = FakeTree(room=3)
    nodes = [tree.request([at], session=f"s{at}") for at in range(3)]
    hint = Clockwork(tree)
    for name in ("s0", "s1", "s2", "s0", "s3"):
        hint(session(name))
    assert [rank(tree, node) > 0 for node in nodes] == [True, False, True]
    assert tree.ledger.counts.forgotten == 1


def test_ended_sessions_are_forgotten(tree: FakeTree, hint: Clockwork) -> None:
    """An ended session is forgotten when nothing of it is left and enough time went by for its last request."""
    node = tree.request([1, 2], session="has")
    hint(session("has"), session("never"), ended=True, keep=5.0)
    tree.ledger.tick(LINGER)
    assert len(tree.ledger.state()["subjects"]) == 2
    tree.ledger.tick(LINGER + 6.0)
    assert [one["subject"][1] for one in tree.ledger.state()["subjects"]] == ["has"]
    tree.remove(node)
    assert tree.ledger.state()["subjects"] == []


# -- those who watch -------------------------------------------------------------------------------------------


def test_state(tree: FakeTree, hint: Clockwork) -> None:
    """The state shows a tenant its own subjects, and never a salt."""
    tree.request([1, 2], session="s", tenant="salt-1")
    hint(session("s"), tenant="salt-1", steps=3, remaining=7.0, keep=10.0, tool="bash")
    hint(session("s"), tenant="salt-2")
    tree.ledger.tick(4.0)
    state = tree.ledger.state("salt-1")
    (shown,) = state["subjects"]
    assert (shown["class"], shown["steps"], shown["tool"], shown["device"], shown["host"]) == (
        "hinted",
        3,
        "bash",
        2,
        0,
    )
    assert shown["remaining"] == pytest.approx(3.0, abs=0.01)
    assert shown["keep"] == pytest.approx(6.0, abs=0.01)
    assert shown["protected"]
    assert not shown["clipped"]
    assert state["totals"]["valid"] == 2
    assert len(tree.ledger.state()["subjects"]) == 2
    assert "salt" not in repr(tree.ledger.state())


def test_state_of_some_programs(tree: FakeTree, hint: Clockwork) -> None:
    """Who asks for a program is shown its sessions and its fixed prompts, and no other's."""
    ours = Subject("agent", "writer", "run-1")
    hint(session("run-1/writer~1"), session("run-2/writer~1"), ours, Subject("agent", "writer", "run-2"), session("s"))
    shown = [tuple(one["subject"]) for one in tree.ledger.state(None, {"run-1"})["subjects"]]
    assert shown == [session("run-1/writer~1"), ours]
    assert len(tree.ledger.state(None, ())["subjects"]) == 5


# -- any sequence ----------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
TENANTS = ("", "t")
PROMPTS = ((1, 2, 1), (1, 2, 2, 1), (2,))

tokens = st.lists(st.integers(1, 2), min_size=1, max_size=6)
fields = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from([0.0, 1.0]),
        "steps": st.one_of(st.none(), st.integers(0, 3)),
        "remaining": st.one_of(st.none(), st.integers(0, 9).map(float)),
        "keep": st.integers(0, 9).map(float),
        "ended": st.booleans(),
    },
)
operations = st.one_of(
    st.tuples(st.just("request"), tokens, st.sampled_from(("", *NAMES)), st.sampled_from(TENANTS)),
    st.tuples(st.just("hint"), st.sampled_from(NAMES), st.sampled_from(TENANTS), fields),
    st.tuples(st.just("prompt"), st.sampled_from(PROMPTS), st.sampled_from(TENANTS), fields),
    st.tuples(st.just("evict"), st.integers(0, 99)),
    st.tuples(st.just("demote"), st.integers(0, 99)),
    st.tuples(st.just("tick"), st.integers(0, 5)),
    st.tuples(st.just("refresh")),
)


class Model:
    """The same told again, from scratch at each question: every hint with its time, every user of every node."""

    def __init__(self, tree: FakeTree) -> None:
        self.tree, self.generation = tree, 0
        self.hints: dict[tuple[str, Subject], tuple[float, Hint]] = {}
        self.leaves: dict[tuple[str, Subject], FakeNode] = {}
        self.ended: dict[tuple[str, str], float] = {}

    def run(self, what: str, *how: Any) -> None:
        getattr(self, what)(*how)
        left = {(tenant, name) for node in self.tree.nodes() for tenant, name in self.owner(node)}
        for one, until in list(self.ended.items()):
            if one not in left and until <= self.tree.ledger.clock:
                del self.ended[one]

    def request(self, tokens: list[int], name: str, tenant: str) -> None:
        node = self.tree.request(tokens, name, tenant)
        key = (tenant, session(name))
        if name and node not in list(self.leaves[key].above() if key in self.leaves else ()):
            self.leaves[key] = node
        for (owner, subject), (_, hint) in self.hints.items():
            if hint.prefix and owner == tenant and tuple(tokens[: len(hint.prefix)]) == hint.prefix:
                self._look_up(tenant, subject, hint.prefix)

    def _look_up(self, tenant: str, subject: Subject, prefix: tuple[int, ...]) -> None:
        leaf, _ = self.tree.find(tenant, prefix)
        self.leaves.pop((tenant, subject), None)
        if leaf.parent is not None:
            self.leaves[tenant, subject] = leaf

    def hint(self, name: str, tenant: str, told: dict[str, Any]) -> None:
        self._send(session(name), tenant, told)
        self.ended.pop((tenant, name), None)
        if told.get("ended"):
            self.ended[tenant, name] = self.tree.ledger.clock + told.get("keep", 60.0) + LINGER

    def prompt(self, prompt: tuple[int, ...], tenant: str, told: dict[str, Any]) -> None:
        self._send(agent(str(prompt)), tenant, told | {"prefix": prompt})
        self._look_up(tenant, agent(str(prompt)), prompt)

    def _send(self, subject: Subject, tenant: str, told: dict[str, Any]) -> None:
        self.generation += 1
        hint = Hint(subject=subject, generation=self.generation, tenant=tenant, **told)
        ledger = self.tree.ledger
        self.hints[tenant, subject] = (ledger.clock, hint)
        old = Hint(subject=subject, generation=self.generation - 1, tenant=tenant, steps=0, priority=9.0)
        assert ledger.apply([hint, old], ledger.clock).ignored == 1

    def evict(self, which: int) -> None:
        leaves = [node for node in self.tree.nodes() if not node.children]
        if leaves:
            gone = leaves[which % len(leaves)]
            self.tree.remove(gone)
            for key, leaf in list(self.leaves.items()):
                if leaf is gone:
                    assert gone.parent is not None
                    if gone.parent.parent is not None:
                        self.leaves[key] = gone.parent
                    else:
                        del self.leaves[key]

    def demote(self, which: int) -> None:
        leaves = [node for node in self.tree.nodes() if not any(child.on_device for child in node.children.values())]
        if leaves:
            self.tree.move(leaves[which % len(leaves)], on_device=False)

    def tick(self, seconds: int) -> None:
        self.tree.ledger.tick(self.tree.ledger.clock + seconds)

    def refresh(self) -> None:
        self.tree.ledger.refresh()

    def holders(self, node: FakeNode) -> list[tuple[float, float, float]]:
        """The urgency of each valid hint whose context passes through ``node``."""
        found = []
        for (tenant, subject), (sent, hint) in self.hints.items():
            if hint.ended or sent + hint.keep <= self.tree.ledger.clock:
                continue
            leaf = self.leaves.get((tenant, subject))
            if leaf is not None and node in list(leaf.above()):
                steps = math.inf if hint.steps is None else hint.steps
                due = math.inf if hint.remaining is None else sent + hint.remaining
                found.append((hint.priority, -steps, -due))
        return found

    def key(self, node: FakeNode) -> Any:
        """Where ``node`` stands by definition: ended, unhinted, or the most urgent of its holders."""
        if holders := self.holders(node):
            return (1, *max(holders))
        return (-1 if self.owner(node) & self.ended.keys() else 0, 0.0, 0.0, 0.0)

    def owner(self, node: FakeNode) -> set[tuple[str, str]]:
        """The one session that ever used ``node``, or nobody: others did, or it is of a fixed prompt."""
        fixed = any(node in list(leaf.above()) for (_, one), leaf in self.leaves.items() if one.kind == "agent")
        return node.users if len(node.users) == 1 and not fixed else set()


@settings(max_examples=300, deadline=None)
@given(st.lists(operations, min_size=8, max_size=40))
def test_any_sequence_ranks_as_from_scratch(told: list[Any]) -> None:
    """After any sequence of requests, hints, evictions and ticks, nodes are ordered as the definitions say."""
    tree = FakeTree()
    model = Model(tree)
    for one in told:
        model.run(*one)
    tree.ledger.settle()
    tree.ledger.refresh()
    nodes = tree.nodes()
    expected = sorted(nodes, key=model.key)
    for before, after in itertools.pairwise(expected):
        ours = tree.ledger.rank(before.id), tree.ledger.rank(after.id)
        same = model.key(before) == model.key(after)
        assert ours[0] == ours[1] if same else ours[0] < ours[1], (model.key(before), model.key(after), ours)


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, min_size=8, max_size=40), st.integers(0, 12), st.integers(0, 12))
def test_any_sequence_keeps_the_budget(told: list[Any], pool: int, host: int) -> None:
    """Ranked tokens never exceed the budget of their tier, and a ranked node's ancestors are ranked too."""
    tree = FakeTree(pool=pool, host=host, budget=1.0)
    model = Model(tree)
    for one in told:
        model.run(*one)
    tree.ledger.dirty = True
    tree.ledger.refresh()
    tier: Tier
    size: Callable[[FakeNode], int]
    for tier, ranks, room, size in (
        (DEVICE, tree.ledger.ranking.tiers[DEVICE], pool, lambda node: tree.sizes(node)[0]),
        (HOST, tree.ledger.ranking.tiers[HOST], host, lambda node: tree.sizes(node)[1] if not node.on_device else 0),
    ):
        ranked = {node: mine for node in tree.nodes() if (mine := tree.ledger.rank(node.id, tier)) > 0}
        assert sum(map(size, ranked)) == ranks.tokens <= room
        for node, mine in ranked.items():
            assert node.parent is not None
            assert node.parent.parent is None or ranked[node.parent] >= mine
    before = [tree.ledger.rank(node.id, tier) for node in tree.nodes() for tier in (DEVICE, HOST)]
    tree.ledger.ranking._shape += 1  # no trail that was kept is trusted any more
    tree.ledger.dirty = True
    tree.ledger.refresh()
    assert before == [tree.ledger.rank(node.id, tier) for node in tree.nodes() for tier in (DEVICE, HOST)]


@settings(max_examples=100, deadline=None)
@given(st.lists(operations, min_size=8, max_size=40))
@example([("request", [2], "b", "t"), ("request", [1], "b", "t"), ("evict", 0), ("prompt", (2,), "t", {})])
def test_nothing_is_left_of_an_empty_tree(told: list[Any]) -> None:
    """When every node is evicted and every hint expired, the ledger holds nothing but fixed prompts it was told."""
    tree = FakeTree()
    model = Model(tree)
    for one in told:
        model.run(*one)
    tree.ledger.tick(tree.ledger.clock + 10_000)
    while tree.nodes():
        model.evict(0)
    assert not tree.ledger.owners.by_node
    assert not tree.ledger._leaves
    assert not tree.ledger.live
    assert {known.subject.kind for known in tree.ledger._known.values()} <= {"agent"}
