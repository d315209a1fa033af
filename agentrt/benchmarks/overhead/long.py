"""One long run, killed when all its steps are on record, and resumed: what it costs in memory, on disk and in time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any, Final

from agentrt.benchmarks.overhead import ledger
from agentrt.benchmarks.overhead.contest import PATIENCE, ContenderFailed, last_line
from agentrt.benchmarks.overhead.contract import Shape, Sync
from agentrt.benchmarks.overhead.long_worker import LongOrder
from agentrt.benchmarks.overhead.sheet import Sheet, with_disk

RESUME_SECONDS: Final = 10.0
DATABASE_BYTES: Final = 1024.0
FLAT_BYTES: Final = 50.0
"""Less than the id of a step takes in Python: who stays below it keeps nothing for each finished step."""

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class LongPlan:
    """What is run: each shape with that many steps, its database in ``folder``."""

    shapes: tuple[Shape, ...]
    steps: int
    sync: Sync
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class LongScore:
    """One run. ``resident`` is bytes of memory by the number of steps that had run; ``cpu`` seconds from first to last.

    ``stored`` is bytes of database. ``resumed`` is the seconds of the process that resumed it, from its start to its
    end, ``resumed_cpu`` those it had a processor; ``again`` counts steps that ran a second time, the one in flight not
    among them, and ``resumed_resident`` is that process's memory in the end.
    """

    shape: Shape
    steps: int
    resident: dict[int, int]
    cpu: float
    stored: int
    resumed: float
    resumed_cpu: float
    again: int
    resumed_resident: int

    @property
    def growth(self) -> float:
        """Bytes of memory for each finished step, from the first mark to the last."""
        return (self.resident[self.steps] - self.resident[min(self.resident)]) / self._between

    @property
    def cpu_per_step(self) -> float:
        """Microseconds."""
        return self.cpu / self._between * 1e6

    @property
    def _between(self) -> int:
        return self.steps - min(self.resident)


def hold_long(plan: LongPlan, tell: Callable[[str], None]) -> list[LongScore]:
    """Run, kill and resume each shape. Raises ``ContenderFailed`` for a process that ends before its time."""
    scores = []
    for shape in plan.shapes:
        with tempfile.TemporaryDirectory(prefix="agentrt-bench-", dir=plan.folder) as place:
            scores.append(_one(LongOrder(str(Path(place, "bench.db")), plan.sync, shape, plan.steps), tell))
    return scores


def _one(order: LongOrder, tell: Callable[[str], None]) -> LongScore:
    tell(f"{order.shape}: running {order.steps:,} steps")
    *marks, waiting = listen(order)
    stored = ledger.used(Path(order.file))
    tell(f"{order.shape}: killed, resuming")
    began = time.perf_counter()
    [told] = listen(replace(order, resume=waiting["waiting"]))
    return LongScore(
        shape=order.shape,
        steps=order.steps,
        resident={mark["steps"]: mark["resident"] for mark in marks},
        cpu=marks[-1]["cpu"] - marks[0]["cpu"],
        stored=stored,
        resumed=time.perf_counter() - began,
        resumed_cpu=told["cpu"],
        again=told["again"],
        resumed_resident=told["resident"],
    )


def listen(order: LongOrder) -> list[dict[str, Any]]:
    """Everything that a process says; one that waits in its last step is killed there. Raises ``ContenderFailed``."""
    command = [sys.executable, "-m", f"{__package__}.long_worker", json.dumps(asdict(order))]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            late = Timer(PATIENCE, process.kill)
            late.start()
            said = list(_until_it_waits(process))
            process.kill() if order.resume is None else process.wait()
            late.cancel()
        errors.seek(0)
        if not said or (order.resume is None) != ("waiting" in said[-1]):
            raise ContenderFailed(f"{order.shape}: {last_line(errors.read()) or 'it ended before its time'}")
    return said


def _until_it_waits(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        yield said
        if "waiting" in said:
            return


# -- what is said of it ----------------------------------------------------------------------------------------------


def sheet(plan: LongPlan, scores: Sequence[LongScore]) -> Sheet:
    """The table, the verdicts and what the figures depend on."""
    settings = f"synchronous {plan.sync}, killed with all steps on record and one in flight"
    return Sheet(settings, [[_columns(plan), *map(_row, scores)]], remarks(scores), with_disk(plan.folder))


def _columns(plan: LongPlan) -> list[str]:
    marks = [f"MiB after {steps:,}" for steps in (plan.steps // 10, plan.steps // 2, plan.steps)]
    return [
        f"{plan.steps:,} steps",
        "CPU µs a step",
        *marks,
        "bytes of database a step",
        "resumed in s (CPU s)",
        "run again",
    ]


def _row(score: LongScore) -> list[str]:
    memory = [f"{bytes_ / MIB:.1f}" for _, bytes_ in sorted(score.resident.items())]
    stored = f"{score.stored / score.steps:.0f}"
    resumed = f"{score.resumed:.1f} ({score.resumed_cpu:.1f})"
    return [score.shape, f"{score.cpu_per_step:.1f}", *memory, stored, resumed, str(score.again)]


def remarks(scores: Sequence[LongScore]) -> list[str]:
    """Verdicts on what agentrt promises of long runs."""
    return [line for score in scores for line in _verdicts(score)]


def _verdicts(score: LongScore) -> Iterator[str]:
    for what, figure, target in (
        ("bytes of memory for each finished step", score.growth, FLAT_BYTES),
        ("bytes of database a step", score.stored / score.steps, DATABASE_BYTES),
        ("s to resume after kill -9, interpreter and imports included", score.resumed, RESUME_SECONDS),
    ):
        verdict = "met" if figure < target else "MISSED"
        yield f"{score.shape}: {figure:.3g} {what}, target below {target:g}: {verdict}"
    verdict = "met" if score.again == 0 else "MISSED"
    yield f"{score.shape}: {score.again} finished steps were run again, target 0: {verdict}"


def as_json(plan: LongPlan, scores: Sequence[LongScore]) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "environment": with_disk(plan.folder),
        "sync": plan.sync,
        "runs": [asdict(score) for score in scores],
    }
