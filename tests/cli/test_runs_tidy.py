"""``agentrt runs cancel``, ``prune`` and ``events --follow``: runs that other processes have, and runs of old."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.journalled import PROGRAMS, begin, ended, until

Write = Callable[[str, str], Path]
RUN = ("run", "report.py", "-i", "topic=otters")


@pytest.fixture(autouse=True)
def programs(here: Path, write: Write) -> Path:
    """The programs, in the folder of the test."""
    return write("report.py", PROGRAMS)


def statuses(do: Cli) -> list[str]:
    """Those of all runs, the newest first."""
    return [run["status"] for run in json.loads(do("runs", "list", "--json").out)]


# -- cancel ----------------------------------------------------------------------------------------------------------


def test_a_run_is_cancelled_in_its_process(do: Cli, here: Path) -> None:
    """The process that has the run ends it as with Ctrl-C; the command returns when it has ended."""
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    cancelled = do("runs", "cancel", "last")
    assert (cancelled.code, cancelled.out.split()[2:]) == (0, ["is", "cancelled"])
    assert statuses(do) == ["cancelled"]
    code, _, err = ended(process)
    assert code == 130
    assert "was cancelled: agentrt runs cancel" in err
    assert "to go on from here" in err
    (here / "wait").unlink()
    assert do("runs", "resume", "last").code == 0, "no letter is left that would cancel it again"


def test_a_run_whose_process_died_is_marked(do: Cli, here: Path) -> None:
    """Nobody needs to be asked; it counts as cancelled from then on, and can still be resumed."""
    (here / "kill").touch()
    assert ended(begin(here, *RUN))[0] == -signal.SIGKILL
    cancelled = do("runs", "cancel", "last")
    assert "is cancelled; it was interrupted" in cancelled.out
    assert "error     run" in do("runs", "show", "last").out
    assert "run cancelled: run" in do("runs", "events", "last").out
    assert statuses(do) == ["cancelled"]
    (here / "kill").unlink()
    assert do("runs", "resume", "last").code == 0
    assert len((here / "notes").read_text().splitlines()) == 2


def test_a_process_that_dies_while_it_is_asked(do: Cli, here: Path) -> None:
    """The command does not wait for a process that is gone: the run is marked as cancelled."""
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    process.send_signal(signal.SIGSTOP)
    cancelling = begin(here, "runs", "cancel", "last", "--json")
    until(cancelling, f"waiting for process {process.pid} on")
    process.kill()
    ended(process)
    code, out, _ = ended(cancelling)
    assert code == 0
    told = json.loads(out)
    assert (told["status"], told["was"]) == ("cancelled", "running")


def test_a_run_that_has_ended_stays_as_it_is(do: Cli, here: Path) -> None:
    """To cancel what has ended is no error, and changes nothing."""
    do(*RUN)
    cancelled = do("runs", "cancel", "last")
    assert cancelled.code == 0
    assert "has ended already: done" in cancelled.out
    assert statuses(do) == ["done"]


# -- events --follow -------------------------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_end(do: Cli, here: Path) -> None:
    """What happens in another process is printed as it comes, to the run's last entry; then the command ends."""
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    following = begin(here, "runs", "events", "last", "--follow", "--json")
    assert following.stdout is not None
    first = json.loads(following.stdout.readline())
    assert (first["seq"], first["kind"]) == (1, "called")
    (here / "wait").unlink()
    ended(process)
    code, out, err = ended(following)
    assert (code, err) == (0, "")
    entries = [first, *map(json.loads, out.splitlines())]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["kind"] == "over"


def test_following_ends_with_the_process(do: Cli, here: Path) -> None:
    """A run whose process is killed is followed no further, and the way to go on is told."""
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    following = begin(here, "runs", "events", "last", "--follow")
    assert following.stdout is not None
    following.stdout.readline()
    process.kill()
    ended(process)
    code, _, err = ended(following)
    assert code == 0
    assert "the process of run" in err
    assert "agentrt runs resume" in err


