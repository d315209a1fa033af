"""What can be done to a run from the screens, and that nothing is done without a yes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Static

from agentrt.cli.failures import BUG, CANCELLED, DONE, FAILED, WAITING
from agentrt.errors import NoSuchRun, UsageError
from agentrt.runtime.durable import keeping
from agentrt.store import Journal, archive
from agentrt.store.rows import RunChange
from agentrt.types import RunId, StepId
from agentrt.ui.watch.acting import ActingApp, settled
from agentrt.ui.watch.actions import READ_ONLY, ActionName, Actions, Counts, in_words, plan, resumed
from agentrt.ui.watch.background import Background, begin, tail
from agentrt.ui.watch.panes.runs import RunsPane
from agentrt.ui.watch.screens.confirm import ConfirmScreen
from agentrt.ui.watch.sources.base import RunState

PROGRAM = '''
    import asyncio
    from pathlib import Path
    from agentrt import program, step

    HERE = Path(__file__).parent

    @step
    async def first() -> int:
        with (HERE / "notes").open("a") as notes:
            notes.write("first\\n")
        return 1

    @step
    async def gate(before: int) -> int:
        """Fail or wait while there is a file of that name."""
        if (HERE / "fail").exists():
            raise ValueError("the gate is shut")
        while (HERE / "wait").exists():
            await asyncio.sleep(0.02)
        return before + 1

    @program
    async def report() -> int:
        return await gate(first())
'''


def state(status: str, *, live: bool = False) -> RunState:
    """A run that stands so."""
    return RunState(RunId("run-1"), "report", status, 0.0, 1.0, live)


# -- what makes sense ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "counts", "said"),
    [
        ("cancel", "running", Counts(3, 1, 0), "3 steps are running; what it did so far stays; it can be resumed."),
        ("cancel", "running", Counts(1, 1, 0), "1 step is running; "),
        ("cancel", "running", Counts(None, 1, 0), "What it did so far stays"),
        ("cancel", "waiting", Counts(1, 1, 0), "It is waiting, no process has it; what it did so far stays"),
        ("resume", "failed", Counts(0, 12, 1), "12 steps are done and not run again; 1 step that failed, and what was"),
        ("resume", "interrupted", Counts(0, 1, 0), "1 step is done and not run again; what was broken off"),
        ("fork", "failed", Counts(0, 1, 0), "A new run begins with all that this one did"),
    ],
)
def test_it_is_said_what_will_happen(action: ActionName, status: str, counts: Counts, said: str) -> None:
    """In plain words, with the numbers of this run, and its name in the question."""
    asked = plan(action, state(status), counts)
    assert said in asked.text
    assert "run run-1?" in asked.title


@pytest.mark.parametrize(
    ("action", "status", "why"),
    [
        ("cancel", "done", "has ended already (done): there is nothing to cancel"),
        ("cancel", "failed", "has ended already"),
        ("resume", "done", "there is nothing to go on with"),
        ("resume", "running", "goes on already"),
        ("fork", "done", "choose the step first"),
    ],
)
def test_what_makes_no_sense_is_told(action: ActionName, status: str, why: str) -> None:
    """Before anybody is asked to confirm it."""
    with pytest.raises(UsageError) as told:
        plan(action, state(status), Counts(0, 1, 0))
    assert why in str(told.value)


def test_a_fork_names_its_step() -> None:
    """Also of a run that is done."""
    assert plan("fork", state("done"), Counts(0, 1, 0), StepId("gate#1")).title == "Fork run run-1 at gate#1?"


def test_a_tail_is_whole_lines(tmp_path: Path) -> None:
    """Never more than asked for, nothing of what stood there before, and nothing of a file that is gone."""
    log = tmp_path / "log"
    log.write_text("before\nöne\ntwo\nthree\n")
    assert tail(log, 8) == "three\n"
    assert tail(log, 100, len("before\n")) == "öne\ntwo\nthree\n"
    assert tail(tmp_path / "none") == ""


# -- doing it --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the program."""
    (tmp_path / "report.py").write_text(dedent(PROGRAM))
    return tmp_path


@pytest.fixture
async def journal(folder: Path) -> AsyncIterator[Journal]:
    """The journal of that folder."""
    async with Journal(folder / "runs.db") as made:
        yield made
        await settled()


