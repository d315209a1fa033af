"""What the entries of a benchmark come to: score, times, tokens, and what it cost to find out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentrt.benchmarks.harness.entries import Outcome, Verdict
from agentrt.benchmarks.harness.sittings import Sitting
from agentrt.benchmarks.harness.stats import Interval, mean, percentile, share


class Score(NamedTuple):
    """The share of ``of`` judged entries that passed, with its 95% interval; ``name`` is their category, or ``all``."""

    name: str
    of: int
    share: Interval


class Spread(NamedTuple):
    """How long something took, in seconds: the mean with its 95% interval, the median, and the 95th percentile."""

    mean: Interval
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """Times are seconds. ``wall_s`` is how long the folder was worked on, ``own_s`` the CPU time of our process then,
    ``engine_s`` the engine's on this machine, ``others`` the share of the machine that neither had. ``behind`` are
    those of the ``cached`` tokens that came from the tier behind the engine's pool, as a share of all cached ones;
    ``None`` where the engine does not tell. ``strange`` are the prompt tokens that it counted and that were not ours,
    as a share of all that it counted."""

    statuses: Mapping[str, int]
    entry: Spread
    first: Spread
    steps: int
    turns: int
    tools: int
    prompt: int
    cached: int
    completion: int
    model_s: float
    tool_s: float
    queued_s: float
    wall_s: float
    own_s: float
    engine_s: float
    others: float
    steps_a_minute: float
    behind: float | None
    strange: float

    @property
    def cached_share(self) -> float:
        """Of the prompt tokens, those that needed no computing."""
        return self.cached / self.prompt if self.prompt else 0.0

    @property
    def harness_share(self) -> float:
        """CPU time of our process over the time the benchmark took: what the harness costs at most."""
        return self.own_s / self.wall_s if self.wall_s else 0.0


def numbers(outcomes: Sequence[Outcome], sittings: Sequence[Sitting]) -> Numbers:
    """What they come to."""
    measures = [one.measures for one in outcomes]
    wall = sum(one.seconds for one in sittings)
    cached = sum(one.kv.get("cached", 0) for one in sittings)
    counted = sum(one.kv.get("prompt", 0) for one in sittings)
    prompt = sum(one.prompt for one in measures)
    return Numbers(
        statuses=dict(Counter(one.status for one in outcomes)),
        entry=_spread([one.seconds for one in measures]),
        first=_spread([seconds for one in measures for seconds in one.first]),
        steps=sum(one.steps for one in measures),
        turns=sum(one.turns for one in measures),
        tools=sum(one.tools for one in measures),
        prompt=prompt,
        cached=sum(one.cached for one in measures),
        completion=sum(one.completion for one in measures),
        model_s=sum(one.model_s for one in measures),
        tool_s=sum(one.tool_s for one in measures),
        queued_s=sum(one.queued_s for one in measures),
        wall_s=wall,
        own_s=sum(one.own_s for one in sittings),
        engine_s=sum(one.engine_s for one in sittings),
        others=sum(one.others * one.seconds for one in sittings) / wall if wall else 0.0,
        steps_a_minute=60 * sum(one.steps for one in sittings) / wall if wall else 0.0,
        behind=sum(one.kv.get("behind", 0) for one in sittings) / cached if cached else None,
        strange=max(0.0, 1 - prompt / counted) if counted else 0.0,
    )


def scores(outcomes: Sequence[Outcome], verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The score of each category, and of all when there are several; empty when nothing was judged."""
    by_category: dict[str, list[float]] = {}
    for one in outcomes:
        if one.entry in verdicts:
            by_category.setdefault(one.category, []).append(verdicts[one.entry].score)
    found = [Score(name, len(points), of_points(points)) for name, points in sorted(by_category.items())]
    whole = [point for points in by_category.values() for point in points]
    return found if len(found) < 2 else [*found, Score("all", len(whole), of_points(whole))]


def of_points(points: Sequence[float]) -> Interval:
    """The mean of scores from 0 to 1: Wilson's interval where each is one of these, a bootstrap interval elsewhere."""
    return share(sum(points), len(points)) if all(one in (0, 1) for one in points) else mean(points)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), percentile(values, 0.5), percentile(values, 0.95))
