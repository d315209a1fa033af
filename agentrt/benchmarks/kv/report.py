"""Say what was found: one table for each cell and one of promises, as text, Markdown or JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from agentrt.benchmarks.kv.contest import Row, Score
from agentrt.benchmarks.kv.plan import Cell
from agentrt.benchmarks.kv.verdicts import Verdict, verdicts
from agentrt.benchmarks.overhead.table import environment as machine

COLUMNS: Final = (
    "",
    "mean s",
    "p50",
    "p95",
    "first token s",
    "engine CPU s",
    "cached",
    "regenerated",
    "/ Bélády",
    "mean / best stock",
    "p95 / best",
)


def environment(device: str) -> dict[str, str]:
    """What the numbers depend on."""
    load = f"{os.getloadavg()[0]:.1f}"
    return {**machine(), "device": device, "load at the end": load, "kernel": platform.release().partition("-")[0]}


def described(cell: Cell) -> str:
    """The cell in a sentence."""
    size = cell.size
    host = f", host tier {cell.host * cell.pool:,.0f}" if cell.host else ""
    programs = "1 program" if size.programs == 1 else f"{size.programs} programs"
    return (
        f"{cell.workload.about}; {programs}, working set {size.working_set:,} tokens, "
        f"pool {cell.pool:,}{host}, replies of {size.reply}"
    )


def cells(row: Row, score: Score) -> list[str]:
    """One line of a cell's table."""
    if not score.samples:
        return [score.contestant.name, f"no result: {score.problem}", *[""] * (len(COLUMNS) - 2)]
    prompt = sum(one.prompt for one in score.samples)
    cached = sum(one.cached for one in score.samples) / prompt if prompt else 0.0
    times = [_number(score.median(measure), 2) for measure in ("mean", "p50", "p95", "first_token", "engine_s")]
    ratios = [_number(row.ratio(score, measure), 2) for measure in ("mean", "p95")]
    regenerated = f"{score.median('regenerated') or 0:,.0f}"
    return [score.contestant.name, *times, f"{cached:.0%}", regenerated, _number(score.over_oracle, 2), *ratios]


def as_text(rows: Sequence[Row], rounds: int, device: str) -> str:
    """The tables for a terminal."""
    parts = []
    for row in rows:
        parts.append(f"{row.cell.name}: {described(row.cell)}")
        parts.append(_aligned([list(COLUMNS), *(cells(row, score) for score in row.scores)]))
        parts.append("")
    found = [list(_PROMISE), *(_promise(one) for one in verdicts(rows))]
    parts += [_aligned(found), "", _footer(rows, rounds, device)]
    return "\n".join(parts)


def as_markdown(rows: Sequence[Row], rounds: int, device: str) -> str:
    """The tables as Markdown, the promises first."""
    parts = [_table([list(_PROMISE), *(_promise(one) for one in verdicts(rows))]), ""]
    for row in rows:
        parts += [f"### {row.cell.name}", "", described(row.cell).capitalize() + ".", ""]
        parts += [_table([list(COLUMNS), *(cells(row, score) for score in row.scores)]), ""]
    return "\n".join([*parts, _footer(rows, rounds, device), ""])


def as_json(rows: Sequence[Row], rounds: int, device: str) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "environment": environment(device),
        "rounds": rounds,
        "promises": [
            {"promise": one.promise, "cell": one.cell, "value": one.value, "at_most": one.bound, "met": one.met,
             "note": one.note}
            for one in verdicts(rows)
        ],
        "cells": [_row_json(row) for row in rows],
    }  # fmt: skip


def _row_json(row: Row) -> dict[str, Any]:
    size = row.cell.size
    best = row.best
    return {
        "name": row.cell.name,
        "workload": row.cell.workload.name,
        "programs": size.programs,
        "working_set": size.working_set,
        "pool": row.cell.pool,
        "pressure": row.cell.pressure,
        "host_ratio": row.cell.host,
        "reply": size.reply,
        "time_scale": size.time_scale,
        "seed": size.seed,
        "reference": row.reference.contestant.name,
        "best_stock": best.contestant.name if best else None,
        "contestants": [_score_json(row, score) for score in row.scores],
    }


def _score_json(row: Row, score: Score) -> dict[str, Any]:
    return {
        "name": score.contestant.name,
        "about": score.contestant.about,
        "problem": score.problem or None,
        "mean_over_best_stock": row.ratio(score),
        "p95_over_best_stock": row.ratio(score, "p95"),
        "first_token_over_best_stock": row.ratio(score, "first_token"),
        "engine_cpu_over_best_stock": row.ratio(score, "engine_s"),
        "regenerated_over_belady": score.over_oracle,
        "rounds": [one.to_json() for one in score.samples],
        "reference_means": [one.mean for one in score.beside],
    }


_PROMISE: Final = ("promise", "cell", "measured", "at most", "")


def _promise(one: Verdict) -> list[str]:
    verdict = {True: "met", False: "MISSED", None: "no meaning here"}[one.met]
    note = f"{verdict}; {one.note}" if one.note else verdict
    return [one.promise, one.cell, _number(one.value, 2 if one.bound > 0.1 else 4), f"{one.bound:g}", note]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if len(widths) > 2 and any(line[1].startswith("no result") for line in lines):
        widths[1] = max(len(line[1]) for line in lines if not line[1].startswith("no result"))
    return "\n".join(
        "  ".join(
            text.ljust(width) if n == 0 else text.rjust(width) for n, (text, width) in enumerate(_pairs(line, widths))
        )
        for line in lines
    ).rstrip()


def _pairs(line: Sequence[str], widths: Sequence[int]) -> list[tuple[str, int]]:
    return list(zip(line, widths, strict=True))


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body])


def _footer(rows: Sequence[Row], rounds: int, device: str) -> str:
    where = ", ".join(f"{name} {value}" for name, value in environment(device).items())
    shares = [one.others for row in rows for score in row.scores for one in score.samples]
    disturbed = f"{median(shares):.0%} of the machine in the median run, {max(shares):.0%} at most" if shares else "-"
    return (
        f"Medians of {rounds} rounds in which all took turns; ratios are taken within a round. `cached`: share of all "
        f"prompt tokens. `regenerated`: prefix tokens that had been in the cache and were computed again. Other "
        f"processes took {disturbed}.\n{where}"
    )
