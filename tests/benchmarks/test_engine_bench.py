"""The engine benchmark: its ratios are those of the rounds, and sizes that measure nothing are refused."""

from __future__ import annotations

import pytest

from agentrt.benchmarks.engine.measure import Result, Round, Sizes
from agentrt.benchmarks.engine.report import as_dict, as_text
from agentrt.cli import main


def measured(cold: float, warm: float, one: float, many: float, peer: float) -> Round:
    """One round of agentrt and transformers."""
    return {
        "agentrt.cold_s": cold,
        "agentrt.warm_s": warm,
        "agentrt.one": one,
        "agentrt.many": many,
        "transformers.one": peer,
        "transformers.many": peer,
    }


RESULT = Result(
    Sizes(rounds=3, cached=4000, tokens=64),
    {"cores": 2},
    [measured(10, 0.4, 50, 260, 40), measured(20, 0.6, 25, 130, 20), measured(40, 4, 5, 20, 5)],
)


def test_ratios_are_taken_within_rounds() -> None:
    """A round in which the machine was busy slows both sides alike, so the medians of ratios are reported."""
    ratios = {one["name"]: (one["ratio"], one["met"]) for one in as_dict(RESULT)["ratios"]}  # type: ignore[attr-defined]
    assert ratios == {
        "warm prompt over cold": (0.04, True),
        "decode, 1 sequence, over transformers": (1.25, True),
        "decode, 8 sequences over 1": (5.2, True),
    }
    assert as_dict(RESULT)["met"] is True


def test_the_table_names_what_was_missed() -> None:
    """A ratio beyond its bound stands as MISSED beside its target; a contender that took no part is a dash."""
    slow = Result(RESULT.sizes, RESULT.environment, [measured(10, 1, 40, 260, 40)])
    lines = as_text(slow).splitlines()
    assert [line.endswith("MISSED") for line in lines if "target" in line] == [True, True, False]
    assert next(line for line in lines if line.startswith("cold prompt")).split()[-3:] == ["10", "-", "-"]
    assert slow.met is False


@pytest.mark.parametrize("option", ["--rounds", "--cached", "--tokens"])
def test_sizes_that_measure_nothing_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 2, before anything is started."""
    assert main(["bench", "engine", option, "0"]) == 2
    assert capsys.readouterr().err == f"agentrt: {option} 0: expected 1 or more\n"
