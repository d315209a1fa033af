"""The contest: every entrant in a fresh process, round after round, so that a busy moment hits all alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Final, Literal, TypeAlias

from agentrt.benchmarks.overhead.contract import SHAPES, SYNCS, Shape, Skew, Sync
from agentrt.benchmarks.overhead.worker import Figure, Order, Report
from agentrt.errors import ConfigError

PATIENCE: Final = 300.0
"""Seconds that one entrant's process may take."""

Role: TypeAlias = Literal["ours", "peer", "floor"]
"""A floor is no library, it only shows what asyncio, or SQLite, costs."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An entrant as the contest sees it, before anything of it is imported.

    ``module`` is its file, ``package`` what to install for it, ``also`` what else. ``most_steps`` keeps slow ones from
    taking minutes; their cost per step is the same. ``sync`` says how a durable one writes.
    """

    name: str
    module: str
    package: str
    role: Role = "peer"
    most_steps: int | None = None
    sync: Sync | None = None
    also: str = ""

    @property
    def title(self) -> str:
        """Its name, and how it writes."""
        return self.name if self.sync is None else f"{self.name}, {self.sync}"

    @property
    def version(self) -> str | None:
        """The installed version, ``None`` when something of it is not installed."""
        try:
            return [version(package) if package else "" for package in (self.also, self.package)][-1]
        except PackageNotFoundError:
            return None


OURS: Final = Contender("agentrt", "ours", "agentrt", "ours")
FLOORS: Final = (
    Contender("asyncio alone", "floor", "", "floor"),
    Contender("own networkx loop", "networkx_loop", "networkx", "floor"),
)
PEERS: Final = (
    Contender("burr", "burr", "burr"),
    Contender("pydantic-graph", "pydantic_graph", "pydantic-graph"),
    Contender("langgraph", "langgraph_graph", "langgraph"),
    Contender("langgraph-tasks", "langgraph_tasks", "langgraph"),
    Contender("llama-index-workflows", "llama_index", "llama-index-workflows", most_steps=200),
    Contender("dask", "dask", "distributed", most_steps=500),
    Contender("prefect", "prefect", "prefect", most_steps=100),
)

DURABLE_OURS: Final = Contender("agentrt", "ours_sqlite", "agentrt", "ours")
DURABLE_FLOOR: Final = Contender("SQLite alone", "sqlite_floor", "", "floor")
DURABLE_PEERS: Final = (
    Contender("burr", "burr_sqlite", "burr"),
    Contender("burr-async", "burr_aiosqlite", "burr"),
    Contender("langgraph", "langgraph_sqlite", "langgraph", also="langgraph-checkpoint-sqlite"),
    Contender("langgraph-tasks", "langgraph_tasks_sqlite", "langgraph", also="langgraph-checkpoint-sqlite"),
    Contender("dbos", "dbos_sqlite", "dbos"),
)


