"""What the contest found, as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentrt.benchmarks.overhead.contest import OURS, Plan, Score
from agentrt.benchmarks.overhead.contract import Shape

TARGET_MICROSECONDS = 20.0
TARGET_STRETCH = 1.02
TARGET_SHAPES: tuple[Shape, ...] = ("chain", "wide", "layered")


def environment() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def ours(scores: Sequence[Score]) -> Score:
    """agentrt's own score."""
    return next(score for score in scores if score.contender is OURS)


def columns(plan: Plan) -> list[str]:
    """The table's head."""
    heads = [shape if shape != "skewed" else "skewed, best time / critical path" for shape in plan.shapes]
    return ["CPU µs a step (times agentrt)", "version", *heads, "peak MiB"]


def rows(plan: Plan, scores: Sequence[Score]) -> list[list[str]]:
    """A row for each contender that was measured."""
    return [_row(plan, score, ours(scores)) for score in scores if score.reports]


def _row(plan: Plan, score: Score, base: Score) -> list[str]:
    capped = plan.order(score.contender).steps
    mark = f" (n={capped})" if capped != plan.steps else ""
    cells = [_cell(plan, score, base, shape) for shape in plan.shapes]
    return [score.contender.name + mark, score.version or "", *cells, f"{score.peak_mib or 0:.0f}"]


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
    said = [f"{score.contender.name}: {score.problem}{_way_out(score)}" for score in scores if score.problem]
    return [*_verdicts(plan, scores), *said]


def _way_out(score: Score) -> str:
    if score.problem != "not installed":
        return ""
    return f" (pip install {score.contender.package}, or all peers: pip install 'agentrt[peers]')"


def _verdicts(plan: Plan, scores: Sequence[Score]) -> list[str]:
    base = ours(scores)
    said = []
    for shape in (shape for shape in TARGET_SHAPES if shape in plan.shapes):
        cost = base.cpu_per_step(shape)
        if cost is not None:
            verdict = "met" if cost <= TARGET_MICROSECONDS else "MISSED"
            target = f"target {TARGET_MICROSECONDS:g}: {verdict}"
            said.append(f"{shape}: {cost:.1f} µs CPU a step, {target}{_rank(scores, shape)}")
    stretch = base.stretch(plan.skew)
    if stretch is not None:
        verdict = "met" if stretch <= TARGET_STRETCH else "MISSED"
        said.append(f"skewed: {stretch:.3f} of the critical path, target {TARGET_STRETCH:g}: {verdict}")
    return said


def _rank(scores: Sequence[Score], shape: Shape) -> str:
    base = ours(scores)
    ratios = {
        score.contender.name: score.ratio(base, shape)
        for score in scores
        if score is not base and not score.contender.floor
    }
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not known:
        return "; no peer took part"
    nearest = min(known, key=lambda name: known[name])
    faster = [name for name, ratio in known.items() if ratio < 1]
    if faster:
        return f"; FASTER: {', '.join(faster)}"
    return f"; all {len(known)} peers are slower, the nearest is {nearest} ({times(known[nearest])})"


def markdown(plan: Plan, scores: Sequence[Score]) -> str:
    """The table and the remarks as Markdown."""
    head = columns(plan)
    lines = [head, ["---"] * len(head), *rows(plan, scores)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    where = ", ".join(f"{name} {value}" for name, value in environment().items())
    return "\n".join([table, "", *(f"- {line}" for line in remarks(plan, scores)), f"- {where}; {settings(plan)}"])


def settings(plan: Plan) -> str:
    """What was run, in words."""
    return f"{plan.steps} steps, medians of {plan.rounds} rounds, each in a fresh process"


def as_json(plan: Plan, scores: Sequence[Score]) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "environment": environment(),
        "steps": plan.steps,
        "rounds": plan.rounds,
        "critical_path_seconds": plan.skew.critical_path,
        "contenders": [_score_json(plan, score, ours(scores)) for score in scores],
    }


def _score_json(plan: Plan, score: Score, base: Score) -> dict[str, Any]:
    return {
        "name": score.contender.name,
        "package": score.contender.package,
        "version": score.version,
        "floor": score.contender.floor,
        "problem": score.problem or None,
        "steps": plan.order(score.contender).steps,
        "peak_mib": score.peak_mib,
        "shapes": {
            shape: {
                "cpu_us_per_step": score.cpu_per_step(shape),
                "wall_us_per_step": score.wall_per_step(shape),
                "cpu_ratio_to_agentrt": score.ratio(base, shape),
            }
            for shape in plan.shapes
            if score.figure(shape) is not None
        },
        "time_over_critical_path": score.stretch(plan.skew),
    }
