"""The published policies, on numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.kvcache.contexts import Advice
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.estimators.observed import Observed
from agentrt.kvcache.policies.cachewise import CacheWise
from agentrt.kvcache.policies.continuum import Continuum, best_time
from agentrt.kvcache.policies.continuum_2s import Continuum2s
from agentrt.kvcache.policies.infercept import InferCept
from agentrt.kvcache.policies.kvflow import KVFlow
from agentrt.kvcache.policies.saga import Saga
from tests.kvcache.policies.world import acting, prompt, session, tools, world


class TestKVFlow:
    """arXiv 2507.07400."""

    def test_prompts_go_by_steps(self) -> None:
        """A prompt carries its steps to execution, and is fetched at one step."""
        advice = [KVFlow().advise(prompt(steps=steps), world()) for steps in (0, 1, 2, 7)]
        assert [one.steps for one in advice if one] == [0, 1, 2, 7]
        assert [one.prefetch for one in advice if one] == [False, True, False, False]

    def test_what_follows_the_prompt_has_no_privilege(self) -> None:
        """Sessions get no hint, nor do prompts that no step will use."""
        assert KVFlow().advise(session("queued", steps=0), world()) is None
        assert KVFlow().advise(prompt(steps=None), world()) is None


class TestContinuum:
    """arXiv 2511.02230."""

    TIMES = Observed([(1.0, 0.6), (10.0, 0.4)], tail=1e-12)

    @pytest.mark.parametrize(("benefit", "best"), [(0.0, 0.0), (1.6, 0.0), (5.0, 1.0), (22.0, 1.0), (23.0, 10.0)])
    def test_the_best_time_by_hand(self, benefit: float, best: float) -> None:
        """Six of ten end at 1 s, all at 10 s: 1 s pays from 1 / 0.6 on, 10 s from (10 - 1) / 0.4 on."""
        assert best_time(self.TIMES, benefit) == best

    @given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.floats(0, 1000))
    def test_the_best_time_is_the_argmax(self, times: list[float], benefit: float) -> None:
        """No observed time, nor 0, has a greater net benefit than the one chosen."""
        durations = Observed([(one, 1.0) for one in times], tail=1 / (len(times) + 1))
        net = {time: durations.cdf(time) * benefit - time for time in [0.0, *times]}
        chosen = best_time(durations, benefit)
        assert durations.cdf(chosen) * benefit - chosen == pytest.approx(max(net.values()), abs=1e-6)

    def test_few_observations_take_the_logarithm(self) -> None:
        """Below a hundred durations it is ln(T * eta + prefill); here eta is 1, all programs having ten turns."""
        known = tools(bash=[5.0] * 99)
        for _ in range(10):
            known.turns.observe("coder", 10)
            known.queueing.observe(2.0)
        expected = math.log(2.0 + known.prefill.seconds(4000).value)
        assert Continuum().time_to_live(acting(0, tokens=4000), known) == pytest.approx(expected)

    def test_all_tools_stand_in_for_a_new_one(self) -> None:
        """A tool without a hundred durations uses those of all tools, a known one its own."""
        known = tools(bash=[1.0] * 110, browser=[3.0] * 10)
        known.queueing.observe(1000.0)
        for _ in range(10):
            known.turns.observe("coder", 10)
        assert Continuum().time_to_live(acting(0, "bash"), known) == 1.0
        assert Continuum().time_to_live(acting(0, "browser"), known) == 3.0

    def test_what_costs_nothing_is_not_kept(self) -> None:
        """With no queue, and a context that is computed in less than a second, nothing is gained by keeping."""
        assert Continuum().advise(acting(0, tokens=100), world()) is None

    def test_kept_until_the_time_is_over(self) -> None:
        """The rest of the time to live, ranked by the arrival of the program; afterwards nothing."""
        known = tools(bash=[4.0] * 100)
        around = world(known)
        assert Continuum().advise(acting(1.0, tokens=20_000, arrived=30.0), around) == Advice(keep=3.0, priority=-30.0)
        assert Continuum().advise(acting(4.5, tokens=20_000), around) is None

    def test_early_programs_outlast_late_ones(self) -> None:
        """Of two turns that are called, the one of the later program is evicted first."""
        early = Continuum().advise(session("queued", arrived=1.0), world())
        late = Continuum().advise(session("queued", arrived=9.0), world())
        assert early is not None
        assert late is not None
        assert early.priority > late.priority

    def test_the_repository_s_two_seconds(self) -> None:
        """Whatever the tool: two seconds from the call, then no more."""
        around = world(tools(bash=[60.0] * 200))
        assert Continuum2s().advise(acting(0.5), around) == Advice(keep=1.5)
        assert Continuum2s().advise(acting(2.0), around) is None
        assert Continuum2s().advise(prompt(steps=0), around) is None


class TestSaga:
    """arXiv 2605.00528."""

    def test_the_score_by_hand(self) -> None:
        """150 of 300 s idle, certain to return, a quarter of the pool: 0.3 * 0.5 + 0 + 0.2 * 0.25."""
        assert Saga().evictability(acting(150.0, tokens=2500), world(pool=10_000)) == pytest.approx(0.2)

    def test_reuse_is_learned_where_the_graph_is_silent(self) -> None:
        """Half of this agent's sessions that had two turns had a third."""
        known = Estimators()
        for _ in range(60):
            known.turns.observe("coder", 2)
            known.turns.observe("coder", 9)
        unseen = session("waiting", turns=2)
        assert Saga().evictability(unseen, world(known)) == pytest.approx(0.5 * 0.5, abs=0.02)

    @pytest.mark.parametrize(("pressure", "kept"), [(0.5, 10.0), (0.8, 7.5), (0.9, 5.0), (4.0, 5.0)])
    def test_the_time_to_live_shrinks_under_pressure(self, pressure: float, kept: float) -> None:
        """The 95th percentile, 10 s, times 1 - m / 2, with m from 0 at a pressure of 0.7 to 1 at 0.9."""
        around = world(tools(bash=[10.0] * 60), pressure=pressure)
        advice = Saga().advise(acting(0.0), around)
        assert advice is not None
        assert advice.keep == pytest.approx(kept)

    def test_no_tool_is_waited_for_longer_than_five_minutes(self) -> None:
        """However slow the tool, 300 s is all."""
        around = world(tools(bash=[5000.0] * 60), pressure=0.0)
        assert Saga().time_to_live(acting(0.0), around) == 300.0
        assert Saga().advise(acting(301.0), around) is None


