"""The official package, in an environment of its own: it reads the instances, knows the recipes, and grades."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentrt.benchmarks.harness.graders import Grader, grader
from agentrt.benchmarks.swebench.environments import Recipe
from agentrt.benchmarks.swebench.instances import Instance
from agentrt.engine.progress import Progress
from agentrt.errors import ConfigError, ExecutorError

REQUIREMENTS: Final = ("swebench==5.0.2", "pyarrow==26.0.1", "unidiff==0.7.5")
"""What grades: the official package, what its graders import, and what reads the dataset."""

RECIPES: Final = ("swebench==4.1.0",)
"""The package's last release that tells how environments are made; later ones only know images."""

WORKER: Final = Path(__file__).parent / "inside" / "official.py"
_CONSTANTS: Final = "venv/lib/python*/site-packages/swebench/harness/constants/python.py"


@dataclass(frozen=True, slots=True)
class Report:
    """What the official grader says of one candidate. ``why`` is one line."""

    resolved: bool
    why: str


class Official:
    """Asks the official package. Made by ``official``."""

    def __init__(self, grader: Grader, constants: Path) -> None:
        self._grader = grader
        self._constants = constants
        self._recipes: dict[tuple[str, str], Recipe] = {}

    async def instances(self, file: Path) -> list[Instance]:
        """The instances of a dataset. Raises ``ConfigError`` for a file that is none."""
        file = await asyncio.to_thread(file.resolve)
        try:
            rows = await self._grader.ask("instances", within=120, file=str(file))
        except ExecutorError as error:
            raise ConfigError(f"dataset {str(file)!r}: {error}") from error
        return [Instance.from_row(row) for row in rows]

    async def recipe(self, instance: Instance) -> Recipe:
        """How the instance's environment is made. Raises ``ConfigError`` for one that takes a container."""
        repo, version = instance.repo, instance.version
        if own := instance.row.get("recipe"):
            return Recipe.read(repo, version, own)
        if (repo, version) not in self._recipes:
            self._recipes[repo, version] = Recipe.read(repo, version, await self._known(repo, version))
        return self._recipes[repo, version]

    async def _known(self, repo: str, version: str) -> dict[str, Any] | None:
        told: dict[str, Any] | None = await self._grader.ask(
            "recipe", repo=repo, version=version, constants=str(self._constants)
        )
        return told

    async def grade(self, instance: Instance, patch: str, log: Path) -> Report:
        """Grade what the tests wrote into ``log``."""
        log = await asyncio.to_thread(log.resolve)
        return read_report(
            await self._grader.ask("grade", within=120, row=dict(instance.row), patch=patch, log=str(log))
        )


@asynccontextmanager
async def official(log: Path, progress: Progress | None = None) -> AsyncIterator[Official]:
    """The official package, its environments made if they are not there. Raises ``SetupError`` with the way out."""
    graders = await asyncio.to_thread(grader, "swebench", REQUIREMENTS, progress=progress)
    recipes = await asyncio.to_thread(grader, "swebench-recipes", RECIPES, progress=progress)
    constants = next(recipes.folder.glob(_CONSTANTS))
    async with Grader(graders, WORKER, log=log) as asked:
        yield Official(asked, constants)


def read_report(told: dict[str, Any]) -> Report:
    """The official report on one instance in one line."""
    if told["resolved"]:
        return Report(True, "resolved")
    if not told["patch_exists"]:
        return Report(False, "no patch")
    if not told["patch_successfully_applied"]:
        reason = told.get("infra_failure_reason")
        return Report(False, "the patch does not apply, or no test ran" + (f" ({reason})" if reason else ""))
    parts = [_tests(name, told["tests_status"][name]) for name in ("FAIL_TO_PASS", "PASS_TO_PASS")]
    return Report(False, "; ".join(parts))


def _tests(name: str, status: dict[str, list[str]]) -> str:
    failed, of = status["failure"], len(status["success"]) + len(status["failure"])
    some = ", ".join(failed[:2]) + (", ..." if len(failed) > 2 else "")
    return f"{name} {of - len(failed)} of {of}" + (f" (not {some})" if failed else "")
