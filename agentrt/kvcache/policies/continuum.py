"""Continuum: keep a context for a time to live worth its cost (arXiv 2511.02230)."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from agentrt.kvcache.contexts import Advice, Context, ToolRun, World
from agentrt.kvcache.estimators import Distribution, Estimators


@dataclass(frozen=True, slots=True)
class Continuum:
    """After a turn that calls a tool, keep the context for tau*, the time to live with the greatest net benefit.

    ``tau* = argmax of P(tau, f) * (T * eta + prefill) - tau`` over 0 and the observed durations of the tool ``f``. P is
    their empirical distribution function, T the mean queueing delay, ``eta = -Corr(k, N - k)`` over the turns done and
    left of past programs, prefill the seconds that computing the context anew takes. With fewer than ``few`` durations
    of the tool, those of all tools stand in; with fewer of these, ``tau* = ln(T * eta + prefill)``, which is the best
    for exponential durations of mean 1 s.

    What is kept goes by the arrival of its program: the latest goes first. When the time is over it has no privilege.
    Here T is the delay of all turns, as the runtime does not see which of them were evicted before.
    """

    name: str = "continuum"
    few: int = 100

    def advise(self, context: Context, world: World) -> Advice | None:
        """Keep until tau*; nothing for fixed prompts."""
        if context.phase != "acting":
            return by_arrival(context, 60.0) if context.phase == "queued" else None
        return by_arrival(context, self.time_to_live(context, world.estimators) - context.held)

    def time_to_live(self, context: Context, estimators: Estimators) -> float:
        """tau* in seconds, from the moment the tool was called."""
        benefit = (
            estimators.queueing.seconds().value * estimators.turns.memory()
            + estimators.prefill.seconds(context.tokens).value
        )
        tool = _slowest(context.tools, estimators)
        for durations in (estimators.durations.of(tool.name, tool.word), estimators.durations.of(tool.name)):
            if durations.samples >= self.few:
                return best_time(durations, benefit)
        overall = estimators.durations.of("")
        if overall.samples >= self.few:
            return best_time(overall, benefit)
        return max(math.log(benefit), 0.0) if benefit > 0 else 0.0


def by_arrival(context: Context, keep: float) -> Advice | None:
    """Keep a session for ``keep`` seconds, those of early programs before those of later ones; nothing if over."""
    if keep <= 0 or context.subject.kind != "session":
        return None
    return Advice(keep=min(keep, 3600.0), priority=-context.arrived)


def best_time(durations: Distribution, benefit: float) -> float:
    """The time among 0 and the observed ones with the greatest ``cdf(time) * benefit - time``."""
    if benefit <= 0:
        return 0.0
    times, prices = _hull(durations)
    return times[bisect_left(prices, benefit)]


@lru_cache(maxsize=256)
def _hull(durations: Distribution) -> tuple[list[float], list[float]]:
    """The times that are best for some benefit, and the benefit from which on each next one is better.

    The best time for a benefit is a corner of the upper hull of (time, cdf). Of ties the shorter time is taken.
    """
    corners = [(0.0, 0.0)]
    for time in durations.points:
        corner = (time, durations.cdf(time))
        if corner[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and _price(corners[-1], corner) <= _price(corners[-2], corners[-1]):
            corners.pop()
        corners.append(corner)
    prices = [_price(one, other) for one, other in pairwise(corners)]
    return [time for time, _ in corners], prices


def _price(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[0] - one[0]) / (other[1] - one[1])


def _slowest(tools: tuple[ToolRun, ...], estimators: Estimators) -> ToolRun:
    """The tool that the next turn waits for; an unnamed one if none is told."""
    if len(tools) == 1:
        return tools[0]
    return max(tools, key=lambda tool: estimators.durations.of(tool.name, tool.word).mean, default=ToolRun(""))
