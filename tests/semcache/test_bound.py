"""The bound: golden values, what a promise is worth in simulations, and when a watch closes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.semcache.bound import Scored, Watch, at_most, fewest, threshold, upper_limit


@pytest.mark.parametrize(
    ("wrong", "hits", "confidence", "limit"),
    [
        (0, 149, 0.95, 0.019905),
        (0, 10, 0.975, 0.308497),
        (1, 10, 0.975, 0.445016),
        (5, 100, 0.95, 0.102253),
        (10, 100, 0.975, 0.176223),
        (50, 100, 0.975, 0.601679),
        (9, 10, 0.95, 0.994884),
        (10, 10, 0.95, 1.0),
    ],
)
def test_upper_limits(wrong, hits, confidence, limit):
    """Clopper and Pearson's limits are those of published tables."""
    assert upper_limit(wrong, hits, confidence) == pytest.approx(limit, abs=2e-6)


def test_large_counts():
    """A million hits are summed without overflow, and the limit closes in on what was seen."""
    assert upper_limit(20_000, 1_000_000, 0.95) == pytest.approx(0.02023, abs=2e-5)
    assert at_most(20_000, 1_000_000, 0.02) == pytest.approx(0.502, abs=0.002)
    assert at_most(0, 5, 0.0) == 1.0
    assert at_most(3, 5, 1.0) == 0.0


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_both_tails(wrong, more, rate):
    """A tail and the other side's tail are one."""
    hits = wrong + more
    assert at_most(wrong, hits, rate) + at_most(hits - wrong - 1, hits, 1 - rate) == pytest.approx(1.0)


@given(st.integers(0, 40), st.integers(1, 400), st.floats(0.5, 0.99))
def test_more_mistakes_never_lower_a_limit(wrong, more, confidence):
    """A limit rises with the mistakes, falls with the hits, and rises with the confidence."""
    hits = wrong + more
    here = upper_limit(wrong, hits, confidence)
    assert wrong / hits <= here
    assert here <= upper_limit(wrong + 1, hits, confidence) + 1e-12
    assert upper_limit(wrong, hits + 1, confidence) <= here + 1e-12
    assert here <= upper_limit(wrong, hits, confidence + 0.005) + 1e-12


def test_fewest():
    """With fewer hits than the fewest no promise is made, however good they are; with room enough one is."""
    assert fewest(0.02, 0.95) == 149
    assert fewest(0.1, 0.95) == 29
    assert threshold([Scored(0.9, True)] * 148, 0.02) is None
    found = threshold([Scored(0.9, True)] * 300, 0.02)
    assert found is not None
    assert (found.score, found.hits, found.wrong) == (0.9, 300, 0)
    assert found.limit < 0.02
    assert found.hit_rate == 1.0
    assert threshold([], 0.02) is None


def _pairs(chance: random.Random, count: int) -> list[Scored]:
    """Pairs of which one with a score of s is right with a chance a little below s: the scores promise too much."""
    scores = [1 - 0.5 * chance.random() ** 1.5 for _ in range(count)]
    return [Scored(score, chance.random() < _right(score)) for score in scores]


def _right(score: float) -> float:
    return score - 0.02


def _true_error(score: float) -> float:
    """The error of all pairs from this score on, by integration."""
    parts = [1 - 0.5 * (part / 4000) ** 1.5 for part in range(4001)]
    hits = [part for part in parts if part >= score]
    return sum(1 - _right(part) for part in hits) / len(hits)


@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_the_promise_is_kept(rate):
    """Of 300 draws of feedback, no more than chance allows for 5% give a threshold that is truly above the bound."""
    chance = random.Random(7)
    found = [threshold(_pairs(chance, 1500), rate) for _ in range(300)]
    broken = sum(one is not None and _true_error(one.score) > rate for one in found)
    assert broken <= 26  # a binomial of 300 and 0.05 is above it once in 300
    assert sum(one is not None for one in found) > 60


def _clustered(chance: random.Random, topics: int) -> list[Scored]:
    """Pairs of topics of one to nine, each of which is right or wrong as a whole most of the time."""
    found = []
    for topic in range(topics):
        score = 1 - 0.5 * chance.random() ** 1.5
        luck = chance.random()
        for _ in range(chance.choice([1, 1, 1, 3, 9])):
            right = (luck if chance.random() < 0.8 else chance.random()) < _right(score)
            found.append(Scored(score, right, topic))
    return found


def test_the_promise_is_kept_where_pairs_are_about_the_same():
    """Taken as independent, the same pairs would promise what does not hold, far more often than one time in twenty."""
    chance = random.Random(11)
    draws = [_clustered(chance, 700) for _ in range(200)]
    broken = {
        topics: sum(
            one is not None and _true_error(one.score) > 0.1
            for one in (
                threshold([pair if topics else pair._replace(topic=-1) for pair in pairs], 0.1) for pairs in draws
            )
        )
        for topics in (True, False)
    }
    assert broken[True] <= 20  # a binomial of 200 and 0.05 is above it less than once in 100
    assert broken[False] > 30


def test_a_stricter_promise_hits_less():
    """The threshold rises as the bound falls or the confidence rises."""
    pairs = _pairs(random.Random(3), 20_000)
    loose, strict, sure = threshold(pairs, 0.1), threshold(pairs, 0.06), threshold(pairs, 0.1, 0.999)
    assert loose is not None
    assert strict is not None
    assert sure is not None
    assert loose.score < strict.score
    assert loose.score <= sure.score
    assert loose.limit <= 0.1


def test_equal_scores_stay_together():
    """A threshold never parts pairs of the same score."""
    pairs = [Scored(0.9, True)] * 400 + [Scored(0.5, False)] * 100 + [Scored(0.5, True)] * 5
    found = threshold(pairs, 0.02)
    assert found is not None
    assert (found.score, found.hits) == (0.9, 400)


def test_order_of_feedback_is_the_same_to_it():
    """The same pairs in another order give the same threshold."""
    pairs = _pairs(random.Random(5), 3000)
    assert threshold(pairs, 0.1) == threshold(pairs[::-1], 0.1)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0])
def test_rates_that_mean_nothing(rate):
    """A bound of nothing or all is refused with its name and value."""
    with pytest.raises(ConfigError, match="max_error_rate is"):
        threshold([], rate)
    with pytest.raises(ConfigError, match="confidence is"):
        Watch(0.02, rate)


def test_a_watch_seldom_cries_wolf():
    """With an error exactly at the bound, at most 5% of 400 watches close within 1,500 checks."""
    chance = random.Random(11)
    closed = 0
    for _ in range(400):
        watch = Watch(0.05)
        closed += any(watch.see(chance.random() >= 0.05) for _ in range(1500))
    assert closed <= 20 + 13  # three standard deviations


@pytest.mark.parametrize("good", [0, 500])
def test_a_watch_closes(good):
    """Errors of three times the bound close it within some hundred checks, even after a good time."""
    chance = random.Random(13)
    for _ in range(20):
        watch = Watch(0.05)
        for _ in range(good):
            watch.see(chance.random() >= 0.02)
        assert not watch.broken
        assert any(watch.see(chance.random() >= 0.15) for _ in range(700))
        assert watch.see(True), "it stays closed"
        assert watch.wrong < watch.checked
