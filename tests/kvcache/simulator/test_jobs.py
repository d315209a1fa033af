"""Workloads: their sizes, their scaling, and the made-up ones."""

from __future__ import annotations

from statistics import fmean, median

import pytest

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Segment
from agentrt.kvcache.simulator.jobs import Job, Turn, agent_jobs, coding_jobs, draw, shrink, working_set

HEAD = Segment("head", 100)
LOOP = Job(
    "loop",
    (
        Turn(new=50, output=10),
        Turn(new=40, output=20, gap=2.0, tool="bash", word="make"),
        Turn(new=5, output=5, gap=4.0, tool="read", fresh=True),
    ),
    head=HEAD,
)


def test_a_context_grows_by_new_tokens_and_replies_until_it_begins_anew() -> None:
    """160, then 60 more, then the fixed prompt and 10."""
    assert LOOP.contexts() == [160, 220, 110]
    assert LOOP.longest == 220


def test_a_working_set_counts_shared_prompts_once() -> None:
    """Two loops of one fixed prompt hold it once; ten agents hold their ten prompts however many jobs use them."""
    assert working_set([LOOP, LOOP]) == 100 + 2 * 120
    assert working_set(agent_jobs(3, agents=10, fixed=500)) == 5000
    assert working_set(agent_jobs(3, agents=10, fixed=500, shared=False)) == 15000


def test_shrinking_keeps_the_shape() -> None:
    """One factor for lengths, one for gaps; replies and gaps stay within their bounds."""
    [small] = shrink([LOOP], context=22, gap=1.0, longest_gap=1.5, outputs=(1, 1))
    assert small.head == Segment("head", 10)
    assert [turn.new for turn in small.turns] == [5, 4, 1]
    assert [turn.output for turn in small.turns] == [1, 1, 1]
    assert [turn.gap for turn in small.turns] == [0.0, 1.0, 1.5]
    assert small.turns[1].tool == "bash"
    assert small.turns[2].fresh


def test_shrinking_may_only_cut() -> None:
    """Without a scale the lengths and gaps stay; agents' prompts shrink with the rest."""
    assert shrink([LOOP], turns=2)[0].turns == LOOP.turns[:2]
    [flow] = shrink(agent_jobs(1, agents=2, fixed=500, rounds=1, new=30, output=10), context=54)
    assert flow.turns[0].agent == Segment("agent0", 50)
    with pytest.raises(ConfigError, match="nothing to scale"):
        shrink([Job("empty", ())])


def test_drawing_repeats_only_when_it_must_and_is_the_same_for_a_seed() -> None:
    """Each job comes once before any comes twice; names stay apart; too short ones are left out."""
    jobs = [Job(str(number), (Turn(new=1, output=1),) * (number + 1)) for number in range(5)]
    drawn = draw(jobs, 6, seed=3, least=3)
    assert [len(job.turns) for job in sorted(drawn[:3], key=lambda job: len(job.turns))] == [3, 4, 5]
    assert len({job.name for job in drawn}) == 6
    assert drawn == draw(jobs, 6, seed=3, least=3)
    assert {job.arrives for job in drawn} == {0.0}
    with pytest.raises(ConfigError, match="none of 5 jobs has 9 turns"):
        draw(jobs, 1, seed=1, least=9)


def test_jobs_can_arrive_one_after_the_other() -> None:
    """A Poisson process: the first at once, the mean distance as asked."""
    drawn = draw([LOOP], 400, seed=1, arrivals=2.0)
    assert drawn[0].arrives == 0.0
    assert drawn[-1].arrives / 399 == pytest.approx(2.0, rel=0.15)


def test_made_up_coding_agents_have_the_published_shape() -> None:
    """Same for a seed; median turns as asked, most gaps tiny and some long, contexts of tens of thousands."""
    jobs = coding_jobs(200, seed=1)
    assert jobs == coding_jobs(200, seed=1) != coding_jobs(200, seed=2)
    assert median(len(job.turns) for job in jobs) == pytest.approx(37, rel=0.15)
    gaps = sorted(turn.gap for job in jobs for turn in job.turns[1:])
    assert gaps[len(gaps) // 2] < 0.3
    assert gaps[len(gaps) * 95 // 100] > 3
    assert 25_000 < fmean(job.longest for job in jobs) < 60_000
    assert {job.head for job in jobs} == {Segment("coding", 13_000)}
