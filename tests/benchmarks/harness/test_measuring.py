"""What is measured of a run: a fold of its events; and of the machine: readings of /proc."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from agentrt.benchmarks.harness import meter
from agentrt.benchmarks.harness.entries import Measures
from agentrt.benchmarks.harness.measuring import Meter
from agentrt.benchmarks.harness.meter import Reading, others
from agentrt.benchmarks.harness.sittings import Clock, kv_counts
from agentrt.events import Event, StepAdded, StepEnded, StepRetried, StepStarted, TurnMoved, TurnPhase, TurnSent
from agentrt.types import RunId, StepId, StepKind, StepStatus, Usage

RUN = RunId("r")


def added(step: str, kind: StepKind) -> StepAdded:
    """A step is called."""
    return StepAdded(RUN, 0.0, StepId(step), step, kind, None, (), ())


def started(step: str, at: float) -> StepStarted:
    """It runs."""
    return StepStarted(RUN, at, StepId(step), 1)


def over(step: str, at: float, usage: Usage = Usage(), status: StepStatus = "done") -> StepEnded:  # noqa: B008 - frozen
    """It has ended."""
    return StepEnded(RUN, at, StepId(step), status, None, usage)


def sent(step: str, at: float) -> TurnSent:
    """It asks a model."""
    return TurnSent(RUN, at, StepId(step), "default", "a", None)


def moved(step: str, at: float, phase: TurnPhase) -> TurnMoved:
    """Its turn is somewhere else."""
    return TurnMoved(RUN, at, StepId(step), phase)


def measured(events: Sequence[Event]) -> Measures:
    """What a run of ten seconds comes to."""
    found = Meter()
    for event in events:
        found.take(event)
    return found.measures(10.0)


def test_time_in_which_several_were_under_way_counts_once() -> None:
    """Two turns that overlap from 1 to 5 take four seconds together; a later one is added; tools count apart."""
    found = measured(
        [
            *(added(name, "llm") for name in "abc"),
            added("t", "tool"),
            *(started("a", 1.0), started("b", 2.0), started("t", 2.5), over("a", 3.0), over("t", 3.0), over("b", 5.0)),
            *(started("c", 7.0), over("c", 8.0)),
        ]
    )
    assert (found.model_s, found.tool_s) == (5.0, 0.5)
    assert (found.steps, found.turns, found.tools) == (4, 3, 1)


def test_a_pause_between_two_tries_is_not_the_models_time() -> None:
    """A turn that is tried again is under way while it is tried."""
    events: list[Event] = [added("a", "llm"), started("a", 1.0), StepRetried(RUN, 2.0, StepId("a"), 1, "e", 5.0)]
    assert measured([*events, started("a", 7.0), over("a", 8.0)]).model_s == 2.0


def test_joins_and_agents_are_no_time_of_their_own() -> None:
    """An agent's time is that of its turns and tools; a join is nothing that was called."""
    found = measured([added("a", "agent"), added("j", "join"), started("a", 0.0), over("a", 9.0)])
    assert (found.steps, found.model_s, found.tool_s) == (1, 0.0, 0.0)


def test_tokens_count_once_however_often_a_step_ends() -> None:
    """Of a step that was run again by another process, the last time counts."""
    events: list[Event] = [added("a", "llm"), over("a", 1.0, Usage(5, 1, 1)), over("a", 2.0, Usage(100, 60, 10))]
    found = measured(events)
    assert (found.prompt, found.cached, found.completion) == (100, 60, 10)


def test_the_first_token_is_waited_for_from_when_it_was_asked() -> None:
    """Being held back is part of that time, and is told apart, also when the turn was given up meanwhile."""
    found = measured(
        [
            added("a", "llm"),
            added("b", "llm"),
            *(sent("a", 1.0), moved("a", 1.0, "queued"), moved("a", 3.0, "prefill"), moved("a", 4.5, "decode")),
            *(sent("b", 5.0), moved("b", 5.0, "queued"), over("b", 6.0, status="cancelled")),
        ]
    )
    assert found.first == (3.5,)
    assert found.queued_s == 3.0


def test_others_have_what_neither_we_nor_the_engine_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four cores for ten seconds, ten CPU seconds of others are a quarter; no time has no share."""
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    before, after = Reading(0.0, 5.0, 1.0, 100.0), Reading(10.0, 20.0, 3.0, 127.0)
    assert others(before, after) == 0.25
    assert others(before, before) == 0.0
    assert others(before, after._replace(machine=100.0)) == 0.0


def test_tools_are_our_own() -> None:
    """CPU time of a process that we started is ours while it runs, and after it has ended."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    before = meter.read(0)
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = meter.read(0)
        as_engine = meter.read(child.pid)
    after = meter.read(0)
    assert during.own - before.own >= 0.25
    assert after.own - before.own >= 0.25
    assert as_engine.engine == 0.0  # its session is ours: it is no engine


def test_an_engine_is_not_ours_though_we_started_it() -> None:
    """CPU time of the engine's session is its own, and others have neither."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    words = [sys.executable, "-c", burn]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as child:
        before = meter.read(child.pid)
        assert child.stdout is not None
        child.stdout.readline()
        after = meter.read(child.pid)
    assert after.engine >= 0.25
    assert after.own - before.own < 0.25


def test_a_sitting_has_what_the_engine_counted_meanwhile() -> None:
    """Counts are differences; entries and steps are added up."""
    clock = Clock(0, {"prompt": 100, "cached": 40, "behind": 1})
    clock.finished(3)
    clock.finished(4)
    found = clock.sitting({"prompt": 300, "cached": 140, "behind": 11})
    assert (found.finished, found.steps) == (2, 7)
    assert found.kv == {"prompt": 200, "cached": 100, "behind": 10}
    assert found.seconds >= 0
    assert clock.sitting({}).kv == {}


def test_what_came_from_the_tier_behind_is_what_was_loaded_in_time() -> None:
    """Loaded for a request, or ahead of it and used; summed over schedulers, and nothing where none tells."""
    one = {"prompt": 10, "cached": 5, "loaded": 2, "prefetched": 4, "prefetched_in_vain": 1}
    assert kv_counts([{"counts": one}, {"counts": one}, {}]) == {"prompt": 20, "cached": 10, "behind": 10}
    assert kv_counts([{}]) == {}
