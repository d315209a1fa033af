"""What agentrt promises, held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agentrt.benchmarks.kv.contest import Row, Score

OURS: Final = "agentrt"
OURS_WITH_HOST: Final = "host"
FAULTY: Final = ("dropped", "delayed", "random")
HINT_US: Final = 50.0
HINT_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise in one cell: the value should be at most ``bound``; ``value`` is None where it has no meaning."""

    promise: str
    cell: str
    value: float | None
    bound: float
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is kept; ``None`` where it has no meaning."""
        return None if self.value is None else self.value <= self.bound


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every promise that these rows can speak of."""
    return [one for row in rows for check in _CHECKS for one in check(row)]


def _many(row: Row) -> Iterator[Verdict]:
    score = row.score(OURS)
    if score and row.cell.workload.name == "loops" and row.cell.size.programs >= 16 and row.cell.pressure > 1:
        yield _against_best(row, score, "many programs: mean completion", "mean", 0.70)
        yield _against_best(row, score, "many programs: p95 not worse", "p95", 1.0)


def _single(row: Row) -> Iterator[Verdict]:
    score, bound = row.score(OURS), {2: 0.75, 4: 0.85}.get(int(row.cell.pressure))
    if score and bound and row.cell.workload.name == "flow" and row.cell.size.programs == 1 and not row.cell.host:
        yield _against_best(row, score, "one workflow: mean completion", "mean", bound)


def _host(row: Row) -> Iterator[Verdict]:
    score = row.score(OURS_WITH_HOST)
    if score and row.cell.host:
        scarce = row.cell.host * row.cell.pool < row.cell.size.working_set
        promise = "host tier under pressure" if scarce else "ample host tier"
        yield _against_best(row, score, f"{promise}: mean completion", "mean", 0.80 if scarce else 1.0)
        if not scarce:
            yield _against_best(row, score, f"{promise}: time to first token", "first_token", 0.9)


def _oracle(row: Row) -> Iterator[Verdict]:
    score = row.score(OURS)
    if score and row.cell.pressure > 1 and not row.cell.host:
        yield Verdict("regenerated tokens over Bélády's", row.cell.name, score.over_oracle, 1.15)


def _fits(row: Row) -> Iterator[Verdict]:
    score = row.score(OURS)
    if score and row.cell.pressure < 1:
        yield _against_best(row, score, "no pressure: mean completion", "mean", 1.02)


def _faults(row: Row) -> Iterator[Verdict]:
    for name in FAULTY:
        score = row.score(name)
        if score:
            ratio = row.ratio(score, over=row.reference)
            yield Verdict(f"hints {name}: mean completion over lru", row.cell.name, ratio, 1.05)


def _cost(row: Row) -> Iterator[Verdict]:
    score = row.score(OURS)
    if score:
        steps = sum(one.steps for one in score.samples)
        took = sum(one.hint_s for one in score.samples) / steps * 1e6
        yield Verdict("µs CPU a step for hints", row.cell.name, took, HINT_US)
        seconds = sum(one.seconds for one in score.samples)
        if seconds:
            busy = sum(one.scheduler_s for one in score.samples) / seconds
            yield Verdict("share of the scheduler's time for hints", row.cell.name, busy, HINT_SHARE)


def _against_best(row: Row, score: Score, promise: str, measure: str, bound: float) -> Verdict:
    best = row.best
    note = f"best stock: {best.contestant.name}" if best else ""
    return Verdict(promise, row.cell.name, row.ratio(score, measure), bound, note)


_CHECKS: Final[Iterable[Callable[[Row], Iterator[Verdict]]]] = (_many, _single, _host, _oracle, _fits, _faults, _cost)