class TestCacheWise:
    """arXiv 2606.16824."""

    def test_the_rest_by_hand(self) -> None:
        """Twenty calls of 4 s, and one chance in 21 of more: alpha is 3, the tail's mean 6, so 86/21 in all."""
        around = world(tools(bash=[4.0] * 20))
        assert CacheWise().advise(acting(1.0), around) == Advice(remaining=pytest.approx(86 / 21 - 1))

    def test_a_short_tool_is_kept_a_long_one_goes(self) -> None:
        """The expected rest ranks: an edit before a test run, until the edit is long overdue."""
        around = world(tools(edit=[0.1] * 40, test=[8.0] * 40))
        rest = [
            CacheWise().advise(acting(elapsed, name), around)
            for name, elapsed in [("edit", 0), ("test", 0), ("edit", 60)]
        ]
        edit, test, overdue = [one.remaining for one in rest if one and one.remaining is not None]
        assert edit < test < overdue

    def test_the_slowest_of_several_tools_counts(self) -> None:
        """The next turn needs all results."""
        known = tools(edit=[0.1] * 40, test=[8.0] * 40)
        fast, slow = acting(0.0, "edit").tools, acting(0.0, "test").tools
        together = CacheWise().advise(session("acting", tools=(*fast, *slow)), world(known))
        assert together == CacheWise().advise(session("acting", tools=slow), world(known))

    def test_a_called_turn_has_nothing_to_wait_for(self) -> None:
        """Its context is given up after all others."""
        assert CacheWise().advise(session("queued"), world()) == Advice(remaining=0.0)


class TestInferCept:
    """arXiv 2402.01869."""

    @pytest.mark.parametrize(
        ("elapsed", "host", "choice"),
        [
            (0.7, 5000, "preserve"),
            (0.8, 5000, "swap"),
            (60.0, 5000, "swap"),
            (5.1, 0, "preserve"),
            (5.3, 0, "discard"),
        ],
    )
    def test_the_choice_by_hand(self, elapsed: float, host: int, choice: str) -> None:
        """1000 tokens among 9000 others, at half a millisecond a token and 20 ms: discard wastes 0.52 * 10000.

        Swap wastes 2 * 1000 / 25000 * 9000 = 720, preserve 1000 a second.
        """
        around = world(pool=10_000, host=host, pressure=2.0)
        assert InferCept().choice(acting(elapsed, tokens=1000), around) == choice

    def test_a_cheap_context_is_discarded_rather_than_swapped(self) -> None:
        """Where copying is slow, computing anew wastes less."""
        slow = InferCept(swap_rate=100.0)
        assert slow.choice(acting(60.0, tokens=1000), world(host=5000)) == "discard"

    def test_choices_as_hints(self) -> None:
        """Preserved above swapped, discarded without a hint, called above all and fetched."""
        with_host, without = world(host=5000), world()
        preserved = InferCept().advise(acting(0.1, tokens=1000), with_host)
        swapped = InferCept().advise(acting(2.0, tokens=1000), with_host)
        called = InferCept().advise(session("queued", tokens=1000), with_host)
        assert preserved is not None
        assert swapped is not None
        assert called is not None
        assert called.priority > preserved.priority > swapped.priority
        assert called.prefetch
        assert InferCept().advise(acting(20.0, tokens=1000), without) is None
