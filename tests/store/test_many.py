"""Many processes write one journal at once: none is refused, nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from agentrt.store import Journal, schema


def at_once(url: str, processes: int, runs: int, steps: int) -> list[dict[str, Any]]:
    """What each process says of itself."""
    command = [sys.executable, "-m", "tests.store.many", url, *map(str, (processes, runs, steps))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stderr == ""
    said: list[dict[str, Any]] = json.loads(ended.stdout)
    return said


@pytest.mark.parametrize(
    ("processes", "runs", "steps"), [(16, 4, 200), pytest.param(64, 4, 500, marks=pytest.mark.soak)]
)
def test_many_processes_write_one_file(tmp_path: Path, processes: int, runs: int, steps: int) -> None:
    """All create the file at one moment and write it as fast as they can: every run ends well, every entry is there."""
    file = tmp_path / "runs.db"
    said = at_once(f"sqlite:///{file}", processes, runs, steps)
    assert [one["logged"] for one in said] == [[]] * processes
    ended = [run for one in said for run in one["runs"]]
    assert [run[1:] for run in ended] == [["done", steps]] * (processes * runs)
    with sqlite3.connect(file) as connection:
        found = connection.execute(
            "SELECT run, count(*), min(seq), max(seq), sum(kind = 'ended') FROM agentrt_entries GROUP BY run"
        ).fetchall()
    connection.close()
    assert {run for run, *_ in found} == {run[0] for run in ended}
    assert [(first, last == number, done) for _, number, first, last, done in found] == [(1, True, steps)] * (
        processes * runs
    )
    assert [one.name for one in tmp_path.iterdir()] == ["runs.db"]  # the last one leaves no log


async def test_many_processes_write_one_server(postgres_url: str) -> None:
    """All migrate an empty database at one moment, and write it."""
    said = at_once(postgres_url, 4, 2, 20)
    assert [one["logged"] for one in said] == [[]] * 4
    assert [run[1:] for one in said for run in one["runs"]] == [["done", 20]] * 8
    async with Journal(postgres_url) as journal, journal.connect() as connection:
        found = await connection.execute(text("SELECT count(*), min(seq), max(seq) FROM agentrt_entries GROUP BY run"))
        assert {number == last and first == 1 for number, first, last in found} == {True}
        assert (await connection.execute(text("SELECT version FROM agentrt_schema"))).scalars().all() == [
            len(schema.MIGRATIONS)
        ]