def ran(folder: Path) -> RunId:
    """The program runs to its end, good or bad; its id."""
    words = ("run", str(folder / "report.py"), "--json", "--no-ask", "--journal", str(folder / "runs.db"))
    done = subprocess.run([sys.executable, "-m", "agentrt", *words], capture_output=True, text=True, check=False)
    return RunId(json.loads(done.stdout)["run_id"])


def starts(folder: Path) -> Any:
    """The program in the background."""
    words = ["run", str(folder / "report.py"), "--no-ask"]
    return begin(words, journal=str(folder / "runs.db"), log=folder / "started.log")


@pytest.fixture
def actions(journal: Journal, folder: Path) -> Actions:
    """What can be done with its runs."""
    return Actions(journal, str(folder / "runs.db"), folder=folder / "state", new_id=lambda: RunId("fork-1"))


async def running(journal: Journal) -> RunId:
    """The run that goes on, as soon as one does."""
    while True:
        async with journal.connect() as connection:
            rows = await archive.list_runs(connection, status="running")
            if rows and await archive.last_seq(connection, rows[0].id) and rows[0].owner:
                return rows[0].id
        await asyncio.sleep(0.02)  # another process tells nobody but the journal


async def test_a_failed_run_is_resumed_in_the_background(folder: Path, actions: Actions) -> None:
    """What was done is not done again, and its end is told; a failure with its error, and where its log is."""
    (folder / "fail").touch()
    run = ran(folder)
    told = await resumed(actions.resume(run), run)
    assert told.severity == "error"
    assert "the gate is shut" in told.text
    assert str(folder / "state" / f"{run}.log") in told.text
    (folder / "fail").unlink()
    assert await resumed(actions.resume(run), run) == (f"run {run} is done", "information")
    assert (folder / "notes").read_text() == "first\n"
    assert "already" not in tail(folder / "state" / f"{run}.log")


async def test_an_old_complaint_is_not_told_again(folder: Path, journal: Journal, actions: Actions) -> None:
    """Of a log that others wrote before only what is new counts."""
    (folder / "state").mkdir()
    (folder / "state" / "nothing.log").write_text("agentrt: an old complaint\n")
    background = actions.resume(RunId("nothing"))
    assert await background.ended() == 1
    assert background.complaint().startswith("there is no journal")
    assert "an old" not in background.tail()


async def test_a_running_run_is_cancelled(folder: Path, journal: Journal, actions: Actions) -> None:
    """In the process that has it; cancelled a second time, it is told that it has ended."""
    (folder / "wait").touch()
    background = starts(folder)
    run = await running(journal)
    assert await actions.cancel(run) == (f"run {run} is cancelled", "information")
    assert await background.ended() == 130
    assert await actions.cancel(run) == (f"run {run} had ended already: cancelled", "warning")


async def test_a_fork_keeps_what_did_not_depend_on_its_step(folder: Path, journal: Journal, actions: Actions) -> None:
    """The new run has its name, and goes on from there; a step that is not there is told."""
    run = ran(folder)
    assert await actions.fork(run, StepId("gate#1")) == "fork-1"
    recording = await keeping.read(journal, "fork-1")
    assert set(recording.steps) == {"first#1"}
    assert recording.run.origin == f"{run} at gate#1"
    assert (await resumed(actions.resume(RunId("fork-1")), RunId("fork-1"))).text == "run fork-1 is done"
    assert (folder / "notes").read_text() == "first\n"
    with pytest.raises(UsageError) as told:
        await actions.fork(run, StepId("nothing#1"))
    assert "no step 'nothing#1'" in in_words(told.value)
    with pytest.raises(NoSuchRun):
        await actions.cancel(RunId("nothing"))


async def test_read_only_does_nothing(folder: Path, journal: Journal) -> None:
    """Whatever is tried says that the view is read-only, and the journal stays as it is."""
    run = ran(folder)
    actions = Actions(journal, str(journal), readonly=READ_ONLY)
    before = await keeping.read(journal, run)
    for attempt in (actions.cancel(run), actions.fork(run, None), actions.answer(None, "yes")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="read-only"):
            await attempt
    with pytest.raises(UsageError, match="read-only"):
        actions.resume(run)
    assert (await keeping.read(journal, run)).entries == before.entries


