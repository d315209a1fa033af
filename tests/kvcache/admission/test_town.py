"""What admission is for: programs that do not fit together finish sooner."""

from __future__ import annotations

from statistics import fmean

import pytest

from agentrt.kvcache.admission import Admission

from .town import CPU, GPU, Case, Regime, p95


@pytest.mark.parametrize("regime", [CPU, GPU], ids=lambda one: one.name)
def test_programs_finish_sooner_when_they_do_not_fit(regime: Regime) -> None:
    """Of four times the pool, programs take 0.7 of the mean time at most, and no longer at the 95th percentile."""
    case = Case(regime, 16, 4)
    for seed in range(3):
        plain, ours = case.run(None, seed), case.run(Admission, seed)
        assert fmean(ours.took) <= 0.7 * fmean(plain.took)
        assert p95(ours.took) <= p95(plain.took)
        assert ours.computed < 0.5 * plain.computed


@pytest.mark.parametrize("regime", [CPU, GPU], ids=lambda one: one.name)
def test_nothing_changes_when_they_fit(regime: Regime) -> None:
    """With room for all, every program takes exactly as long as without admission."""
    case = Case(regime, 16, 0.9)
    assert case.run(Admission, 1).took == case.run(None, 1).took
