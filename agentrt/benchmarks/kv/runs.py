"""One run: all programs of a workload on one engine, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from statistics import fmean, median
from typing import Any

from agentrt.benchmarks.harness import meter
from agentrt.benchmarks.kv.contestants import Contestant
from agentrt.benchmarks.kv.engines import Served
from agentrt.benchmarks.kv.probe import Change, Probe, Turn, accesses
from agentrt.benchmarks.kv.thunderagent import PerProgram
from agentrt.benchmarks.kv.workloads import Job, Size, Workload
from agentrt.executors import ModelExecutor, SGLangExecutor
from agentrt.kvcache.simulator.replay import belady, observed
from agentrt.runtime import Run, RunResult, Runtime
from agentrt.types import ModelRequest

FIXED_REPLY: Mapping[str, Any] = {"ignore_eos": True}
"""Every reply is as long as its limit says, so that all contestants decode the same number of tokens."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run came to. Times are seconds, the rest are tokens, but for counts.

    ``jobs`` are the completion times of the programs in order of arrival, from the end of their warm turns; ``whole``
    from their start. ``first`` are the times to first token of all turns. ``regenerated`` prefix tokens were in the
    cache before and were computed again; ``oracle`` is how many of those even Bélády's order could not have kept on
    this very sequence. ``hint_s`` is CPU time of this process for hints, ``steps`` how many steps the runs had.
    The run took ``seconds`` in all, the engine ``engine_s`` of CPU time and its scheduler ``scheduler_s`` for hints;
    ``others`` is the share of the machine that was neither its nor ours.
    """

    jobs: tuple[float, ...]
    whole: tuple[float, ...]
    first: tuple[float, ...]
    prompt: int
    cached: int
    regenerated: int
    oracle: int
    hint_s: float
    steps: int
    seconds: float = 0.0
    engine_s: float = 0.0
    scheduler_s: float = 0.0
    others: float = 0.0
    counters: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean completion time."""
        return fmean(self.jobs)

    @property
    def p50(self) -> float:
        """Median completion time."""
        return median(self.jobs)

    @property
    def p95(self) -> float:
        """Completion time that 95 of 100 programs keep: the nearest rank."""
        return at(self.jobs, 0.95)

    @property
    def first_token(self) -> float:
        """Median time to first token."""
        return median(self.first)

    def to_json(self) -> dict[str, Any]:
        """The sample as plain JSON, with its summary."""
        summary = {"mean": self.mean, "p50": self.p50, "p95": self.p95, "first_token": self.first_token}
        return summary | asdict(self)


def at(values: Sequence[float], share: float) -> float:
    """The value that this share of all do not exceed: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


async def once(contestant: Contestant, server: Served, pool: int, workload: Workload, size: Size) -> Sample:
    """Run the workload's programs to their ends. Raises what a program raises."""
    jobs = workload.jobs(size)
    before, busy, began = server.counters(), server.hint_seconds(), meter.read(server.session)
    inner = _executor(server)
    fault = contestant.fault
    probe = Probe(
        inner,
        change=_ranked() if contestant.ranks else None,
        wrap=(lambda channel: fault(channel, size.seed)) if fault is not None else None,
    )
    async with Runtime(probe, kv=contestant.policy, admission=contestant.admission) as runtime:
        started: dict[str, float] = {}
        results = await asyncio.gather(*(_arrive(job, runtime, started, inner) for job in jobs))
    for result in results:
        _ = result.output  # raises for a run that failed
    ended, after, busy_then = meter.read(server.session), server.counters(), server.hint_seconds()
    hint_s = runtime.desk.spent if runtime.desk is not None else 0.0
    counters = {name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)}
    found = sample_of(probe.turns, results, started, server, pool, workload.warm, hint_s, counters)
    return replace(
        found,
        seconds=ended.wall - began.wall,
        engine_s=ended.engine - began.engine,
        scheduler_s=busy_then - busy,
        others=meter.others(began, ended),
    )


def _executor(server: Served) -> ModelExecutor:
    engine = server.engine
    if server.front:
        return PerProgram(server.front, engine.model, FIXED_REPLY)
    return SGLangExecutor(engine.url, model=engine.model, api_key=engine.api_key, extra=FIXED_REPLY)


async def _arrive(job: Job, runtime: Runtime, started: dict[str, float], executor: ModelExecutor) -> RunResult[Any]:
    await asyncio.sleep(job.delay)
    run: Run[Any] = job.start(runtime)
    started[run.id] = time.perf_counter()
    result = await run
    if isinstance(executor, PerProgram):
        await executor.release(run.id)
    return result


def _ranked() -> Change:
    """Give requests a priority: programs that came earlier go first."""
    ranks: dict[str, int] = {}
    numbers = count(1000, -1)

    def change(request: ModelRequest) -> ModelRequest:
        return replace(request, priority=ranks.setdefault(request.run, next(numbers)))

    return change


def sample_of(
    turns: Sequence[Turn],
    results: Sequence[RunResult[Any]],
    started: Mapping[str, float],
    server: Served,
    pool: int,
    warm: int,
    hint_s: float,
    counters: Mapping[str, float],
) -> Sample:
    """Put together what was seen of a run."""
    systems = {one.request.messages[0] for one in turns if one.request.messages[0].role == "system"}
    sequence = accesses(turns, {system: server.fixed(system) for system in systems})
    whole = tuple(result.seconds for result in results)
    waits = [_warm_up(turns, result.id, started[result.id], warm) for result in results]
    return Sample(
        jobs=tuple(seconds - wait for seconds, wait in zip(whole, waits, strict=True)),
        whole=whole,
        first=tuple(one.first - one.asked for one in turns),
        prompt=sum(one.usage.prompt for one in turns),
        cached=sum(one.usage.cached for one in turns),
        regenerated=observed(sequence).regenerated,
        oracle=belady(sequence, pool).regenerated,
        hint_s=hint_s,
        steps=sum(len(result.steps) for result in results),
        counters=counters,
    )


def _warm_up(turns: Sequence[Turn], run: str, began: float, warm: int) -> float:
    """Seconds until the first ``warm`` turns of a run had ended."""
    ended = sorted(one.ended for one in turns if one.request.run == run)
    return ended[warm - 1] - began if warm else 0.0