@pytest.mark.parametrize(
    ("code", "said", "severity"),
    [
        (DONE, "run run-1 is done", "information"),
        (WAITING, "run run-1 waits for people", "warning"),
        (CANCELLED, "run run-1 was cancelled", "warning"),
        (FAILED, "run run-1 could not be brought to its end: the gate is shut (its output: ", "error"),
        (BUG, "run run-1 could not be brought to its end: the gate is shut (its output: ", "error"),
    ],
)
async def test_how_a_run_in_the_background_ended_is_told(tmp_path: Path, code: int, said: str, severity: str) -> None:
    """By the exit codes of the commands, with the last complaint of one that failed."""
    log = tmp_path / "log"
    log.write_text("something\nagentrt: the gate is shut\n")
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    told = await resumed(Background(process, log, 0), RunId("run-1"))
    assert told.text.startswith(said)
    assert told.severity == severity


# -- with the keys ---------------------------------------------------------------------------------------------------


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Until it holds; the test's time limit ends what never does."""
    while not holds():
        await pilot.pause(0.02)


def notices(app: ActingApp) -> str:
    """What the person has been told."""
    return "\n".join(notice.message for notice in app._notifications)


def app_on(journal: Journal, **more: Any) -> ActingApp:
    """The app on the list of runs."""
    return ActingApp(journal, named=str(journal), **more)


async def listed(app: ActingApp, pilot: Pilot[Any]) -> None:
    """Until the runs are listed."""
    await until(pilot, lambda: app.screen.query(RunsPane) and app.screen.query_one(RunsPane).shown)


async def test_nothing_is_done_without_a_yes(folder: Path, journal: Journal) -> None:
    """Enter, n and esc change nothing; y cancels the run under the cursor, and what came of it is told."""
    (folder / "wait").touch()
    background = starts(folder)
    run = await running(journal)
    app = app_on(journal)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        for key in ("enter", "n", "escape", "q"):
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            assert isinstance(app.focused, Button)
            assert app.focused.id == "nothing"
            assert f"Cancel run {run}?" in str(app.screen.query(Static).first().content)
            await pilot.press(key)
            await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
        assert background.code is None
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "is cancelled" in notices(app))
    assert await background.ended() == 130


@pytest.mark.parametrize("key", ["c", "r"])
async def test_what_fails_is_a_notice(folder: Path, journal: Journal, key: str) -> None:
    """A run that is deleted while it is asked what to do with it: the error is told, and the screens go on."""
    (folder / "fail").touch()
    run = ran(folder)
    app = app_on(journal)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        if key == "c":  # one that has ended is not asked about
            async with journal.connect(write=True) as connection:
                await archive.change_run(connection, RunChange("waiting", 1.0, None, None, run))
            await until(pilot, lambda: app.screen.query_one(RunsPane).shown[0].state.status == "waiting")
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        async with journal.connect(write=True) as connection:
            await archive.delete_runs(connection, [run])
        await pilot.press("y")
        await until(pilot, lambda: f"no run '{run}'" in notices(app))
        assert not app._exit


async def test_what_makes_no_sense_now_is_a_notice(folder: Path, journal: Journal) -> None:
    """No question is asked about it."""
    ran(folder)
    app = app_on(journal)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        for key, why in (("c", "has ended already (done)"), ("r", "is done"), ("f", "choose the step first")):
            await pilot.press(key)
            await until(pilot, lambda why=why: why in notices(app))
            assert not isinstance(app.screen, ConfirmScreen)


async def test_keys_say_that_the_view_is_read_only(folder: Path, journal: Journal) -> None:
    """Every one that would change something."""
    ran(folder)
    app = app_on(journal, readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        for number, key in enumerate("crf", start=1):
            await pilot.press(key)
            await until(pilot, lambda number=number: notices(app).count("read-only") == number)


async def test_an_empty_list_has_nothing_to_act_on(journal: Journal) -> None:
    """It is told to choose a run."""
    app = app_on(journal)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: "choose a run first" in notices(app))


async def test_a_run_is_forked_and_run(folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key does both; its end is told, too."""
    monkeypatch.setenv("AGENTRT_HOME", str(folder / "home"))
    (folder / "fail").touch()
    ran(folder)
    (folder / "fail").unlink()
    app = app_on(journal)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("r")
        await until(pilot, lambda: "is a fork of" in notices(app))  # which goes by itself after some seconds
        await until(pilot, lambda: " is done" in notices(app))
    async with journal.connect() as connection:
        assert [row.status for row in await archive.list_runs(connection)] == ["done", "failed"]
