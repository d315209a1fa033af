"""Durations, learnt per command, per tool and over all."""

from __future__ import annotations

import math
import random

import pytest

from agentrt.kvcache.estimators import Durations
from agentrt.kvcache.estimators.durations import NAMES
from agentrt.kvcache.estimators.reservoir import SIZE, Reservoir


def seen(**times: list[float]) -> Durations:
    """Durations of ``bash`` by word."""
    made = Durations()
    for word, seconds in times.items():
        for one in seconds:
            made.observe("bash", word, one)
    return made


def test_before_anything_it_is_not_sure_at_all() -> None:
    """The first guess lies between a tenth of a second and a minute, with no confidence."""
    guess = Durations().of("bash", "make")
    assert 0.1 < guess.mean < 60
    assert (guess.samples, guess.confidence) == (0, 0.0)


def test_enough_observations_speak_for_themselves() -> None:
    """With twenty of its own, a command's distribution has nothing of the tool's in it."""
    durations = seen(pytest=[8.0] * 20, ls=[0.02] * 50)
    assert durations.of("bash", "pytest").quantile(0.5) == 8.0
    assert durations.of("bash", "pytest").cdf(7.9) == pytest.approx(0)
    assert durations.of("bash", "ls").quantile(0.9) == 0.02


def test_few_observations_share_with_the_tool() -> None:
    """Four of its own count for a half, the rest is the tool's: two fifths of that are its own again."""
    durations = seen(make=[100.0] * 4, ls=[0.02] * 36)
    make = durations.of("bash", "make")
    own, tool = durations.of("bash", "make", at_least=1), durations.of("bash")
    assert make.cdf(1.0) == pytest.approx(0.5 * own.cdf(1.0) + 0.5 * tool.cdf(1.0))
    assert make.samples == 4


def test_an_unknown_command_is_the_tool_s() -> None:
    """A word never seen answers what the tool does, half as sure, and says that it has no samples."""
    durations = seen(pytest=[8.0] * 40)
    unknown, tool = durations.of("bash", "make"), durations.of("bash")
    assert unknown.mean == pytest.approx(tool.mean)
    assert unknown.confidence == pytest.approx(tool.confidence / 2)
    assert unknown.samples == 0


def test_an_unknown_tool_is_all_tools() -> None:
    """A tool never seen answers what all tools do, again half as sure."""
    durations = seen(pytest=[8.0] * 40)
    assert durations.of("browser").mean == pytest.approx(durations.of("").mean)
    assert durations.of("browser").confidence == pytest.approx(durations.of("").confidence / 2)


def test_turns_do_not_tell_of_tools() -> None:
    """Names with a colon are kinds of their own: an unknown agent's turn is like other turns."""
    durations = seen(ls=[0.02] * 40)
    for _ in range(40):
        durations.observe("turn:writer", "", 30.0)
    assert durations.of("turn:critic").quantile(0.5) == 30.0
    assert durations.of("turn:").quantile(0.5) == 30.0
    assert durations.of("find").quantile(0.5) == 0.02


def test_the_recent_weigh_more() -> None:
    """A tool that has become slow is taken for slow before half of what is kept says so."""
    durations = seen(make=[1.0] * 90 + [10.0] * 60)
    assert durations.of("bash", "make").quantile(0.5) == 10.0


def test_more_observations_make_it_surer() -> None:
    """Confidence rises with samples, towards 1."""
    sure = [seen(make=[1.0] * count).of("bash", "make").confidence for count in (1, 5, 20, 100)]
    assert sure == sorted(sure)
    assert sure[-1] > 0.9


def test_commands_are_told_apart_better_than_tools() -> None:
    """Predicting a mixed tool per command errs less (in logarithms) than one answer for the tool."""
    draw = random.Random(5)
    true = {"ls": -4.0, "grep": -2.0, "pytest": 2.0, "make": 3.0}
    durations, per_word, per_tool = Durations(), 0.0, 0.0
    for _ in range(400):
        word = draw.choice(list(true))
        took = draw.lognormvariate(true[word], 0.6)
        per_word += abs(math.log(durations.of("bash", word).quantile(0.5) / took))
        per_tool += abs(math.log(durations.of("bash").quantile(0.5) / took))
        durations.observe("bash", word, took)
    assert per_word < 0.5 * per_tool


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e9])
def test_nonsense_is_dropped(seconds: float) -> None:
    """A clock gone wrong leaves no trace."""
    durations = Durations()
    durations.observe("bash", "ls", seconds)
    assert len(durations) == 0


def test_the_number_of_things_is_bounded() -> None:
    """Thousands of commands keep the latest and the classes they belong to."""
    durations = Durations()
    for number in range(3 * NAMES):
        durations.observe("bash", f"tool{number}", 1.0)
    assert len(durations) == NAMES
    assert durations.of("bash").samples == 3 * NAMES
    assert durations.of("bash", f"tool{3 * NAMES - 1}").samples == 1
    assert durations.of("bash", "tool0").samples == 0


def test_an_answer_follows_what_is_observed() -> None:
    """A cached answer is not given again once there is news."""
    durations = seen(make=[1.0])
    before = durations.of("bash", "make")
    assert durations.of("bash", "make") is before
    durations.observe("bash", "make", 50.0)
    assert durations.of("bash", "make").mean > before.mean


def test_a_reservoir_keeps_the_last() -> None:
    """Old observations are forgotten, their number is not."""
    kept = Reservoir()
    for number in range(SIZE + 50):
        kept.add(float(number))
    assert kept.values == [float(number) for number in range(50, SIZE + 50)]
    assert kept.count == kept.distribution.samples == SIZE + 50


def test_what_is_filled_in_answers_the_same() -> None:
    """A dump taken in by another answers as the first does, within its four digits."""
    first, second = seen(make=[1.23456, 3.0, 9.0], ls=[0.01] * 30), Durations()
    second.fill(first.dump())
    assert second.of("bash", "make").mean == pytest.approx(first.of("bash", "make").mean, rel=1e-3)
    assert second.of("bash", "ls").samples == 30
