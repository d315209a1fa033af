"""Our own policy: expected seconds to the next use, for every context alike."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.policies import policy
from agentrt.kvcache.policies.agentrt import Agentrt
from tests.kvcache.policies.world import acting, prompt, session, tools, world

OURS = policy("agentrt")


def rank(context: Context, around: World) -> tuple[float, float, float]:
    """Where the engine places the advice: larger stays longer; nothing said comes before all hints."""
    advice = OURS.advise(context, around)
    if advice is None:
        return (-math.inf, 0, 0)
    steps = math.inf if advice.steps is None else advice.steps
    return (advice.priority, -steps, -(math.inf if advice.remaining is None else advice.remaining))


def test_the_order_from_first_evicted_to_last() -> None:
    """Out of sight, long tool, short tool, called: each is given up before the next."""
    around = world(tools(edit=[0.1] * 40, test=[8.0] * 40))
    in_order = [
        session("waiting"),
        acting(0.0, "test"),
        prompt(steps=2, wait=5.0),
        acting(0.0, "edit"),
        session("queued"),
    ]
    ranks = [rank(one, around) for one in in_order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_a_tool_that_should_be_back_is_kept_until_it_is_overdue() -> None:
    """Close to its usual end a slow tool's context is kept above a fresh one's, long after it far below."""
    around = world(tools(test=[8.0 + n / 20 for n in range(40)]))
    fresh, nearly, overdue = acting(0.0, "test"), acting(7.9, "test"), acting(60.0, "test")
    assert rank(overdue, around) < rank(fresh, around) < rank(nearly, around)


def test_its_own_clock_beats_the_graph_s() -> None:
    """While a tool of its own runs, the tool's rest counts, whatever the graph was told before."""
    around = world(tools(test=[8.0] * 40))
    told = OURS.advise(replace(acting(1.0, "test"), wait=0.5), around)
    assert told == OURS.advise(acting(1.0, "test"), around)


def test_steps_become_seconds_where_no_time_is_known() -> None:
    """Two steps away is two mean turns away; three are further."""
    known = tools()
    for _ in range(30):
        known.durations.observe("turn:coder", "", 4.0)
    turn = known.durations.of("turn:").mean
    assert OURS.advise(prompt(steps=2), world(known)) == Advice(remaining=2 * turn)
    assert rank(prompt(steps=3), world(known)) < rank(prompt(steps=2), world(known))


def test_fetched_only_on_known_events() -> None:
    """A called turn, and what the graph needs next; never a guess about a tool, nor what is further away."""

    def fetched(context: Context) -> bool:
        advice = OURS.advise(context, world(tools(bash=[0.1] * 40)))
        return advice is not None and advice.prefetch

    assert fetched(session("queued", steps=0))
    assert fetched(prompt(steps=1))
    assert fetched(session("waiting", steps=0, wait=0.0))
    assert not fetched(acting(0.099))
    assert not fetched(replace(acting(0.099), phase="waiting"))
    assert not fetched(prompt(steps=2, wait=0.01))


def test_nothing_in_sight_says_nothing() -> None:
    """A held turn, or a session that the graph no longer sees, gets no privilege."""
    assert OURS.advise(session("held", steps=0, wait=0.0), world()) is None
    assert OURS.advise(session("waiting"), world()) is None
    assert OURS.advise(prompt(), world()) is None


@pytest.mark.parametrize("error", [1.0, 3.0])
def test_ranking_survives_bad_estimates(error: float) -> None:
    """With each tool's times mistaken by up to a factor of three, the short half is kept still.

    Of eight tools whose durations double from one to the next, the four kept are the true four, or share three of them.
    """
    draw = random.Random(11)
    names = [f"tool{n}" for n in range(8)]
    believed = {name: [0.1 * 2**n * error ** draw.uniform(-1, 1)] * 40 for n, name in enumerate(names)}
    around = world(tools(**believed))
    kept = sorted(names, key=lambda name: rank(acting(0.0, name), around), reverse=True)[:4]
    assert len(set(kept) & set(names[:4])) >= (4 if error == 1 else 3)


def test_the_keep_is_its_own() -> None:
    """How long advice holds is a setting."""
    advice = Agentrt(keep=20.0).advise(session("queued"), world())
    assert advice is not None
    assert advice.keep == 20.0
