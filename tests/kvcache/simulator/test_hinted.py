"""Eviction by hints: classes, urgency, shared nodes, the budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import pytest

from agentrt.kvcache.contexts import Advice, Context, Phase, World
from agentrt.kvcache.hints import Subject
from agentrt.kvcache.policies import POLICIES, policy
from agentrt.kvcache.simulator.hinted import Hinted, Known, Truth
from agentrt.kvcache.simulator.pool import Node, Pool


@dataclass
class Fixed:
    """A policy that gives each session the advice written down for it."""

    advice: dict[str, Advice] = field(default_factory=dict)
    name: str = "fixed"

    def advise(self, context: Context, world: World) -> Advice | None:
        return self.advice.get(context.subject.name)


class Bench:
    """A pool with one context of ten tokens for each name, all behind one shared head of ten."""

    def __init__(self, names: str, advice: dict[str, Advice], budget: float = 1.0) -> None:
        self.pool = Pool(1000)
        self.order = Hinted(Fixed(advice), 1000, budget=budget)
        self.paths: dict[str, list[Node]] = {}
        for at, name in enumerate(names):
            path = self.paths[name] = self.pool.walk([("head", 10), (name, 10)])
            self.pool.lock(path)
            for node in path:
                self.pool.fill(node, 10)
                node.touched = float(at)
            self.known(name).nodes = path

    def known(self, name: str) -> Known:
        return self.order.know(Subject("session", name), "p", "a", 0.0)

    def evicted(self, now: float = 10.0) -> str:
        """Who goes first, in order."""
        self.order.begin(now)
        return "".join(sorted(self.paths, key=lambda name: self.order.rank(self.paths[name][-1])))


def test_ended_go_first_then_unhinted_by_recency_then_hinted() -> None:
    """Of five, d has ended, a and c have no hint, b and e have one and e is needed sooner."""
    bench = Bench("abcde", {"b": Advice(remaining=9), "e": Advice(remaining=1)})
    bench.order.end(Subject("session", "d"))
    assert bench.evicted() == "dacbe"


def test_urgency_is_priority_then_steps_then_time_and_unknown_is_last() -> None:
    """Smallest priority first, then most steps, then longest wait; within each the unknown counts as furthest."""
    bench = Bench(
        "abcdef",
        {
            "a": Advice(priority=1),
            "b": Advice(steps=1, remaining=9),
            "c": Advice(steps=1, remaining=5),
            "d": Advice(steps=3, remaining=1),
            "e": Advice(remaining=0.1),
            "f": Advice(steps=1),
        },
    )
    assert bench.evicted() == "edfbca"


def test_a_shared_node_takes_the_most_urgent_and_outlives_an_end() -> None:
    """The head ranks with b, and with c when b has ended; only b's own part is over then."""
    bench = Bench("abc", {"b": Advice(remaining=1), "c": Advice(remaining=5)})
    head = bench.paths["a"][0]
    bench.order.begin(0.0)
    assert bench.order.rank(head)[:-1] == bench.order.rank(bench.paths["b"][-1])[:-1]
    bench.order.end(Subject("session", "b"))
    assert bench.evicted() == "bac"
    assert bench.order.rank(head)[:-1] == bench.order.rank(bench.paths["c"][-1])[:-1]


def test_an_ended_context_that_is_used_again_is_over_no_more() -> None:
    """Another session can begin with what one left behind."""
    bench = Bench("ab", {})
    bench.order.end(Subject("session", "b"))
    assert bench.evicted() == "ba"
    bench.order.revive(bench.paths["b"])
    assert bench.evicted() == "ab"


def test_hints_protect_no_more_than_the_budget_most_urgent_first() -> None:
    """Thirty tokens hold the head and two contexts; the third goes by recency, as if it had no hint."""
    wait = {"a": Advice(remaining=3), "b": Advice(remaining=1), "c": Advice(remaining=2)}
    assert Bench("abcd", wait, budget=0.03).evicted() == "adcb"
    assert Bench("abcd", wait).evicted() == "dacb"


def test_the_truth_is_told_to_who_asks_for_it() -> None:
    """``Truth`` ranks by when each is really needed, whatever anybody would expect."""
    bench = Bench("ab", {})
    bench.order = Hinted(Truth(), 1000, budget=1.0)
    for name, due in (("a", 12.0), ("b", 30.0)):
        known = bench.known(name)
        known.nodes = bench.paths[name]
        known.enter("acting", 0.0, due=due)
    assert bench.evicted() == "ba"


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_simulated(name: str) -> None:
    """Whatever it advises for contexts in all phases can be ranked."""
    bench = Bench("abcd", {})
    bench.order = Hinted(policy(name), 1000)
    for one, phase in zip("abcd", get_args(Phase), strict=True):
        known = bench.known(one)
        known.nodes = bench.paths[one]
        known.enter(phase, 1.0)
        known.steps = 1
    assert sorted(bench.evicted()) == list("abcd")
