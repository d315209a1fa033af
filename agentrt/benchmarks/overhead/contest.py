"""The contest: every entrant in a fresh process, round after round, so that a busy moment hits all alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Final

from agentrt.benchmarks.overhead.contract import SHAPES, Shape, Skew
from agentrt.benchmarks.overhead.worker import Figure, Order, Report
from agentrt.errors import ConfigError

PATIENCE: Final = 300.0
"""Seconds that one entrant's process may take."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An entrant as the contest sees it, before anything of it is imported.

    ``module`` is its file, ``package`` what to install for it. A ``floor`` is no library, it only shows what asyncio
    costs. ``most_steps`` keeps slow ones from taking minutes; their cost per step is the same.
    """

    name: str
    module: str
    package: str
    floor: bool = False
    most_steps: int | None = None

    @property
    def version(self) -> str | None:
        """The installed version, ``None`` when it is not installed."""
        try:
            return version(self.package) if self.package else ""
        except PackageNotFoundError:
            return None


OURS: Final = Contender("agentrt", "ours", "agentrt")
FLOORS: Final = (
    Contender("asyncio alone", "floor", "", floor=True),
    Contender("own networkx loop", "networkx_loop", "networkx", floor=True),
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
        return Figure(found[0].steps, cpu, wall, min(one.best for one in found))

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

    @property
    def peak_mib(self) -> float | None:
        """Largest resident set of its process, imports included."""
        return median(report.peak_mib for report in self.reports) if self.reports else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. ``steps`` is a multiple of the number of layers."""

    contenders: tuple[Contender, ...]
    shapes: tuple[Shape, ...] = SHAPES
    steps: int = 1000
    rounds: int = 5
    skew: Skew = field(default_factory=Skew)

    def order(self, contender: Contender) -> Order:
        """What its process is told."""
        steps = self.steps if contender.most_steps is None else min(self.steps, contender.most_steps)
        return Order(contender.module, self.shapes, steps, self.skew)


def chosen(names: str) -> tuple[Contender, ...]:
    """The contenders for ``all``, ``none`` or a comma-separated list of peers; floors and agentrt always take part.

    Raises ``ConfigError`` for a name there is not.
    """
    known = {peer.name: peer for peer in PEERS}
    wanted = {"all": list(known), "none": []}.get(names, [name.strip() for name in names.split(",")])
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"no peer is called {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return (*FLOORS, OURS, *(known[name] for name in wanted))


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
                tell(f"round {number + 1} of {plan.rounds}: {score.contender.name}")
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
        raise ContenderFailed(_last_line(done.stderr) or f"exit status {done.returncode}")
    return read_report(_last_line(done.stdout))


def read_report(text: str) -> Report:
    """The report that a worker printed."""
    data: Mapping[str, object] = json.loads(text)
    figures = {shape: Figure(**figure) for shape, figure in dict(data["figures"]).items()}  # type: ignore[call-overload]
    return Report(**{**data, "figures": figures})  # type: ignore[arg-type]


def _last_line(text: str) -> str:
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")
