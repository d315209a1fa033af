"""Whole runs in simulated time: hand-worked, and what must hold of every one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.kvcache.admission import Admission
from agentrt.kvcache.policies import POLICIES, policy
from agentrt.kvcache.simulator.access import Segment
from agentrt.kvcache.simulator.closed import Report, simulate
from agentrt.kvcache.simulator.engine import EngineModel
from agentrt.kvcache.simulator.hinted import Hinted, Truth
from agentrt.kvcache.simulator.jobs import Job, Turn, agent_jobs, coding_jobs, draw, shrink, working_set
from agentrt.kvcache.simulator.orders import Lru, Order, Slru
from agentrt.kvcache.simulator.replay import belady, observed, replay

SECONDS = EngineModel(pool=1000, batch=1.0, token=1.0, pair=0.0, step=0.5, lane=0.25)


def loops(count: int = 12, seed: int = 1) -> list[Job]:
    """Made-up tool loops with contexts of about 1,500 tokens."""
    made = shrink(coding_jobs(50, seed=7), context=1500, gap=2.0, longest_gap=10, turns=12, outputs=(8, 16))
    return draw(made, count, seed=seed, least=6)


def orders(pool: int) -> list[Order]:
    return [Lru(), Slru(), Hinted(Truth(), pool), *(Hinted(policy(name), pool) for name in POLICIES)]


def test_a_job_by_hand() -> None:
    """10 tokens and 2 of reply: 11.75 s; a tool of 3 s; then 4 new tokens and the reply's last one: 6 s."""
    job = Job("j", (Turn(new=10, output=2), Turn(new=5, output=1, gap=3.0, tool="t")), arrives=1.0)
    got = simulate([job], SECONDS, Lru())
    assert got.completion == (11.75 + 3.0 + 6.0,)
    assert got.first == (11.0, 6.0)
    assert (got.prompt, got.hit, got.regenerated) == (10 + 16, 11, 0)
    assert [one.start for one in got.accesses] == [1.0, 15.75]


def test_two_jobs_share_their_head() -> None:
    """The second job comes later and finds the fixed prompt that both begin with."""
    head = Segment("head", 20)
    jobs = [Job(name, (Turn(new=5, output=1),), head, arrives) for name, arrives in (("a", 0.0), ("b", 50.0))]
    got = simulate(jobs, SECONDS, Lru())
    assert got.completion == (26.0, 6.0)
    assert got.hit == 20


def test_percentiles_are_of_the_nearest_rank() -> None:
    """The 95th of twenty is the nineteenth, of few the last."""
    report = Report(tuple(float(one) for one in range(20, 0, -1)), (), 0, 0, 0, 0, 0, ())
    assert (report.at(0.95), report.at(0.5), report.at(1.0), report.mean) == (19.0, 10.0, 20.0, 10.5)
    assert Report((3.0,), (), 0, 0, 0, 0, 0, ()).at(0.95) == 3.0


def test_without_pressure_all_orders_and_admission_are_the_same() -> None:
    """Nothing is evicted, so nothing depends on what would have been; and no turn is held back."""
    jobs = loops()
    pool = 2 * working_set(jobs)
    got = [simulate(jobs, EngineModel(pool=pool), order) for order in orders(pool)]
    got.append(simulate(jobs, EngineModel(pool=pool), Lru(), admission=Admission(pool)))
    assert {one.completion for one in got} == {got[0].completion}
    assert {one.regenerated for one in got} == {0}


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 10_000), st.sampled_from([1.5, 2.0, 4.0]), st.booleans(), st.integers(0, 10))
def test_a_run_accounts_for_every_token(seed: int, pressure: float, admit: bool, which: int) -> None:
    """What the engine counted is what its recorded sequence says, and no order beats Bélády's on that sequence."""
    jobs = loops(6, seed)
    pool = max(round(working_set(jobs) / pressure), 2 * max(job.longest for job in jobs))
    order = orders(pool)[which % len(orders(pool))]
    got = simulate(jobs, EngineModel(pool=pool), order, admission=Admission(pool) if admit else None)
    seen = observed(got.accesses)
    turns = [turn for job in jobs for turn in job.turns]
    assert len(got.accesses) == len(got.first) == len(turns)
    assert (seen.prompt, seen.hit) == (got.prompt, got.hit)
    assert belady(got.accesses, pool).regenerated <= min(got.regenerated, replay(got.accesses, pool, Lru()).regenerated)
    assert all(done > 0 for done in got.completion)
    assert {one.program for one in got.accesses} == {job.name for job in jobs}


def test_the_same_run_is_the_same_again() -> None:
    """No clock, no randomness."""
    jobs, pool = loops(), working_set(loops()) // 3

    def run() -> Report:
        return simulate(jobs, EngineModel(pool=pool), Hinted(policy("agentrt"), pool), admission=Admission(pool))

    assert run() == run()


def test_holding_programs_back_saves_more_than_any_order() -> None:
    """When contexts do not fit, turns that wait for memory hold memory: few programs at a time are done sooner."""
    jobs = loops(16)
    pool = working_set(jobs) // 3
    stock = simulate(jobs, EngineModel(pool=pool), Lru())
    held = simulate(jobs, EngineModel(pool=pool), Lru(), admission=Admission(pool))
    both = simulate(jobs, EngineModel(pool=pool), Hinted(policy("agentrt"), pool), admission=Admission(pool))
    assert both.regenerated < held.regenerated < stock.regenerated
    assert both.mean < 0.7 * stock.mean
    assert both.at(0.95) < stock.at(0.95)


def test_steps_to_execution_keep_the_next_agents_prompts() -> None:
    """Ten agents in rounds, half of their prompts fit: lru keeps none of those to come, kvflow most of what could."""
    jobs = agent_jobs(1, agents=10, fixed=400, rounds=5)
    pool = 2200
    stock = simulate(jobs, EngineModel(pool=pool), Lru())
    hinted = simulate(jobs, EngineModel(pool=pool), Hinted(policy("kvflow"), pool, budget=1.0))
    parts = simulate(jobs, EngineModel(pool=pool), Hinted(policy("kvflow"), pool, budget=1.0, whole=False))
    assert stock.regenerated == 10 * 400 * 4
    assert hinted.regenerated < 0.8 * stock.regenerated
    assert parts.regenerated < hinted.regenerated
    assert parts.regenerated == belady(parts.accesses, pool).regenerated
    assert parts.mean < hinted.mean < stock.mean


def test_an_admission_that_never_lets_go_is_told() -> None:
    """A run that cannot end says why instead of returning half a report."""

    class Shut(Admission):
        def due(self, now: float) -> float | None:
            return None

        def tick(self, now: float) -> list:
            return []

        def done(self, *args: object, **more: object) -> list:
            return []

        def leave(self, *args: object, **more: object) -> list:
            return []

        def acting(self, *args: object, **more: object) -> list:
            return []

    with pytest.raises(ConfigError, match="for ever"):
        simulate(loops(), EngineModel(pool=5000), Lru(), admission=Shut(5000))