# -- prune -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def four(do: Cli, here: Path) -> list[str]:
    """Four runs, the newest first: one done today, one failed, two done and interrupted forty days ago."""
    for number, trouble in enumerate(("kill", "", "fail", "")):
        if trouble:
            (here / trouble).touch()
        words = ("run", "report.py", "-i", f"topic={number}")
        ended(begin(here, *words)) if trouble == "kill" else do(*words)
        if trouble:
            (here / trouble).unlink()
    runs: list[str] = [run["run_id"] for run in json.loads(do("runs", "list", "--json").out)]
    with sqlite3.connect(here / "runs.db") as connection:
        for run in runs[2:]:
            connection.execute("UPDATE agentrt_runs SET wall = wall - 40 * 86400 WHERE id = ?", (run,))
    connection.close()
    return runs


def test_all_options_together_choose(do: Cli, four: list[str]) -> None:
    """Age, status and --keep narrow each other; --dry-run says what they choose and deletes nothing."""
    for words, gone in (
        ("--older-than 30d", {2, 3}),
        ("--older-than 6w", set()),
        ("--status done", {0, 2}),
        ("--status done --status failed --keep 1", {1, 2}),
        ("--keep 3", {3}),
        ("--older-than 30d --status interrupted", {3}),
        ("--status waiting", set()),
    ):
        would = json.loads(do("runs", "prune", *words.split(), "--dry-run", "--json").out)
        assert {run["run_id"] for run in would["runs"]} == {four[index] for index in gone}, words
    assert "1 run would be deleted" in do("runs", "prune", "--keep", "3", "--dry-run").out
    assert len(statuses(do)) == 4


def test_runs_that_fit_are_deleted(do: Cli, four: list[str]) -> None:
    """What a dry run names goes, and nothing else."""
    would = json.loads(do("runs", "prune", "--older-than", "30d", "--dry-run", "--json").out)
    done = json.loads(do("runs", "prune", "--older-than", "30d", "--json").out)
    assert (done["runs"], done["characters"]) == (would["runs"], would["characters"])
    assert [run["run_id"] for run in json.loads(do("runs", "list", "--json").out)] == four[:2]
    assert all(do("runs", "show", run).code == 0 for run in four[:2])


def test_what_was_freed_is_told(do: Cli, here: Path) -> None:
    """The file gets smaller by what the line says."""
    do("run", "report.py", "-i", f"topic={'otters ' * 100_000}")
    before = (here / "runs.db").stat().st_size
    done = do("runs", "prune", "--older-than", "0s")
    after = (here / "runs.db").stat().st_size
    assert after < 200_000 < before
    assert "1 run deleted" in done.out
    assert f"the file is {(before - after) / 1e6:,.1f} MB smaller" in done.out
    assert do("runs", "prune", "--keep", "1").out == "No run fits; nothing was deleted\n"


def test_a_running_run_is_never_deleted(do: Cli, here: Path) -> None:
    """Neither is it chosen, nor is the file written anew while it is in use."""
    do(*RUN)
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    done = do("runs", "prune", "--older-than", "0s")
    assert "1 run deleted" in done.out
    assert "their room is used for new runs" in done.out
    assert statuses(do) == ["running"]
    (here / "wait").unlink()
    code, out, _ = ended(process)
    assert (code, "OTTERS" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which runs may go"),
        (["--older-than", "30 days"], "expected a number and s, m, h, d or w"),
        (["--status", "running"], "invalid choice: 'running'"),
        (["--keep", "0"], "expected 1 or more"),
    ],
)
def test_prune_wants_to_be_told_what(do: Cli, words: list[str], said: str) -> None:
    """Without a condition, or with one that cannot be read, nothing is deleted."""
    do(*RUN)
    ended = do("runs", "prune", *words)
    assert ended.code == 2
    assert said in ended.complaint
    assert len(statuses(do)) == 1
