"""Prefill cost, queueing delay, turns left."""

from __future__ import annotations

import math
import random

import pytest

from agentrt.kvcache.estimators import Prefill, Queueing, Turns


def taught(draw: random.Random, count: int = 100, noise: float = 0.1, *, last: float = 1.0) -> Prefill:
    """What costs 10 ms, 0.8 ms a token and 0.1 us a pair, with noise; ``last`` scales the costs."""
    made = Prefill()
    for _ in range(count):
        new, prefix = draw.randint(20, 3000), draw.choice([0, draw.randint(0, 4000)])
        made.observe(new, prefix, last * true(new, prefix) * draw.lognormvariate(0, noise))
    return made


def true(new: int, prefix: int) -> float:
    """The cost that is to be found."""
    return 0.01 + 8e-4 * new + 1e-7 * (new * prefix + new * (new + 1) / 2)


def test_prefill_is_found_from_noisy_turns() -> None:
    """After a hundred turns the cost is right within a tenth, for lengths seen and twice as long."""
    prefill = taught(random.Random(1))
    for new, prefix in [(100, 0), (1000, 0), (1000, 3000), (6000, 0)]:
        assert prefill.seconds(new, prefix).value == pytest.approx(true(new, prefix), rel=0.1)


def test_two_exact_turns_give_the_line() -> None:
    """Without a square term in them, two turns fix the line between them, the prior hardly counts."""
    prefill = Prefill()
    for _ in range(20):
        prefill.observe(100, 0, 0.1)
        prefill.observe(200, 0, 0.2)
    assert prefill.seconds(150).value == pytest.approx(0.15, rel=0.02)


def test_one_observation_already_tells_the_speed() -> None:
    """A first turn of a thousand tokens in two seconds makes the next one cost about as much."""
    prefill = Prefill()
    before = prefill.seconds(1000)
    prefill.observe(1000, 0, 2.0)
    assert before.confidence == 0.0
    assert prefill.seconds(1000).value == pytest.approx(2.0, rel=0.1)


def test_no_cost_is_negative() -> None:
    """Turns that get cheaper with length give a flat line, never one that falls below nothing."""
    prefill = Prefill()
    for new in range(100, 2000, 100):
        prefill.observe(new, 0, 2.0 - new / 1000)
    costs = [prefill.seconds(new).value for new in (1, 100, 1000, 10_000)]
    assert all(cost >= 0 for cost in costs)
    assert costs == sorted(costs)


def test_waiting_behind_others_hardly_pulls_the_fit_up() -> None:
    """When every fifth turn takes ten times as long, because it queued, the fit stays within a fifth."""
    draw, prefill = random.Random(2), Prefill()
    for _ in range(300):
        new = draw.randint(50, 3000)
        prefill.observe(new, 0, true(new, 0) * (10 if draw.random() < 0.2 else 1))
    assert prefill.seconds(1500).value == pytest.approx(true(1500, 0), rel=0.2)


def test_a_machine_that_slows_down_is_noticed() -> None:
    """After two hundred turns at half the speed the old ones are forgotten."""
    draw = random.Random(3)
    prefill = taught(draw)
    for _ in range(200):
        new = draw.randint(20, 3000)
        prefill.observe(new, 0, 2 * true(new, 0))
    assert prefill.seconds(1500).value == pytest.approx(2 * true(1500, 0), rel=0.15)


def test_a_fit_that_does_not_hold_is_not_sure() -> None:
    """Turns that scatter over a factor of ten make for less confidence than turns that do not."""
    assert taught(random.Random(4), noise=2.0).seconds(500).confidence < 0.5
    assert taught(random.Random(4), noise=0.05).seconds(500).confidence > 0.8


@pytest.mark.parametrize(("new", "prefix", "seconds"), [(0, 0, 1.0), (5, -1, 1.0), (5, 0, 0.0), (5, 0, math.nan)])
def test_a_turn_that_cannot_be_is_dropped(new: int, prefix: int, seconds: float) -> None:
    """No tokens, or no time, teaches nothing."""
    prefill = Prefill()
    prefill.observe(new, prefix, seconds)
    assert prefill.seconds(100).samples == 0
    assert prefill.seconds(0).value == 0.0


def test_queueing_is_a_mean_first_and_follows_later() -> None:
    """Two delays average; after a change of load thirty delays suffice to be near the new one."""
    queueing = Queueing()
    queueing.observe(1.0)
    queueing.observe(3.0)
    assert queueing.seconds().value == 2.0
    for _ in range(30):
        queueing.observe(20.0)
    assert queueing.seconds().value == pytest.approx(20.0, rel=0.1)
    assert queueing.recent.quantile(0.5) == 20.0


def test_queueing_starts_at_none() -> None:
    """Before any delay none is expected, and nobody is sure of it; nonsense teaches nothing."""
    queueing = Queueing()
    queueing.observe(-1.0)
    queueing.observe(math.inf)
    assert queueing.seconds().value == 0.0
    assert queueing.seconds().confidence == 0.0
    assert queueing.recent.confidence == 0.0


def test_turns_left_is_conditional_on_those_done() -> None:
    """Of sessions of 2 and 10 turns, one with 3 done is one of the long ones."""
    turns = Turns()
    for _ in range(50):
        turns.observe("coder", 2)
        turns.observe("coder", 10)
    assert turns.left("coder", 3).value == pytest.approx(7, abs=0.5)
    assert turns.left("coder", 0).value == pytest.approx(6, abs=0.5)
    assert turns.again("coder", 2) == pytest.approx(0.5, abs=0.03)
    assert turns.again("coder", 3) == pytest.approx(1.0)


def test_more_turns_than_ever_may_have_more_to_come() -> None:
    """A session longer than all before is expected to go on for a while."""
    turns = Turns()
    for _ in range(20):
        turns.observe("coder", 5)
    assert turns.left("coder", 50).value > turns.left("coder", 20).value > 1


def test_an_unknown_agent_is_like_the_others() -> None:
    """An agent without history borrows that of all agents."""
    turns = Turns()
    for _ in range(30):
        turns.observe("coder", 5)
    assert turns.left("writer", 0).value == pytest.approx(turns.left("coder", 0).value, rel=0.3)
    assert turns.left("writer", 0).confidence < turns.left("coder", 0).confidence


def test_memory_is_one_for_fixed_lengths() -> None:
    """If every session has ten turns, those done tell exactly those left."""
    turns = Turns()
    assert turns.memory() == 0.0
    for _ in range(20):
        turns.observe("coder", 10)
    assert turns.memory() == pytest.approx(1.0)


def test_memory_is_none_for_a_constant_chance_to_end() -> None:
    """Geometric lengths have no memory."""
    draw, turns = random.Random(1), Turns()
    for _ in range(128):
        total = 1
        while draw.random() < 0.9:
            total += 1
        turns.observe("coder", total)
    assert turns.memory() == pytest.approx(0.0, abs=0.25)


def test_memory_equals_the_correlation_written_out() -> None:
    """For sessions of 1, 3 and 4 turns it is the correlation over their eight pairs of done and left."""
    turns = Turns()
    for total in (1, 3, 4):
        turns.observe("coder", total)
    pairs = [(k, n - k) for n in (1, 3, 4) for k in range(1, n + 1)]
    done, left = zip(*pairs, strict=True)
    mean_done, mean_left = sum(done) / 8, sum(left) / 8
    cov = sum((k - mean_done) * (r - mean_left) for k, r in pairs)
    spread = math.sqrt(sum((k - mean_done) ** 2 for k in done) * sum((r - mean_left) ** 2 for r in left))
    assert turns.memory() == pytest.approx(-cov / spread)
