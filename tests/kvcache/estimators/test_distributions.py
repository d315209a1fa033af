"""Distributions: an observed body, a heavy tail, and mixtures of them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.kvcache.estimators.base import Distribution
from agentrt.kvcache.estimators.mixture import Mixture
from agentrt.kvcache.estimators.observed import Observed

SECONDS = st.floats(0, 1e5, allow_nan=False)


def plain(*values: float, tail: float = 0.2) -> Observed:
    """Equal weights."""
    return Observed([(value, 1.0) for value in values], tail=tail)


def both(one: Distribution, other: Distribution) -> Mixture:
    """Half and half."""
    return Mixture([(one, 0.5), (other, 0.5)])


def test_the_body_is_the_empirical_distribution() -> None:
    """Each of four values of weight one stands for a quarter of what the tail leaves."""
    times = plain(1, 2, 3, 4)
    assert [times.cdf(t) for t in (0.5, 1, 2.5, 3)] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert [times.quantile(q) for q in (0, 0.2, 0.21, 0.8)] == [1, 1, 2, 4]


def test_weights_count() -> None:
    """A value of three times the weight holds three times the probability."""
    assert Observed([(1, 3.0), (2, 1.0)], tail=0.2).cdf(1) == pytest.approx(0.6)


def test_the_tail_follows_pareto() -> None:
    """Beyond the largest value the survival falls by the power alpha, and quantiles invert it."""
    times = plain(1, 2, 3, 4)
    assert times.survival(8) == pytest.approx(0.2 * 0.5**times.alpha)
    assert times.quantile(1 - 0.2 * 0.5**times.alpha) == pytest.approx(8)


def test_one_value_gives_the_prior_s_tail() -> None:
    """A single value says nothing of the tail but one exceedance of no excess: (4 + 1) / 2."""
    assert plain(5).alpha == pytest.approx(2.5)


def test_hill_finds_the_exponent_of_a_pareto() -> None:
    """Of many draws with exponent 1.5 the estimate comes near it."""
    draw = random.Random(7)
    values = [draw.paretovariate(1.5) for _ in range(2000)]
    assert plain(*values, tail=1 / 2001).alpha == pytest.approx(1.5, rel=0.15)


def test_the_mean_joins_body_and_tail() -> None:
    """Four fifths of 2.5, and a fifth of the tail's mean 4 * alpha / (alpha - 1)."""
    times = plain(1, 2, 3, 4)
    assert times.mean == pytest.approx(0.8 * 2.5 + 0.2 * 4 * times.alpha / (times.alpha - 1))


def test_the_residual_is_the_integral_of_the_survival() -> None:
    """E[T - t | T > t] equals the area under the survival beyond t over the survival at t."""
    times = plain(0.5, 1, 2, 2, 7)
    for t in (0.0, 0.7, 2.0, 5.0):
        step = 0.001
        area = sum(times.survival(t + (n + 0.5) * step) * step for n in range(40_000))
        end = t + 40
        area += times.survival(end) * (end / (times.alpha - 1))
        assert times.residual(t) == pytest.approx(area / times.survival(t), rel=1e-3)


def test_what_is_overdue_takes_ever_longer() -> None:
    """Past all that was seen, the expected rest grows with the time taken."""
    times = plain(1, 2, 3)
    rests = [times.residual(t) for t in (3, 6, 60, 600)]
    assert rests == sorted(rests)
    assert rests[0] < rests[-1] / 100


def test_a_lognormal_tool_gets_its_quantiles_back() -> None:
    """Of 128 draws the median and the 95th percentile are near the true ones."""
    draw = random.Random(3)
    times = plain(*(draw.lognormvariate(1, 0.8) for _ in range(128)), tail=1 / 129)
    assert times.quantile(0.5) == pytest.approx(math.exp(1), rel=0.2)
    assert times.quantile(0.95) == pytest.approx(math.exp(1 + 1.645 * 0.8), rel=0.35)


def test_a_mixture_averages_survival_and_mean() -> None:
    """Half and half of two distributions has half of each one's."""
    short, long = plain(1), plain(10)
    mixed = both(short, long)
    assert mixed.mean == pytest.approx((short.mean + long.mean) / 2)
    assert mixed.survival(5) == pytest.approx((short.survival(5) + long.survival(5)) / 2)


def test_a_mixture_learns_from_the_time_passed() -> None:
    """What has outlasted the short part is most likely of the long one."""
    mixed = both(plain(1, tail=0.01), plain(100, tail=0.01))
    assert mixed.residual(0) < 60
    assert mixed.residual(5) > 90


def test_a_share_outside_of_one_is_refused() -> None:
    """There is no time by which everything certainly ends."""
    for q in (1.0, -0.1, math.nan):
        for times in (plain(1), both(plain(1), plain(2))):
            with pytest.raises(ValueError, match="from 0 to below 1"):
                times.quantile(q)


def test_no_points_are_no_distribution() -> None:
    """Nothing observed is another class's business."""
    with pytest.raises(ValueError, match="at least one"):
        Observed([], tail=0.5)


@given(st.lists(SECONDS, min_size=1, max_size=30), st.lists(SECONDS, min_size=1, max_size=30), SECONDS)
def test_laws_hold_for_all(one: list[float], other: list[float], t: float) -> None:
    """Survival falls from 1, rests are positive and finite, quantiles invert the distribution function."""
    first = plain(*one, tail=1 / (len(one) + 1))
    for times in (first, both(first, plain(*other))):
        assert 0 < times.survival(t) <= 1 + 1e-9
        assert times.survival(2 * t + 1) <= times.survival(t) + 1e-12
        assert 0 < times.residual(t) < math.inf
        for q in (0.0, 0.5, 0.95, 0.999):
            assert times.cdf(times.quantile(q)) >= q - 1e-9
            assert times.cdf(times.quantile(q) * 0.999 - 1e-6) <= q + 1e-9
