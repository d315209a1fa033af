"""Processes that are killed at any instant lose nothing that anybody was told, and finish what they began."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentrt.types import RunId

from . import crashing
from .crashing import PROGRAMS, Doom, World

LONGEST_LIFE_S = 0.3


@pytest.fixture(scope="module")
def fork() -> ForkServerContext:
    """Makes processes that have everything imported; to start one takes milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([crashing.__name__])
    return context


class Step(NamedTuple):
    """How a step ended; ``value`` is JSON text. An agent's holds what was said, beside what the program was told."""

    status: str
    value: str


class Watch:
    """A world, seen from outside: kills its processes, and compares what is on disk before and after."""

    def __init__(
        self, folder: Path, runs: tuple[RunId, ...], pace: float, *, checkpoint: int | None = None, full: bool = False
    ) -> None:
        effects, told, problems = (str(folder / name) for name in ("effects", "told", "problems"))
        self._file = folder / "runs.db"
        journal = f"sqlite:///{self._file}{'?sync=full' if full else ''}"
        self.world = World(journal, effects, told, problems, runs, pace, checkpoint)
        self.kills: Counter[str] = Counter()
        self.lives = 0
        self.finished: dict[str, Step] = {}
        self._effects = 0

    def look(self) -> None:
        """After a death: what had finished stands and did not run again, and whatever a program was told is there."""
        now = self._ended()
        lost = {key: step for key, step in self.finished.items() if now.get(key) != step}
        assert not lost, f"results are gone, or others: {lost}"
        lines = lines_of(self.world.effects)
        again = [line for line in lines[self._effects :] if line.split()[0] in self.finished]
        assert not again, f"finished steps ran again: {again}"
        twice = [line for line, count in Counter(lines).items() if count > 1 and line.endswith(" tool")]
        assert not twice, f"attempts of one number: {twice}"
        for line in lines_of(self.world.told):
            key, _, value = line.partition(" ")
            kept = now.get(key, Step("", ""))
            assert kept.status == "done", f"a program was told {line!r}, on disk is {kept}"
            assert f'"{value}"' in kept.value, f"a program was told {line!r}, on disk is {kept}"
        assert lines_of(self.world.problems) == []
        self.finished, self._effects = now, len(lines)

    def outputs(self) -> dict[RunId, list[str]]:
        """What the runs gave, all of which are done, without what is different in every run."""
        query = "SELECT run, data FROM agentrt_entries WHERE kind='over'"
        with closing(sqlite3.connect(self._file)) as connection:
            ends = {run: json.loads(data) for run, data in connection.execute(query)}
            texts = dict(connection.execute("SELECT run || hash, text FROM agentrt_bodies"))
            status = set(connection.execute("SELECT id, status FROM agentrt_runs"))
        assert status == {(run, "done") for run in self.world.runs}
        values = {run: json.loads(_value(run, end, texts)) for run, end in ends.items()}
        return {run: [one.partition(":")[0] for one in value] for run, value in values.items()}

    def _ended(self) -> dict[str, Step]:
        query = "SELECT run || '/' || step, data FROM agentrt_entries WHERE kind='ended' ORDER BY run, seq"
        try:
            with closing(sqlite3.connect(self._file)) as connection:
                ends = [(key, json.loads(data)) for key, data in connection.execute(query)]
                texts = dict(connection.execute("SELECT run || hash, text FROM agentrt_bodies"))
        except sqlite3.OperationalError:  # it was killed before there was a table
            assert not self.finished
            return {}
        rows = [(key, end) for key, end in ends if end["status"] != "cancelled"]  # that one may be run again
        assert len(dict(rows)) == len(rows), "a step has ended twice"
        return {key: Step(end["status"], _value(key.partition("/")[0], end, texts)) for key, end in rows}


def _value(run: str, end: dict[str, Any], texts: dict[str, str]) -> str:
    return texts[run + end["body"]] if "body" in end else json.dumps(end.get("value"))


def lines_of(file: str) -> list[str]:
    """The lines of a file that may not be there."""
    path = Path(file)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def one_life(fork: ForkServerContext, watch: Watch, chance: random.Random) -> bool:
    """Let a process live for some time; whether it came to its own end."""
    doom = None
    how = chance.choice(("time", "time", "statement", "commit"))
    if how != "time":
        doom = Doom("statement" if how == "statement" else "commit", int(chance.expovariate(1 / 40)) + 1)
    process = fork.Process(target=crashing.live, args=(watch.world, doom))
    process.start()
    process.join(chance.uniform(0, LONGEST_LIFE_S) if doom is None else 20)
    if doom is None:
        process.kill()
    process.join()
    watch.lives += 1
    if process.exitcode == -signal.SIGKILL:
        watch.kills[how] += 1
    else:
        assert process.exitcode == 0, lines_of(watch.world.problems)
    watch.look()
    return process.exitcode == 0


async def whole(folder: Path) -> dict[str, list[str]]:
    """What the programs give when nobody kills them."""
    watch = Watch(folder, tuple(RunId(f"{name}-0") for name in PROGRAMS), 0.0)
    await asyncio.to_thread(crashing.live, watch.world)
    watch.look()
    return {run.partition("-")[0]: value for run, value in watch.outputs().items()}


def kill(fork: ForkServerContext, folder: Path, kills: int, seed: int) -> Counter[str]:
    """World after world, each killed until it is done, until there were so many kills; how they came."""
    chance = random.Random(seed)
    (folder / "whole").mkdir()
    expected = asyncio.run(whole(folder / "whole"))
    total: Counter[str] = Counter()
    number = 0
    while total.total() < kills:
        number += 1
        place = folder / str(number)
        place.mkdir()
        busy = number % 3 == 0
        runs = tuple(RunId(f"{name}-{count}") for name in PROGRAMS for count in range(4 if busy else 2))
        watch = Watch(place, runs, 0.0 if busy else 0.06, checkpoint=50 if number % 2 else None, full=number % 2 == 0)
        while not one_life(fork, watch, chance):
            pass
        for run, output in watch.outputs().items():
            assert output == expected[run.partition("-")[0]], run
        total += watch.kills
        print(f"world {number}: {dict(watch.kills)}, {len(watch.finished)} steps")
    return total


def test_killed_at_random_instants_runs_lose_nothing(fork: ForkServerContext, tmp_path: Path) -> None:
    """No finished step runs twice, nothing that a program was told is lost, and the output is the same."""
    seed = time.time_ns()
    print(f"seed {seed}")
    assert kill(fork, tmp_path, 25, seed).total() >= 25


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_killed_five_hundred_times_runs_lose_nothing(fork: ForkServerContext, tmp_path: Path) -> None:
    """The same, for as long as it takes to be believed."""
    began = time.perf_counter()
    kills = kill(fork, tmp_path, 500, 20261120)
    print(f"{kills.total()} kills ({dict(kills)}) in {time.perf_counter() - began:.0f} s")
