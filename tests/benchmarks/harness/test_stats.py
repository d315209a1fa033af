"""Intervals and tests against values of the literature, and what must hold of any."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentrt.benchmarks.harness.stats import Interval, gain, mcnemar, mean, paired, percentile, ratio, share

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Cross- minus self-fertilised plants of Zea mays, in eighths of an inch (Darwin 1876; Fisher, The Design of
Experiments, 1935, section 21)."""

numbers = st.floats(-1e6, 1e6)
times = st.floats(0.001, 1e4)


@pytest.mark.parametrize(
    ("passed", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_that_of_the_literature(passed: int, of: int, low: float, high: float) -> None:
    """The four examples of Newcombe's comparison of methods."""
    found = share(passed, of)
    assert found.value == passed / of
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(10, 2, 158 / 4096), (5, 0, 2 / 32), (3, 3, 1.0), (0, 0, 1.0), (1, 0, 1.0), (12, 0, 2 / 4096)],
)
def test_mcnemar_is_the_exact_binomial_test(better: int, worse: int, p: float) -> None:
    """Two-sided, on the pairs that differ; worked out by hand from binomial coefficients."""
    first = [False] * better + [True] * worse + [True] * 9
    second = [True] * better + [False] * worse + [True] * 9
    assert mcnemar(first, second) == pytest.approx(p)


def test_the_sign_flip_test_is_fishers_on_darwins_plants() -> None:
    """Of the 32,768 ways to give the signs, 863 come to 314 or more, and as many to -314 or less."""
    found = paired([0.0] * len(DARWIN), [float(one) for one in DARWIN])
    assert found.difference.value == pytest.approx(314 / 15)
    assert found.p == 1726 / 32768


def test_drawn_flips_and_the_normal_law_agree_with_all_flips() -> None:
    """The three ways to the same probability, for few, some and many entries, differ little."""
    chance = random.Random(1)
    for size in (16, 190, 2000):
        shift = 2 / math.sqrt(size)  # two standard errors
        values = [chance.gauss(0, 1) for _ in range(size)]
        moved = [one - fmean(values) + shift for one in values]
        assert paired([0.0] * size, moved).p == pytest.approx(0.0455, abs=0.015)


def test_resampled_and_normal_intervals_agree() -> None:
    """At the size from which nothing is drawn any more, both ways give nearly the same interval."""
    chance = random.Random(2)
    values = [chance.expovariate(1) for _ in range(200)]
    drawn, reckoned = mean(values), mean([*values, fmean(values)])
    assert drawn.low == pytest.approx(reckoned.low, abs=0.03)
    assert drawn.high == pytest.approx(reckoned.high, abs=0.03)
    weighed = [one * chance.uniform(0.5, 1.5) for one in values]
    drawn, reckoned = ratio(values, weighed), ratio([*values, fmean(values)], [*weighed, fmean(weighed)])
    assert drawn.low == pytest.approx(reckoned.low, abs=0.02)
    assert drawn.high == pytest.approx(reckoned.high, abs=0.02)


def test_intervals_hold_what_they_promise() -> None:
    """Of 100 samples of an even distribution, about 95% have intervals with the true mean in it, small ones too."""
    chance = random.Random(3)
    for size in (6, 25):
        hits = 0
        for _ in range(100):
            found = mean([chance.random() for _ in range(size)])
            hits += found.low <= 0.5 <= found.high
        assert 91 <= hits <= 99


@pytest.mark.parametrize("size", [5, 40])
def test_a_gain_holds_what_it_promises(size: int) -> None:
    """Of 400 pairs of runs in which two of ten fail at first, and half of these then pass, at least 95% or nearly."""
    chance, hits = random.Random(4), 0
    for _ in range(400):
        first = [chance.random() < 0.8 for _ in range(size)]
        found = gain(first, [one or chance.random() < 0.5 for one in first])
        hits += found.low <= 0.1 <= found.high
        assert -1 <= found.low <= found.value <= found.high <= 1
    assert hits >= 375


def test_a_gain_of_few_entries_is_not_sure() -> None:
    """Where no entry changed sides the interval is no point."""
    found = gain([True] * 5, [True] * 5)
    assert found.value == 0
    assert found.high == -found.low == pytest.approx(0.396, abs=5e-4)  # 1.96 * sqrt(2 / 7 / 7)


@pytest.mark.parametrize(("part", "value"), [(0.05, 15), (0.3, 20), (0.4, 20), (0.5, 35), (0.95, 50), (1.0, 50)])
def test_percentiles_are_by_the_nearest_rank(part: float, value: int) -> None:
    """The smallest value that at least this part of all do not exceed, whatever their order."""
    assert percentile([35, 20, 15, 40, 50], part) == value


def test_nothing_has_no_spread() -> None:
    """Of no values there is a figure all the same, and of none passed of none everything may be true."""
    assert mean([]) == ratio([], []) == Interval(0.0, 0.0, 0.0)
    assert paired([], []).pairs == 0
    assert percentile([], 0.5) == 0.0
    assert share(0, 0) == Interval(0.0, 0.0, 1.0)


def test_pairs_must_be_pairs() -> None:
    """Lists of different lengths are a mistake of the caller."""
    for test in (paired, ratio):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            test([1.0, 2.0], [1.0])


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
@example(0, 75)  # where rounding once left the share out of its interval
def test_a_share_lies_in_its_interval(passed: int, more: int) -> None:
    """Which lies within 0 and 1, and turns over when passing and failing do."""
    found, turned = share(passed, passed + more), share(more, passed + more)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert turned.low == pytest.approx(1 - found.high, abs=1e-12)
    assert turned.high == pytest.approx(1 - found.low, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_does_not_know_which_is_first(pairs: list[tuple[bool, bool]]) -> None:
    """The probability is one, and the same either way round."""
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    p = mcnemar(first, second)
    assert 0 < p <= 1
    assert p == mcnemar(second, first)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12))
def test_a_difference_turns_over_with_its_pairs(pairs: list[tuple[float, float]]) -> None:
    """The mean changes its sign, the probability does not, and one sign of all is the least likely of all."""
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    there, back = paired(first, second), paired(second, first)
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert 2 ** (1 - len(pairs)) <= there.p <= 1
    assert there.p == back.p
    assert there.difference.low <= there.difference.high


@settings(max_examples=25, deadline=None)
@given(st.lists(times, min_size=1, max_size=12), st.floats(0.1, 10))
def test_a_constant_factor_is_known_for_sure(first: list[float], factor: float) -> None:
    """Where every pair has one ratio, the interval is that."""
    found = ratio(first, [factor * one for one in first])
    assert tuple(found) == pytest.approx((factor, factor, factor))
