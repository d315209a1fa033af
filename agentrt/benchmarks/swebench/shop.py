"""What a run of the benchmark works with: its instances, the official package, and a way to run tests."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agentrt.benchmarks.harness.entries import Outcome, Verdict
from agentrt.benchmarks.harness.options import Bench
from agentrt.benchmarks.swebench.containers import Containers
from agentrt.benchmarks.swebench.evaluate import Evaluator, Way
from agentrt.benchmarks.swebench.instances import Instance, chosen
from agentrt.benchmarks.swebench.local import Local
from agentrt.benchmarks.swebench.mirrors import Mirrors
from agentrt.benchmarks.swebench.official import official
from agentrt.benchmarks.swebench.predictions import patch_of
from agentrt.benchmarks.swebench.workbench import WORKING, left_in
from agentrt.engine.progress import Progress
from agentrt.errors import ConfigError, StepError


@dataclass(frozen=True, slots=True)
class Shop:
    """The instances by their ids, where their work trees are made, and who evaluates."""

    folder: Path
    instances: Mapping[str, Instance]
    local: Local
    evaluator: Evaluator

    async def patches(self, bench: Bench, outcomes: Sequence[Outcome]) -> dict[str, str]:
        """What each entry hands in. One that failed, or had no more time, hands in what stands in its work tree."""
        return {one.entry: await self._patch(bench, one) for one in outcomes}

    async def _patch(self, bench: Bench, outcome: Outcome) -> str:
        if outcome.status == "done":
            return patch_of(outcome)
        try:
            return await left_in(self.local.where(self.instances[outcome.entry], WORKING))
        except StepError as error:
            bench.watcher.note(f"{outcome.entry}: what stands in its work tree cannot be handed in: {error}")
            return ""

    async def judge(self, bench: Bench, outcomes: Sequence[Outcome], patches: Mapping[str, str]) -> list[Verdict]:
        """Evaluate what was handed in, as many at once as entries run and cores are there, and enter the verdicts.

        Raises ``SetupError`` and ``ConfigError`` when an instance cannot be tested here.
        """
        gate = asyncio.Semaphore(min(bench.settings.at_once, os.cpu_count() or 1))

        async def one(outcome: Outcome) -> Verdict:
            async with gate:
                found = await self.evaluator.evaluate(self.instances[outcome.entry], patches[outcome.entry])
            bench.watcher.judged(outcome.entry, found.resolved)
            if outcome.status == "done":  # what others hand in stands there
                await self.local.where(self.instances[outcome.entry], WORKING).remove()
            return Verdict(outcome.entry, outcome.category, float(found.resolved), found.why)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(outcome)) for outcome in outcomes]
        except BaseExceptionGroup as found:
            raise found.exceptions[0] from found  # what stopped the first stopped the others
        verdicts = [task.result() for task in tasks]
        bench.folder.judged(verdicts)
        return verdicts


@asynccontextmanager
async def shop(
    bench: Bench,
    dataset: Path,
    repos: Sequence[str] | None,
    mirrors: Sequence[Path],
    containers: str | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[Shop]:
    """Everything for instances of ``repos``, all with ``None``; ``mirrors`` are folders of mirrors. Candidates are
    tested in work trees, or with the container engine that ``containers`` names.

    Raises ``SetupError`` for what cannot be installed, ``ConfigError`` for a file that is no dataset or has no instance
    of these repositories.
    """
    folder = bench.folder.path
    async with official(folder / "official.log", progress) as package:
        instances = _by_id(chosen(await package.instances(dataset), repos), dataset, repos)
        local = Local(folder / "places", package, Mirrors(mirrors, progress=progress))
        way: Way = local
        if containers is not None:
            way = engine = Containers(folder / "containers", containers)
            await engine.check()
        yield Shop(folder, instances, local, Evaluator(folder / "evaluations", way, package, time.monotonic))


def _by_id(instances: Sequence[Instance], dataset: Path, repos: Sequence[str] | None) -> dict[str, Instance]:
    found = {one.id: one for one in instances}
    if not found:
        where = f" of {', '.join(repos)}" if repos else ""
        raise ConfigError(f"dataset {str(dataset)!r} has no instance{where}; name others with --repos or --dataset")
    if len(found) < len(instances):
        twice = next(one for one, times in Counter(one.id for one in instances).items() if times > 1)
        raise ConfigError(f"dataset {str(dataset)!r} has more than one instance {twice!r}; give each an id of its own")
    return found
