"""Overhead of steps that are recorded: what is on disk when, fair verdicts, the long run. No figure is tested."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentrt.benchmarks.overhead import disk, ledger, long, sheet, table
from agentrt.benchmarks.overhead.contest import (
    DURABLE_FLOOR,
    DURABLE_OURS,
    DURABLE_PEERS,
    Contender,
    Plan,
    Score,
    chosen_durable,
    hold,
)
from agentrt.benchmarks.overhead.contract import DURABLE_SHAPES, SYNCS, DurableEntrant, Job, Sync, noop
from agentrt.benchmarks.overhead.entrants.sqlite_floor import SqliteFloor
from agentrt.benchmarks.overhead.long import LongPlan, LongScore
from agentrt.benchmarks.overhead.worker import Figure, Report
from agentrt.cli import main
from agentrt.errors import ConfigError


def report(cpu: float, modes: str = "wal, normal", late: int = 0) -> Report:
    """A report whose shapes all cost that many seconds for 1,000 steps."""
    return Report({shape: Figure(1000, cpu, 0.3, 0.24, 200_000.0) for shape in DURABLE_SHAPES}, 0.1, 40.0, modes, late)


@pytest.mark.parametrize("contender", [DURABLE_FLOOR, DURABLE_OURS, *DURABLE_PEERS], ids=lambda one: one.name)
def test_every_durable_entrant_runs_every_step_and_stores_it(contender: Contender) -> None:
    """Each that is installed runs all shapes in a process of its own, and its database grows by them."""
    if contender.version is None:
        pytest.skip(f"{contender.package} is not installed")
    [score] = hold(Plan((replace(contender, sync="normal"),), DURABLE_SHAPES, 200, 1), lambda _: None)
    assert score.problem == ""
    assert score.modes == "wal, normal"
    assert all(score.reports[0].figures[shape].stored > 0 for shape in DURABLE_SHAPES)


def test_those_that_must_record_before_use_do() -> None:
    """The floor and agentrt have every result of a chain on record when the next step starts."""
    contenders = tuple(replace(one, sync="full") for one in (DURABLE_FLOOR, DURABLE_OURS))
    scores = hold(Plan(contenders, ("chain",), 20, 1), lambda _: None)
    assert [(score.problem, score.late, score.modes) for score in scores] == [("", 0, "wal, full")] * 2


class Late(DurableEntrant):
    """Records the steps of a chain when it is over, or never."""

    recorded = "SELECT count(*) FROM steps"

    def __init__(self, file: Path, sync: Sync, keeps: bool) -> None:
        super().__init__(file, sync)
        self._keeps = keeps
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE steps (number INTEGER)")

    def chain(self, steps: int) -> Job:
        async def job() -> None:
            for _ in range(steps):
                await noop()
            with closing(sqlite3.connect(self.file)) as database, database:
                database.executemany("INSERT INTO steps VALUES (?)", [(n,) for n in range(steps if self._keeps else 0)])

        return job


async def test_an_entrant_that_records_late_is_found_out(tmp_path: Path) -> None:
    """Results that are used before they are on record are counted from outside."""
    assert await ledger.late(Late(tmp_path / "late.db", "normal", True), 10) == 9


async def test_an_entrant_that_records_nothing_is_found_out(tmp_path: Path) -> None:
    """Steps that are on no record in the end are an error, not a good figure."""
    with pytest.raises(RuntimeError, match="10 steps ran and 0 were recorded, expected 10"):
        await ledger.late(Late(tmp_path / "never.db", "normal", False), 10)


@pytest.mark.parametrize("sync", SYNCS)
async def test_modes_are_asked_of_the_connection(tmp_path: Path, sync: Sync) -> None:
    """What the table says of flushing comes from SQLite, not from the option."""
    async with SqliteFloor(tmp_path / "floor.db", sync) as floor:
        assert await floor.modes() == f"wal, {sync}"


async def test_what_is_in_the_log_counts_as_stored(tmp_path: Path) -> None:
    """The size is right while the file itself has not grown yet."""
    file = tmp_path / "floor.db"
    async with SqliteFloor(file, "normal") as floor:
        before = ledger.used(file)
        await floor.wide(1000)()
        assert ledger.used(file) - before > 10_000
        assert file.stat().st_size < ledger.used(file)


def test_each_takes_part_once_for_each_way_to_write() -> None:
    """Floor, agentrt and peers take part with what outlives a killed process, then with what outlives a power cut."""
    assert [one.title for one in chosen_durable("burr")] == [
        f"{name}, {sync}" for sync in ("normal", "full") for name in ("SQLite alone", "agentrt", "burr")
    ]
    assert [one.title for one in chosen_durable("none", ("full",))] == ["SQLite alone, full", "agentrt, full"]
    with pytest.raises(ConfigError, match="no peer is called 'dask'; there are: burr, burr-async"):
        chosen_durable("dask")


def scores(cpu: dict[str, float]) -> tuple[Plan, list[Score]]:
    """A contest of agentrt and Burr, a round each, by title and seconds of CPU."""
    contenders = tuple(one for one in chosen_durable("burr") if one.title in cpu)
    plan = Plan(contenders, DURABLE_SHAPES, rounds=1)
    return plan, [Score(one, "1", [report(cpu[one.title], f"wal, {one.sync}")]) for one in contenders]


def test_like_is_compared_with_like() -> None:
    """Ratios and ranks are among those that write in the same way; only the first way has targets."""
    plan, found = scores({"agentrt, normal": 0.04, "burr, normal": 0.08, "agentrt, full": 0.05, "burr, full": 0.2})
    assert [row[2] for row in table.rows(plan, found)] == ["40.0", "80.0 (2x)", "50.0", "200 (4x)"]
    said = table.remarks(plan, found)
    nearest = "all 1 peers are slower, the nearest is burr"
    assert said[0] == f"chain, normal: 40.0 µs CPU a step, target 50: met; {nearest} (2x)"
    assert said[1] == f"wide, normal: 40.0 µs CPU a step, target 25: MISSED; {nearest} (2x)"
    assert said[3] == f"chain, full: 50.0 µs CPU a step; {nearest} (4x)"


def test_what_is_on_disk_stands_beside_the_cost() -> None:
    """A second table says how safe each is, how long a step takes and how many bytes it leaves."""
    plan, [ours, theirs] = scores({"agentrt, normal": 0.04, "burr, normal": 0.08})
    theirs.reports[0] = report(0.08, "delete, off", 7)
    assert disk.columns(plan)[3:] == [
        "used before recorded",
        "wall µs a step: chain / wide / layered",
        "bytes a step: chain / wide / layered",
    ]
    figures = ["300 / 300 / 300", "200 / 200 / 200"]
    assert disk.rows(plan, [ours, theirs]) == [
        ["agentrt, normal", "wal, normal", "a killed process", "none", *figures],
        ["burr, normal", "delete, off", "?", "up to 7 results", *figures],
    ]
    both = sheet.markdown(table.sheet(plan, [ours, theirs])).splitlines()
    assert [line.startswith("| ---") for line in both].count(True) == 2


def test_json_says_what_was_written() -> None:
    """``--json`` holds bytes, modes and what was used too early."""
    plan, found = scores({"agentrt, normal": 0.04})
    data = json.loads(json.dumps(table.as_json(plan, found)))
    [ours] = data["contenders"]
    assert (ours["sync"], ours["modes"], ours["used_before_recorded"]) == ("normal", "wal, normal", 0)
    assert ours["shapes"]["chain"]["database_bytes_per_step"] == pytest.approx(200)
    assert data["environment"]["disk"]


LONG_SCORE = LongScore("chain", 1000, {100: 1000, 500: 2000, 1000: 19_000}, 0.036, 300_000, 2.0, 1.5, 0, 30_000)


def test_long_runs_are_judged_by_what_they_keep() -> None:
    """Memory and database a finished step, the time to resume, and that nothing ran again."""
    assert long.remarks([LONG_SCORE]) == [
        "chain: 20 bytes of memory for each finished step, target below 50: met",
        "chain: 300 bytes of database a step, target below 1024: met",
        "chain: 2 s to resume after kill -9, interpreter and imports included, target below 10: met",
        "chain: 0 finished steps were run again, target 0: met",
    ]
    worse = replace(LONG_SCORE, resident={100: 0, 1000: 90_000}, stored=2_000_000, resumed=11.0, again=1)
    assert [line.rpartition(" ")[2] for line in long.remarks([worse])] == ["MISSED"] * 4


def test_the_long_table_has_a_row_for_each_shape() -> None:
    """CPU, memory at three marks, bytes, seconds and steps run again."""
    lines = sheet.markdown(long.sheet(LongPlan(("chain",), 1000, "normal"), [LONG_SCORE])).splitlines()
    assert lines[0] == (
        "| 1,000 steps | CPU µs a step | MiB after 100 | MiB after 500 | MiB after 1,000 | bytes of database a step | "
        "resumed in s (CPU s) | run again |"
    )
    assert lines[2] == "| chain | 40.0 | 0.0 | 0.0 | 0.0 | 300 | 2.0 (1.5) | 0 |"


def test_a_long_run_is_killed_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line: a run of 200 steps is killed in its last, and resumed without running one again."""
    assert main(["bench", "overhead", "--durable", "--long", "200", "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [run["shape"] for run in data["runs"]] == ["chain", "layered"]
    assert [run["again"] for run in data["runs"]] == [0, 0]
    assert all(run["stored"] > 0 and run["resumed"] > 0 for run in data["runs"])


def test_the_durable_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A small durable contest from the command line to its JSON."""
    small = ["--steps", "20", "--rounds", "1", "--peers", "none", "--sync", "normal", "--shapes", "chain"]
    assert main(["bench", "overhead", "--durable", *small, "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in data["contenders"]] == ["SQLite alone", "agentrt"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--long"], "agentrt: --long, --folder and --sync are about steps that are recorded; say --durable as well"),
        (["--durable", "--long", "150"], "agentrt: --long 150: expected a multiple of 100"),
        (["--durable", "--sync", "off"], "agentrt: --sync off: expected all, normal or full"),
        (["--durable", "--folder", "/no/such"], "agentrt: --folder /no/such: expected a folder that is there"),
    ],
)
def test_bad_durable_options_get_one_line(
    options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that cannot be used ends with status 2 and one line that names it."""
    assert main(["bench", "overhead", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(expected)
    assert said.count("\n") == 1
