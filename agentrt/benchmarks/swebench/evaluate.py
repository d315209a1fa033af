"""Tests one candidate patch as the official harness does, and has the official package grade it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

from agentrt.benchmarks.swebench.instances import Instance
from agentrt.benchmarks.swebench.official import Official, Report
from agentrt.errors import ExecutorError, StepTimeout

TIMEOUT: Final = 1_800.0
"""Seconds that the tests of one instance may take: the official harness's own limit."""


class Way(Protocol):
    """How the tests of a candidate are run."""

    async def test(self, instance: Instance, patch: str, within: float) -> str:
        """What the tests wrote, marked as the official harness marks it; they may take ``within`` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One graded candidate; ``seconds`` is what its tests took, the making of the work tree included."""

    resolved: bool
    why: str
    seconds: float


class Evaluator:
    """Evaluates candidates into ``folder``: the patch, what the tests wrote, and the report, one folder an instance.

    What was evaluated before is not tested again; ``clock`` gives seconds.
    """

    def __init__(self, folder: Path, way: Way, official: Official, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._way = way
        self._official = official
        self._clock = clock

    async def evaluate(self, instance: Instance, patch: str, within: float = TIMEOUT) -> Evaluated:
        """Test and grade one candidate; an empty one is tested too. Raises ``SetupError`` for want of a work tree."""
        folder = self._folder / instance.id
        known = _known(folder, patch)
        if known is not None:
            return known
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "patch.diff").write_text(patch, encoding="utf-8")
        began = self._clock()
        log = folder / "test_output.txt"
        log.write_text(await self._way.test(instance, patch, within), encoding="utf-8")
        # The official grader takes "no patch" for unresolved without a look; that nothing resolves is to be seen.
        try:
            report = await self._official.grade(instance, patch or "(none)", log)
        except (ExecutorError, StepTimeout) as error:  # tests may write what it cannot read
            return Evaluated(False, f"not graded: {error}", self._clock() - began)
        found = Evaluated(report.resolved, _why(report, patch), self._clock() - began)
        (folder / "report.json").write_text(json.dumps({"patch": digest(patch), **asdict(found)}, indent=2) + "\n")
        return found


def _why(report: Report, patch: str) -> str:
    return report.why if patch.strip() or report.resolved else f"no patch; {report.why}"


def _known(folder: Path, patch: str) -> Evaluated | None:
    try:
        told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return Evaluated(**told) if told.pop("patch") == digest(patch) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # not there, or torn by a crash
        return None


def digest(patch: str) -> str:
    """What a patch is known by."""
    return hashlib.sha256(patch.encode()).hexdigest()
