"""What every policy keeps to, whatever it is asked."""

from __future__ import annotations

import math
import time
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.kvcache.contexts import Advice, Context, Phase, ToolRun, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import MAX_KEEP, Hint, Subject
from agentrt.kvcache.policies import DEFAULT, POLICIES, Policy, policy
from tests.kvcache.policies.world import acting, session, tools, world

NAMES = ["agentrt", "cachewise", "continuum", "continuum-2s", "infercept", "kvflow", "none", "saga"]

seconds = st.floats(0, 1e7, allow_nan=False)
words = st.sampled_from(["", "pytest", "ls", "never-seen"])
tool_runs = st.builds(ToolRun, st.sampled_from(["bash", "browser", "never-seen"]), words, seconds)
contexts = st.builds(
    Context,
    subject=st.sampled_from([Subject("session", "s"), Subject("agent", "coder", "p")]),
    program=st.just("p"),
    agent=st.sampled_from(["coder", "never-seen"]),
    phase=st.sampled_from(get_args(Phase)),
    arrived=st.floats(-1e6, 1e9, allow_nan=False),
    tokens=st.integers(0, 10**7),
    turns=st.integers(0, 10**5),
    held=seconds,
    steps=st.none() | st.integers(0, 1000),
    wait=st.none() | seconds,
    tools=st.lists(tool_runs, max_size=3).map(tuple),
)


def taught(times: list[float]) -> Estimators:
    """Estimators that have seen something of everything."""
    made = Estimators()
    for at, one in enumerate(times):
        made.durations.observe("bash", ("pytest", "ls")[at % 2], one)
        made.durations.observe("turn:coder", "", one)
        made.prefill.observe(at + 1, at, one + 1e-6)
        made.queueing.observe(one)
        made.turns.observe("coder", at % 17 + 1)
    return made


worlds = st.builds(
    World,
    now=seconds,
    pool=st.integers(0, 10**7),
    host=st.integers(0, 10**7),
    pressure=st.floats(0, 1e3),
    estimators=st.lists(st.floats(0, 1e5), max_size=120).map(taught),
)


@pytest.fixture(params=NAMES)
def made(request: pytest.FixtureRequest) -> Policy:
    """Each policy, by its name."""
    return policy(request.param)


def test_the_policies_are_these() -> None:
    """Every name has its policy, which goes by that name; ours is the default."""
    assert sorted(POLICIES) == NAMES
    assert [policy(name).name for name in NAMES] == NAMES
    assert policy().name == DEFAULT == "agentrt"


def test_an_unknown_name_is_told_the_known_ones() -> None:
    """A misspelt policy is the user's mistake, and the message lists what there is."""
    with pytest.raises(ConfigError, match=r"'lru'.*agentrt, cachewise, .*saga"):
        policy("lru")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(context=contexts, around=worlds)
def test_advice_is_sound(name: str, context: Context, around: World) -> None:
    """Whatever is asked: the same answer twice, in bounds, sendable, and fetched only what is certain to come."""
    asked = policy(name)
    advice = asked.advise(context, around)
    assert asked.advise(context, around) == advice == policy(name).advise(context, around)
    if advice is None:
        return
    check(advice)
    if advice.prefetch:
        assert context.phase == "queued" or (context.steps is not None and context.steps <= 1)


def check(advice: Advice) -> None:
    """In bounds, and accepted by the engine as a hint."""
    assert math.isfinite(advice.priority)
    assert 0 < advice.keep <= MAX_KEEP
    assert advice.remaining is None or 0 <= advice.remaining < math.inf
    hint = Hint(
        subject=Subject("session", "s"),
        generation=1,
        keep=advice.keep,
        priority=advice.priority,
        steps=advice.steps,
        remaining=advice.remaining,
        prefetch=advice.prefetch,
    )
    assert Hint.from_wire(hint.to_wire()) == hint


def test_asking_takes_microseconds(made: Policy) -> None:
    """A hundred thousand questions a second and more can be answered, on estimators that are full."""
    around = world(taught([0.1 * n for n in range(1, 300)]))
    context = acting(1.0, "bash", "pytest", tokens=2000, turns=3)
    made.advise(context, around)
    best = math.inf
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(100):
            made.advise(context, around)
        best = min(best, time.perf_counter() - began)
    assert best / 100 < 50e-6, "five times what it takes on a slow machine"


def test_a_policy_keeps_nothing_of_what_it_was_asked(made: Policy) -> None:
    """Asked about a thousand other contexts in between, it answers as before."""
    around = world(tools(bash=[1.0, 5.0]))
    context = acting(0.5, tokens=500)
    before = made.advise(context, around)
    for number in range(1000):
        made.advise(Context(Subject("session", str(number)), "p", "coder", "queued", float(number)), around)
    assert made.advise(context, around) == before


def test_none_says_nothing() -> None:
    """Not even that a turn is called."""
    for phase in get_args(Phase):
        assert policy("none").advise(session(phase, steps=0), world()) is None
