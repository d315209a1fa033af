"""``agentrt runs resume`` and ``fork``: a run goes on in another process, and what had finished does not run again."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.journalled import PROGRAMS, begin, ended, until

Write = Callable[[str, str], Path]
RUN = ("run", "report.py", "-i", "topic=otters")
SAID = "otters 0otters 0otters 0 otters 1otters 1otters 1 OTTERS"


@pytest.fixture(autouse=True)
def programs(here: Path, write: Write) -> Path:
    """The programs, in the folder of the test."""
    return write("report.py", PROGRAMS)


def notes(here: Path) -> list[str]:
    """What the tool wrote, once each time that it ran."""
    return sorted((here / "notes").read_text().splitlines())


def test_a_killed_run_goes_on(do: Cli, here: Path) -> None:
    """Killed by SIGKILL in its fourth step, a run is resumed: the same output, and no finished step ran twice."""
    (here / "kill").touch()
    code, _, _ = ended(begin(here, *RUN))
    assert code == -signal.SIGKILL
    (run,) = json.loads(do("runs", "list", "--json").out)
    assert (run["status"], run["seconds"], run["steps"]) == ("interrupted", None, 5)
    assert f"to go on: agentrt runs resume {run['run_id']}" in do("runs", "show", "last").out
    (here / "kill").unlink()
    code, out, err = ended(begin(here, "runs", "resume", run["run_id"][:-1]))
    assert (code, json.loads(out)) == (0, {"said": SAID})
    assert "gate#1 started, attempt 2" in err
    assert notes(here) == ["otters 0", "otters 1"]
    (run,) = json.loads(do("runs", "list", "--json").out)
    assert run["status"] == "done"


def test_what_must_not_run_twice_is_not_just_resumed(do: Cli, here: Path, write: Write) -> None:
    """A step that says idempotent=False and was killed: the only way to go on that is told is the one that works."""
    write("report.py", PROGRAMS.replace("@step\n    async def gate", "@step(idempotent=False)\n    async def gate"))
    (here / "kill").touch()
    ended(begin(here, *RUN))
    (here / "kill").unlink()
    stopped = do("runs", "resume", "last")
    assert (stopped.code, "to go on from here" in stopped.err) == (1, False)
    assert "--rerun 'gate#1'" in stopped.complaint
    assert json.loads(do("runs", "resume", "last", "--rerun", "gate#1").out) == {"said": SAID}


def test_of_two_resumes_one_wins(do: Cli, here: Path) -> None:
    """Two processes resume one run at once: one goes on, the other says who has it and ends with exit code 1."""
    (here / "kill").touch()
    ended(begin(here, *RUN))
    (here / "kill").rename(here / "wait")
    both = [begin(here, "runs", "resume", "last") for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(ended, process) for process in both]
        (loser,), (winner,) = wait(waiting, return_when=FIRST_COMPLETED)
        (here / "wait").unlink()
    code, out, err = loser.result()
    assert (code, out) == (1, "")
    pid = both[waiting.index(winner)].pid
    assert f"is being run by process {pid} on" in err or "was taken by another process just now" in err
    code, out, _ = winner.result()
    assert (code, json.loads(out)) == (0, {"said": SAID})
    assert notes(here) == ["otters 0", "otters 1"]


def test_a_live_run_cannot_be_resumed(do: Cli, here: Path) -> None:
    """Who resumes a run that is being run is told the process that has it; the list says that it is running."""
    (here / "wait").touch()
    process = begin(here, *RUN)
    until(process, "gate#1 started")
    shown = do("runs", "show", "last")
    assert f"status    running in process {process.pid} on " in shown.out
    (run,) = json.loads(do("runs", "list", "--json").out)
    assert (run["status"], run["owner"]["pid"]) == ("running", process.pid)
    resumed = do("runs", "resume", "last")
    assert resumed.code == 1
    assert f"is being run by process {process.pid} on" in resumed.complaint
    assert "agentrt runs cancel" in resumed.complaint
    (here / "wait").unlink()
    assert ended(process)[0] == 0


def test_a_failed_run_says_how_to_go_on(do: Cli, here: Path) -> None:
    """The line can be typed as it stands; the failed step runs again, the others do not."""
    (here / "fail").touch()
    failed = do(*RUN)
    assert failed.code == 1
    (line,) = [line for line in failed.err.splitlines() if line.startswith("to go on from here: agentrt ")]
    (here / "fail").unlink()
    resumed = do(*line.partition("agentrt ")[2].split(), "--json")
    told = json.loads(resumed.out)
    assert (resumed.code, told["status"], told["output"]) == (0, "done", {"said": SAID})
    assert told["journal"] == str(here / "runs.db")
    assert notes(here) == ["otters 0", "otters 1"]


def test_the_way_to_go_on_names_a_journal_that_was_named(do: Cli, here: Path) -> None:
    """A run in another journal is resumed from there."""
    (here / "fail").touch()
    failed = do(*RUN, "--journal", "my runs.db")
    assert "--journal 'my runs.db'" in failed.err
    assert not (here / "runs.db").exists()
    (here / "fail").unlink()
    assert do("runs", "resume", "last", "--journal", "my runs.db").code == 0


def test_a_cancelled_run_goes_on(do: Cli, here: Path) -> None:
    """--timeout holds for a resumed run as for a new one; what it cancelled can be resumed again."""
    (here / "wait").touch()
    assert do(*RUN, "--timeout", "0.5").code == 130
    again = do("runs", "resume", "last", "--timeout", "0.5")
    assert again.code == 130
    assert "to go on from here: agentrt runs resume" in again.err
    (here / "wait").unlink()
    assert json.loads(do("runs", "resume", "last").out) == {"said": SAID}
    assert notes(here) == ["otters 0", "otters 1"]


def test_a_run_that_is_done_stays_done(do: Cli, here: Path) -> None:
    """There is nothing to resume; the line says what there is instead."""
    do(*RUN)
    again = do("runs", "resume", "last")
    assert again.code == 2
    assert "is done" in again.complaint
    assert "agentrt runs fork" in again.complaint


def test_a_program_that_was_moved_is_named(do: Cli, here: Path) -> None:
    """The file that is gone is told, and what to type; the program is found where it is named, by its name."""
    (here / "fail").touch()
    do(*RUN)
    (here / "fail").unlink()
    (here / "report.py").rename(here / "moved.py")
    lost = do("runs", "resume", "last")
    assert lost.code == 2
    assert f"there is no file '{here / 'report.py'}'" in lost.complaint
    assert "PROGRAM.py" in lost.complaint
    assert json.loads(do("runs", "resume", "last", "moved.py").out) == {"said": SAID}


def test_a_run_of_another_program(do: Cli, here: Path, write: Write) -> None:
    """A run is not resumed with a program that is not its own."""
    write("other.py", "from agentrt import program\n@program\nasync def other() -> int:\n    return 1\n")
    (here / "fail").touch()
    do(*RUN)
    wrong = do("runs", "resume", "last", "other.py:other")
    assert wrong.code == 2
    assert "is of program 'report', not of 'other'" in wrong.complaint
    absent = do("runs", "resume", "last", "other.py")
    assert absent.code == 2
    assert "no program 'report'" in absent.complaint


def test_a_program_that_changed_stops_at_the_first_difference(do: Cli, here: Path) -> None:
    """Other arguments for a recorded step are told; --accept-changes takes what is recorded."""
    (here / "fail").touch()
    do(*RUN)
    (here / "fail").unlink()
    path = here / "report.py"
    path.write_text(path.read_text().replace('{topic} {number}"', '{topic} no {number}"'))
    differs = do("runs", "resume", "last")
    assert differs.code == 1
    assert "'note#1' is called with" in differs.complaint
    assert "to go on from here" not in differs.err
    accepted = do("runs", "resume", "last", "--accept-changes")
    assert json.loads(accepted.out) == {"said": SAID}
    assert notes(here) == ["otters 0", "otters 1"]


def test_a_fork_keeps_what_did_not_depend_on_the_step(do: Cli, here: Path) -> None:
    """The copy runs at once, that step and what came of it anew; the run it came from stays as it is."""
    do(*RUN)
    forked = do("runs", "fork", "last", "--from", "note#2")
    assert json.loads(forked.out) == {"said": SAID}
    assert notes(here) == ["otters 0", "otters 1", "otters 1"]
    new, old = json.loads(do("runs", "list", "--json").out)
    assert new["origin"] == f"{old['run_id']} at note#2"
    assert f"run {new['run_id']} is a fork of {new['origin']}" in forked.err
    assert f"forked    from {new['origin']}" in do("runs", "show", new["run_id"]).out


def test_a_fork_can_wait(do: Cli, here: Path) -> None:
    """--no-run only enters the copy and prints its id, by which it is resumed."""
    do(*RUN)
    new = do("runs", "fork", "last", "--no-run").out.strip()
    assert notes(here) == ["otters 0", "otters 1"]
    assert new in do("runs", "list", "--status", "interrupted").out
    assert json.loads(do("runs", "resume", new).out) == {"said": SAID}
    told = json.loads(do("runs", "fork", new, "--from", "gate#1", "--no-run", "--json").out)
    assert told["origin"] == f"{new} at gate#1"


def test_a_fork_from_a_step_that_is_not_there(do: Cli, here: Path) -> None:
    """The steps there are stand in the line, and nothing is entered."""
    do(*RUN)
    ended = do("runs", "fork", "last", "--from", "nope#1")
    assert ended.code == 2
    assert "no step 'nope#1'" in ended.complaint
    assert "gate#1" in ended.complaint
    assert len(json.loads(do("runs", "list", "--json").out)) == 1


def test_a_journal_in_postgresql(do: Cli, here: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the environment, a database keeps runs as a file does; its password is never shown."""
    monkeypatch.setenv("AGENTRT_JOURNAL", postgres_url)
    (here / "fail").touch()
    said = [do(*RUN)]
    (here / "fail").unlink()
    said += [do("runs", "list"), do("runs", "resume", "last", "--json"), do("runs", "show", "last", "--json")]
    said += [do("runs", "prune", "--keep", "1"), do("runs", "prune", "--older-than", "0s")]
    assert [one.code for one in said] == [1, 0, 0, 0, 0, 0]
    assert json.loads(said[2].out)["output"] == {"said": SAID}
    assert "1 run deleted" in said[-1].out
    assert notes(here) == ["otters 0", "otters 1"]


def test_a_password_is_not_shown(do: Cli, here: Path) -> None:
    """A server that cannot be reached is told without the password in its address."""
    url = "postgresql://me:sesame@127.0.0.1:1/runs"
    for words in (["runs", "list"], [*RUN], ["runs", "show", "last"]):
        ended = do(*words, "--journal", url)
        assert ended.code == 1
        assert "postgresql://me:***@127.0.0.1:1/runs" in ended.complaint
        assert "sesame" not in ended.out + ended.err