@dataclass(slots=True)
class Score:
    """One contender's reports, a round each, or why there are none."""

    contender: Contender
    version: str | None
    reports: list[Report] = field(default_factory=list)
    problem: str = ""

    def figure(self, shape: Shape) -> Figure | None:
        """Over the rounds, medians of CPU and wall and the best of all; ``None`` for a shape it did not run."""
        found = [report.figures[shape] for report in self.reports if shape in report.figures]
        if not found:
            return None
        cpu, wall = median(one.cpu for one in found), median(one.wall for one in found)
        stored = median(one.stored for one in found)
        return Figure(found[0].steps, cpu, wall, min(one.best for one in found), stored)

    def cpu_per_step(self, shape: Shape) -> float | None:
        """Microseconds."""
        found = self.figure(shape)
        return None if found is None else found.cpu / found.steps * 1e6

    def wall_per_step(self, shape: Shape) -> float | None:
        """Microseconds."""
        found = self.figure(shape)
        return None if found is None else found.wall / found.steps * 1e6

    def stretch(self, skew: Skew) -> float | None:
        """Time of the skewed graph over its critical path, the best of all runs: other processes only add to it."""
        found = self.figure("skewed")
        return None if found is None else found.best / skew.critical_path

    def ratio(self, other: Score, shape: Shape) -> float | None:
        """How many times the other's CPU per step: the median of the rounds' own ratios."""
        pairs = [
            (mine.figures[shape], theirs.figures[shape])
            for mine, theirs in zip(self.reports, other.reports, strict=False)
            if shape in mine.figures and shape in theirs.figures
        ]
        if not pairs:
            return None
        return median((mine.cpu / mine.steps) / (theirs.cpu / theirs.steps) for mine, theirs in pairs)

    def stored_per_step(self, shape: Shape) -> float | None:
        """Bytes of database."""
        found = self.figure(shape)
        return None if found is None else found.stored / found.steps

    @property
    def modes(self) -> str:
        """How its connection is set, by its own account."""
        return self.reports[0].modes if self.reports else ""

    @property
    def late(self) -> int:
        """How many results at most were used before they were on record."""
        return max((report.late for report in self.reports), default=0)

    @property
    def peak_mib(self) -> float | None:
        """Largest resident set of its process, imports included."""
        return median(report.peak_mib for report in self.reports) if self.reports else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. ``steps`` is a multiple of the number of layers; databases lie in ``folder``."""

    contenders: tuple[Contender, ...]
    shapes: tuple[Shape, ...] = SHAPES
    steps: int = 1000
    rounds: int = 5
    skew: Skew = field(default_factory=Skew)
    folder: str | None = None

    @property
    def durable(self) -> bool:
        """Whether steps are recorded on disk."""
        return any(contender.sync for contender in self.contenders)

    def order(self, contender: Contender) -> Order:
        """What its process is told."""
        steps = self.steps if contender.most_steps is None else min(self.steps, contender.most_steps)
        return Order(contender.module, self.shapes, steps, self.skew, contender.sync, self.folder)


def chosen(names: str) -> tuple[Contender, ...]:
    """The contenders for ``all``, ``none`` or a comma-separated list of peers; floors and agentrt always take part.

    Raises ``ConfigError`` for a name there is not.
    """
    return (*FLOORS, OURS, *_named(names, PEERS))


def chosen_durable(names: str, syncs: Sequence[Sync] = SYNCS) -> tuple[Contender, ...]:
    """The same for those that record their steps, once for each way to write."""
    all_ = (DURABLE_FLOOR, DURABLE_OURS, *_named(names, DURABLE_PEERS))
    return tuple(replace(contender, sync=sync) for sync in syncs for contender in all_)


def _named(names: str, peers: Sequence[Contender]) -> tuple[Contender, ...]:
    known = {peer.name: peer for peer in peers}
    wanted = {"all": list(known), "none": []}.get(names, [name.strip() for name in names.split(",")])
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"no peer is called {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def hold(plan: Plan, tell: Callable[[str], None], measure: Callable[[Order], Report] | None = None) -> list[Score]:
    """Run all rounds; ``tell`` hears of progress. A contender that fails once is left out of the further rounds."""
    measure = measure or in_fresh_process
    scores = [Score(contender, contender.version) for contender in plan.contenders]
    for score in scores:
        if score.version is None:
            score.problem = "not installed"
    for number in range(plan.rounds):
        for score in scores:
            if not score.problem:
                tell(f"round {number + 1} of {plan.rounds}: {score.contender.title}")
                _take_part(score, plan, measure)
    return scores


def _take_part(score: Score, plan: Plan, measure: Callable[[Order], Report]) -> None:
    try:
        score.reports.append(measure(plan.order(score.contender)))
    except ContenderFailed as error:
        score.problem = f"failed: {error}"


class ContenderFailed(Exception):
    """One contender's process gave no report; the message is the last it said."""


def in_fresh_process(order: Order) -> Report:
    """Measure in a new interpreter. Raises ``ContenderFailed``."""
    command = [sys.executable, "-m", f"{__package__}.worker", json.dumps(asdict(order))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ContenderFailed(f"no result after {PATIENCE:g} s") from error
    if done.returncode:
        raise ContenderFailed(last_line(done.stderr) or f"exit status {done.returncode}")
    return read_report(last_line(done.stdout))


def read_report(text: str) -> Report:
    """The report that a worker printed."""
    data: Mapping[str, object] = json.loads(text)
    figures = {shape: Figure(**figure) for shape, figure in dict(data["figures"]).items()}  # type: ignore[call-overload]
    return Report(**{**data, "figures": figures})  # type: ignore[arg-type]


def last_line(text: str) -> str:
    """The last line that is not empty; empty when there is none."""
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")
