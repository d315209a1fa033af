"""Rounds: in each, every contestant runs the same workload once, in another order than the round before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median
from typing import TypeAlias

from agentrt.benchmarks.kv.contestants import Contestant, Engine
from agentrt.benchmarks.kv.engines import Served, batches, kinds_of, room_for
from agentrt.benchmarks.kv.plan import Cell, Plan
from agentrt.benchmarks.kv.runs import Sample, once
from agentrt.errors import AgentrtError

Note: TypeAlias = Callable[[str], None]
Start: TypeAlias = Callable[[Sequence[Engine], int, float], AbstractContextManager[dict[str, Served]]]
"""Runs engines of these kinds, with so many tokens and such a host tier, for the time of a block."""


@dataclass
class Score:
    """What one contestant did in one cell: a sample a round, beside the reference's of the same round and batch."""

    contestant: Contestant
    samples: list[Sample] = field(default_factory=list)
    beside: list[Sample] = field(default_factory=list)
    problem: str = ""

    def median(self, measure: str) -> float | None:
        """The median over rounds of a property of ``Sample``; ``None`` where it never ran."""
        return median(getattr(one, measure) for one in self.samples) if self.samples else None

    def over_reference(self, measure: str) -> list[float]:
        """In each round, the measure over the reference's; nothing where that was 0."""
        return [
            getattr(mine, measure) / base
            for mine, other in zip(self.samples, self.beside, strict=True)
            if (base := getattr(other, measure)) > 0
        ]

    @property
    def over_oracle(self) -> float | None:
        """Regenerated tokens over those of Bélády's order, all rounds together; ``None`` where that has none."""
        oracle = sum(one.oracle for one in self.samples)
        return sum(one.regenerated for one in self.samples) / oracle if oracle else None


@dataclass
class Row:
    """One cell and the scores in it, the reference's first."""

    cell: Cell
    scores: list[Score]

    @property
    def reference(self) -> Score:
        """Whom the others are measured beside in every round."""
        return self.scores[0]

    @property
    def best(self) -> Score | None:
        """The stock contestant of the smallest mean completion time beside the reference."""
        stock = [one for one in self.scores if one.contestant.stock and one.samples]
        return min(stock, key=lambda one: median(one.over_reference("mean")), default=None)

    def score(self, name: str) -> Score | None:
        """The score of a contestant that ran here."""
        return next((one for one in self.scores if one.contestant.name == name and one.samples), None)

    def ratio(self, score: Score, measure: str = "mean", over: Score | None = None) -> float | None:
        """A measure over the best stock contestant's, or over that of ``over``: the median of the rounds' ratios.

        Each is taken over the reference of its own round first, so that the two need not have run in one batch.
        """
        against = over or self.best
        if against is None or not score.samples or not against.samples:
            return None
        pairs = zip(score.over_reference(measure), against.over_reference(measure), strict=False)
        ratios = [mine / theirs for mine, theirs in pairs if theirs > 0]
        return median(ratios) if ratios else None


def hold(plan: Plan, start: Start, note: Note) -> Iterator[Row]:
    """Run all cells, those with the same pools together, and give each row when it is done.

    A contestant that fails once is left out of the further rounds of its cell.
    """
    ordered = sorted(plan.cells, key=lambda cell: (cell.host, cell.pool))
    for (host, pool), group in groupby(ordered, key=lambda cell: (cell.host, cell.pool)):
        cells = list(group)
        rows = [Row(cell, [Score(one) for one in cell.contestants]) for cell in cells]
        everybody = list({one.name: one for cell in cells for one in cell.contestants}.values())
        for batch in batches(everybody, plan.together or room_for(plan.device)):
            with start(kinds_of(batch), pool, host) as engines:
                for server in engines.values():
                    server.warm()
                for row in rows:
                    _rounds(row, batch, engines, plan, note)
        yield from rows


def _rounds(row: Row, batch: Sequence[Contestant], engines: Mapping[str, Served], plan: Plan, note: Note) -> None:
    names = {one.name for one in batch}
    taking_part = [score for score in row.scores if score.contestant.name in names]
    if len(taking_part) == 1 and row.reference.samples:
        return  # the reference alone, which has run in another batch
    for number in range(plan.rounds):
        note(f"{row.cell.name}, round {number + 1} of {plan.rounds}")
        turn = number % len(taking_part)
        found: dict[str, Sample] = {}
        for score in [*taking_part[turn:], *taking_part[:turn]]:  # each round begins with another one
            if not score.problem:
                _take(score, row.cell, engines, plan, found)
        _keep(row, taking_part, found, plan.rounds)


def _take(score: Score, cell: Cell, engines: Mapping[str, Served], plan: Plan, found: dict[str, Sample]) -> None:
    """One run; a disturbed one is repeated, and the least disturbed counts."""
    server = engines[score.contestant.engine.key]
    samples: list[Sample] = []
    try:
        while not samples or (samples[-1].others > plan.still and len(samples) <= plan.again):
            server.flush()
            samples.append(asyncio.run(_within(score.contestant, server, cell, plan.patience)))
    except (AgentrtError, TimeoutError) as error:
        said = str(error) or f"no result after {plan.patience:g} s"
        score.problem = said.partition("\n")[0]
    if samples:
        found[score.contestant.name] = min(samples, key=lambda one: one.others)


async def _within(contestant: Contestant, server: Served, cell: Cell, patience: float) -> Sample:
    async with asyncio.timeout(patience):
        return await once(contestant, server, cell.pool, cell.workload, cell.size)


def _keep(row: Row, scores: Sequence[Score], found: Mapping[str, Sample], rounds: int) -> None:
    """Keep a round's samples, if the reference has one to measure them beside; its own of the first batch alone."""
    beside = found.get(row.reference.contestant.name)
    if beside is None:
        return
    for score in scores:
        mine = found.get(score.contestant.name)
        if mine is not None and len(score.samples) < rounds:
            score.samples.append(mine)
            score.beside.append(beside)
