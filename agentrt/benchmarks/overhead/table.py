"""What the contest found, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentrt.benchmarks.overhead import disk
from agentrt.benchmarks.overhead.contest import Plan, Score
from agentrt.benchmarks.overhead.contract import Shape, Sync
from agentrt.benchmarks.overhead.sheet import Sheet, with_disk
from agentrt.benchmarks.overhead.sheet import environment as environment  # the KV benchmark takes it from here

TARGETS: Mapping[Shape, float] = {"chain": 20.0, "wide": 20.0, "layered": 20.0}
DURABLE_TARGETS: Mapping[Shape, float] = {"chain": 50.0, "wide": 25.0, "layered": 25.0}
"""CPU microseconds a step; durable with what outlives a killed process."""

TARGET_STRETCH = 1.02


def ours(scores: Sequence[Score], sync: Sync | None = None) -> Score:
    """agentrt's own score: the first there is, or the one that writes in that way."""
    found = [score for score in scores if score.contender.role == "ours"]
    return next((score for score in found if score.contender.sync == sync), found[0])


def columns(plan: Plan) -> list[str]:
    """The table's head."""
    heads = [shape if shape != "skewed" else "skewed, best time / critical path" for shape in plan.shapes]
    return ["CPU µs a step (times agentrt)", "version", *heads, "peak MiB"]


def rows(plan: Plan, scores: Sequence[Score]) -> list[list[str]]:
    """A row for each contender that was measured."""
    return [_row(plan, score, ours(scores, score.contender.sync)) for score in scores if score.reports]


def _row(plan: Plan, score: Score, base: Score) -> list[str]:
    capped = plan.order(score.contender).steps
    mark = f" (n={capped})" if capped != plan.steps else ""
    cells = [_cell(plan, score, base, shape) for shape in plan.shapes]
    return [score.contender.title + mark, score.version or "", *cells, f"{score.peak_mib or 0:.0f}"]


def _cell(plan: Plan, score: Score, base: Score, shape: Shape) -> str:
    if shape == "skewed":
        stretch = score.stretch(plan.skew)
        return "-" if stretch is None else f"{stretch:.3f}"
    cost, ratio = score.cpu_per_step(shape), score.ratio(base, shape)
    if cost is None:
        return "-"
    digits = 1 if cost < 100 else 0
    return f"{cost:,.{digits}f}" + (f" ({times(ratio)})" if ratio is not None and score is not base else "")


def times(ratio: float) -> str:
    """A ratio with two digits at least: ``0.29x``, ``5.2x``, ``210x``."""
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


def remarks(plan: Plan, scores: Sequence[Score]) -> list[str]:
    """Verdicts on what agentrt promises, and who did not take part."""
    said = [f"{score.contender.title}: {score.problem}{_way_out(score)}" for score in scores if score.problem]
    return [*_verdicts(plan, scores), *said]


def _way_out(score: Score) -> str:
    if score.problem != "not installed":
        return ""
    return f" (pip install {score.contender.package}, or all peers: pip install 'agentrt[peers]')"


def _verdicts(plan: Plan, scores: Sequence[Score]) -> list[str]:
    said = [line for score in scores if score.contender.role == "ours" for line in _costs(plan, scores, score)]
    stretch = ours(scores).stretch(plan.skew)
    if stretch is not None:
        verdict = "met" if stretch <= TARGET_STRETCH else "MISSED"
        said.append(f"skewed: {stretch:.3f} of the critical path, target {TARGET_STRETCH:g}: {verdict}")
    return said


def _costs(plan: Plan, scores: Sequence[Score], base: Score) -> Iterable[str]:
    """Of one way to write, or of writing nothing."""
    way = "" if base.contender.sync is None else f", {base.contender.sync}"
    for shape in (shape for shape in TARGETS if shape in plan.shapes):
        cost = base.cpu_per_step(shape)
        if cost is not None:
            verdict = _target(base.contender.sync, shape, cost)
            yield f"{shape}{way}: {cost:.1f} µs CPU a step{verdict}{_rank(scores, base, shape)}"


def _target(sync: Sync | None, shape: Shape, cost: float) -> str:
    if sync == "full":
        return ""
    target = TARGETS[shape] if sync is None else DURABLE_TARGETS[shape]
    return f", target {target:g}: {'met' if cost <= target else 'MISSED'}"


def _rank(scores: Sequence[Score], base: Score, shape: Shape) -> str:
    ratios = {
        score.contender.name: score.ratio(base, shape)
        for score in scores
        if score.contender.role == "peer" and score.contender.sync == base.contender.sync
    }
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not known:
        return "; no peer took part"
    nearest = min(known, key=lambda name: known[name])
    faster = [name for name, ratio in known.items() if ratio < 1]
    if faster:
        return f"; FASTER: {', '.join(faster)}"
    return f"; all {len(known)} peers are slower, the nearest is {nearest} ({times(known[nearest])})"


def sheet(plan: Plan, scores: Sequence[Score]) -> Sheet:
    """The tables, the remarks and what the figures depend on."""
    tables = [[columns(plan), *rows(plan, scores)]]
    if plan.durable:
        tables.append([disk.columns(plan), *disk.rows(plan, scores)])
    return Sheet(settings(plan), tables, remarks(plan, scores), _where(plan))


def _where(plan: Plan) -> dict[str, str]:
    return with_disk(plan.folder) if plan.durable else environment()


def settings(plan: Plan) -> str:
    """What was run, in words."""
    return f"{plan.steps} steps, medians of {plan.rounds} rounds, each in a fresh process"


def as_json(plan: Plan, scores: Sequence[Score]) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "environment": _where(plan),
        "steps": plan.steps,
        "rounds": plan.rounds,
        "critical_path_seconds": plan.skew.critical_path,
        "contenders": [_score_json(plan, score, ours(scores, score.contender.sync)) for score in scores],
    }


def _score_json(plan: Plan, score: Score, base: Score) -> dict[str, Any]:
    return {
        "name": score.contender.name,
        "package": score.contender.package,
        "version": score.version,
        "floor": score.contender.role == "floor",
        "sync": score.contender.sync,
        "problem": score.problem or None,
        "steps": plan.order(score.contender).steps,
        "peak_mib": score.peak_mib,
        "modes": score.modes or None,
        "used_before_recorded": score.late if plan.durable else None,
        "shapes": {
            shape: {
                "cpu_us_per_step": score.cpu_per_step(shape),
                "wall_us_per_step": score.wall_per_step(shape),
                "cpu_ratio_to_agentrt": score.ratio(base, shape),
            }
            | ({"database_bytes_per_step": score.stored_per_step(shape)} if plan.durable else {})
            for shape in plan.shapes
            if score.figure(shape) is not None
        },
        "time_over_critical_path": score.stretch(plan.skew),
    }
