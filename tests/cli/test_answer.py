"""Questions to people on the command line: asked in the terminal, left open, answered from elsewhere, after a crash."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agentrt.cli import main
from agentrt.runtime.durable.inquiry import open_questions
from agentrt.store import Journal
from tests.cli.conftest import Cli, Ended, environment

DEPLOY = """
    from pathlib import Path
    from pydantic import BaseModel, field_validator
    from agentrt import approve, choose, fill, program, run, step

    def note(text: str) -> None:
        with (Path(__file__).parent / "notes").open("a") as notes:
            notes.write(text + "\\n")

    class Trip(BaseModel):
        city: str
        days: int = 3

        @field_validator("city")
        @classmethod
        def not_home(cls, city: str) -> str:
            if city == "home":
                raise ValueError("a trip leads away from home")
            return city

    @step
    async def build(branch: str) -> str:
        note(f"build {branch}")
        return f"build of {branch}"

    @step
    async def announce(what: str) -> str:
        note("announce")
        return f"announced {what}"

    @program
    async def deploy(branch: str = "main") -> str:
        built = build(branch)
        if not await approve("Deploy to production?", context=built, who="operators"):
            return "not deployed"
        return await announce(built)

    @program
    async def travel() -> str:
        town = choose("Which town?", ["Oslo", "Rome"])
        trip = await fill("Trip?", Trip)
        return f"{await town}, {trip.city} for {trip.days} days"

    if __name__ == "__main__":
        print(run(deploy).output)
"""


@pytest.fixture
def folder(write: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A folder with the programs; the journal is a file in it."""
    write("deploy.py", DEPLOY)
    return tmp_path


@pytest.fixture
def agentrt(cli: Cli, folder: Path) -> Cli:
    """The command line with a journal of the test's own."""

    def run(*words: str) -> Ended:
        return cli(*words, env={"AGENTRT_JOURNAL": str(folder / "runs.db")})

    return run


@pytest.fixture
def here(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same in this process, which saves its start; for commands that run no program."""
    monkeypatch.setenv("AGENTRT_JOURNAL", str(folder / "runs.db"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*words: str) -> Ended:
        code = main(words)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def notes(folder: Path) -> list[str]:
    """What steps have done, in order."""
    return (folder / "notes").read_text().splitlines()


@contextmanager
def live(folder: Path, *words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on while the test does other things; killed at the end at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrt", *words],
        cwd=folder,
        env=environment({"AGENTRT_JOURNAL": str(folder / "runs.db")}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


async def asked(process: subprocess.Popen[str], folder: Path, *steps: str) -> list[str]:
    """The ids of the runs that ask at these steps, as soon as all of them do."""
    async with Journal(folder / "runs.db") as journal:
        while process.poll() is None:
            found = await open_questions(journal)
            if {one.step for one in found} >= set(steps):
                return [one.run for one in found]
            await asyncio.sleep(0.05)  # another process tells nobody but the journal
    raise AssertionError(process.communicate())


# -- without a terminal ----------------------------------------------------------------------------------------------


def test_a_run_that_waits_for_people_ends_with_its_own_exit_code(agentrt: Cli, folder: Path) -> None:
    """It says what it asks and how to answer; answered it goes on, and nothing before the question runs again."""
    waits = agentrt("run", "deploy.py:deploy")
    assert waits.code == 3
    assert waits.out == ""
    assert "approve#1 asks: Deploy to production? (yes or no)" in waits.err
    run = waits.complaint.split()[1]
    assert f"agentrt runs answer {run} STEP ANSWER --resume" in waits.err
    done = agentrt("runs", "answer", run, "yes", "--resume")
    assert (done.code, done.out) == (0, "announced build of main\n")
    assert notes(folder) == ["build main", "announce"]


def test_what_is_asked_is_listed(agentrt: Cli, here: Cli) -> None:
    """Without the program: the text, what is shown with it, for whom, and the command that answers."""
    assert agentrt("run", "deploy.py:deploy").code == 3
    listed = here("runs", "questions").out
    for said in ("? Deploy to production?  (approve#1, for operators)", "| build of main", "'approve#1' yes|no"):
        assert said in listed
    (question,) = json.loads(here("runs", "questions", "last", "--json").out)
    assert question.pop("run")
    assert question == {
        "step": "approve#1",
        "form": "approve",
        "text": "Deploy to production?",
        "context": "build of main",
        "who": "operators",
    }
    assert agentrt("runs", "answer", "last", "no", "--resume").out == "not deployed\n"
    assert here("runs", "questions").out == "Nobody is asked anything\n"


def test_json_says_that_a_run_waits(agentrt: Cli) -> None:
    """For scripts the status is ``waiting``, and the step that asks is still running."""
    waits = agentrt("run", "deploy.py:deploy", "--json")
    told = json.loads(waits.out)
    assert (waits.code, told["status"], told["error"]["type"]) == (3, "waiting", "RunWaiting")
    assert {one["id"]: one["status"] for one in told["steps"]} == {"build#1": "done", "approve#1": "running"}


def test_forms_are_filled_field_by_field_or_as_json(agentrt: Cli, here: Cli) -> None:
    """What does not fit is told before anything is kept, with the field's name."""
    run = agentrt("run", "deploy.py:travel").complaint.split()[1]
    answer = ("runs", "answer", run)
    assert "2 open questions; say which one is answered" in here(*answer, "Oslo").complaint
    assert "expected 'Oslo' or 'Rome', not 'Paris'" in here(*answer, "choose#1", "Paris").complaint
    assert "days: expected integer" in here(*answer, "fill#1", "-f", "city=Oslo", "-f", "days=many").complaint
    assert "the fields of 'fill#1' are: city, days" in here(*answer, "fill#1", "-f", "town=Oslo").complaint
    assert "city: is missing" in here(*answer, "fill#1", '{"days": 2}').complaint
    assert here(*answer, "fill#1", "-f", "city=Oslo", "-f", "days=2").code == 0
    done = agentrt(*answer, "choose#1", "rome", "--resume")
    assert (done.code, done.out) == (0, "Rome, Oslo for 2 days\n")


def test_answers_that_come_to_nothing_say_why(agentrt: Cli, here: Cli) -> None:
    """A second answer, an unknown step, a run that is over, no answer at all: a usage error with what there is."""
    agentrt("run", "deploy.py:deploy")
    nobody = here("runs", "answer", "last", "nobody#1", "yes")
    assert nobody.code == 2
    assert "no open question 'nobody#1'; open are: approve#1" in nobody.complaint
    assert "give the answer, yes or no" in here("runs", "answer", "last").complaint
    assert here("runs", "answer", "last", "yes").code == 0
    second = here("runs", "answer", "last", "no")
    assert second.code == 2
    assert "has an answer already" in second.complaint
    assert agentrt("runs", "resume", "last").out == "announced build of main\n"
    assert "(done) has no open question; open are: none" in here("runs", "answer", "last", "no").complaint
    assert "answered already, with true" in here("runs", "answer", "last", "approve#1", "no").complaint


def test_without_terminal_and_journal_nobody_can_answer(agentrt: Cli) -> None:
    """The run fails at once, and names both ways out."""
    failed = agentrt("run", "deploy.py:deploy", "--no-journal")
    assert failed.code == 1
    assert "answer it in a terminal, or keep a journal" in failed.complaint


# -- processes that live and die -------------------------------------------------------------------------------------


async def test_a_process_that_waits_takes_an_answer_from_another(agentrt: Cli, folder: Path) -> None:
    """With --wait the run stays; what only its program can refuse is told to who answers as well."""
    with live(folder, "run", "deploy.py:travel", "--wait") as process:
        await asked(process, folder, "choose#1", "fill#1")
        refused = agentrt("runs", "answer", "last", "fill#1", '{"city": "home"}')
        assert refused.code == 2
        assert "a trip leads away from home" in refused.complaint
        assert "fill#1: taken" in agentrt("runs", "answer", "last", "fill#1", '{"city": "Oslo"}').err
        assert "choose#1: taken" in agentrt("runs", "answer", "last", "Rome", "--resume").err
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "Rome, Oslo for 3 days\n")


async def test_a_question_outlives_a_killed_process(agentrt: Cli, folder: Path) -> None:
    """Killed while it waits, the run still waits when it is resumed; an answer given while it is dead is taken then."""
    with live(folder, "run", "deploy.py:deploy", "--wait") as process:
        (run,) = await asked(process, folder, "approve#1")
        process.send_signal(signal.SIGKILL)
        process.wait()
    still = agentrt("runs", "resume", run)
    assert still.code == 3
    with live(folder, "runs", "resume", run, "--wait") as process:
        await asked(process, folder, "approve#1")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "Deploy to production?" in agentrt("runs", "questions", run).out
    assert "approve#1: kept" in agentrt("runs", "answer", run, "yes").err
    done = agentrt("runs", "resume", run)
    assert (done.code, done.out) == (0, "announced build of main\n")
    assert notes(folder) == ["build main", "announce"]


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 40))])
async def test_an_acknowledged_answer_is_never_lost(agentrt: Cli, folder: Path, seed: int) -> None:
    """The process that has the run is killed at some moment around the answer: a resume finds it and asks nobody."""
    with live(folder, "run", "deploy.py:deploy", "--wait") as process:
        (run,) = await asked(process, folder, "approve#1")
        answering = subprocess.Popen(
            [sys.executable, "-m", "agentrt", "runs", "answer", run, "yes"],
            cwd=folder,
            env=environment({"AGENTRT_JOURNAL": str(folder / "runs.db")}),
            stderr=subprocess.PIPE,
            text=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=random.Random(seed).uniform(0.2, 1.2))
        process.kill()
        _, told = answering.communicate(timeout=30)
        assert answering.returncode == 0, told
    assert "taken" in told or "kept" in told
    row = json.loads(agentrt("runs", "show", run, "--json").out)
    if row["status"] != "done":
        done = agentrt("runs", "resume", run)
        assert (done.code, done.out) == (0, "announced build of main\n")
    assert notes(folder)[0] == "build main"
    assert notes(folder).count("build main") == 1


# -- in a terminal ---------------------------------------------------------------------------------------------------


class Typist:
    """A command in a terminal of its own, and somebody who types when it is their turn."""

    def __init__(self, folder: Path, *words: str, env: dict[str, str] | None = None, module: str = "agentrt") -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=folder,
            env=environment(
                {
                    "TERM": "xterm-256color",
                    "PYTHONIOENCODING": "utf-8",
                    "NO_COLOR": "1",
                    "AGENTRT_JOURNAL": str(folder / "runs.db"),
                    **(env or {}),
                }
            ),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        self.seen = ""
        self._read = 0

    def close(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()
            self.ends()

    def until(self, said: str) -> None:
        """Read on until the terminal shows this, after what was waited for before."""
        while said not in self.seen[self._read :]:
            self.seen += os.read(self._ours, 65536).decode()
        self._read = self.seen.index(said, self._read) + len(said)

    def types(self, keys: str) -> None:
        """Type, as it is."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does in a terminal that is the process's own."""
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> tuple[int, str]:
        """The exit code, and what stands on standard output."""
        with suppress(OSError):  # how a pseudo-terminal says that its other end is closed
            while piece := os.read(self._ours, 65536):
                self.seen += piece.decode(errors="replace")
        os.close(self._ours)
        out, _ = self._process.communicate(timeout=30)
        return self._process.returncode, out.decode()


@pytest.fixture
def terminal(folder: Path) -> Iterator[Callable[..., Typist]]:
    """Makes terminals with a command in them."""
    made: list[Typist] = []

    def make(*words: str, **more: Any) -> Typist:
        made.append(Typist(folder, *words, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


Terminal = Callable[..., Typist]


def test_a_question_is_asked_in_the_terminal(terminal: Terminal, folder: Path) -> None:
    """With what goes with it, again until the answer fits; the picture of the run steps aside and comes back."""
    typist = terminal("run", "deploy.py:deploy")
    typist.until("yes or no: ")
    assert "? Deploy to production?  (approve#1, for operators)" in typist.seen
    assert "| build of main" in typist.seen
    typist.types("perhaps\n")
    typist.until("expected yes or no, not 'perhaps'")
    typist.until("yes or no: ")
    typist.types("y\n")
    assert typist.ends() == (0, "announced build of main\n")
    assert "announce#1" in typist.seen, "the picture came back"
    assert notes(folder) == ["build main", "announce"]


def test_a_program_without_the_command_line_asks_in_its_terminal_too(terminal: Terminal) -> None:
    """``agentrt.run`` keeps no journal, so there is nobody else to ask."""
    typist = terminal(module="deploy")
    typist.until("? Deploy to production?")
    typist.until("yes or no: ")
    typist.types("no\n")
    assert typist.ends() == (0, "not deployed\n")


def test_choices_and_forms_are_asked_in_the_terminal(terminal: Terminal) -> None:
    """One question after the other; a choice by its number, a form field by field with its defaults."""
    typist = terminal("run", "deploy.py:travel", env={"TERM": "dumb"})
    typist.until("2. Rome")
    typist.until("which: ")
    typist.types("2\n")
    typist.until("city (string): ")
    typist.types("\n")
    typist.until("expected string")
    typist.types("home\n")
    typist.until("days (integer) [3]: ")
    typist.types("many\n")
    typist.until("days: expected integer")
    typist.types("\n")
    typist.until("a trip leads away from home")
    typist.until("city (string): ")
    typist.types("Oslo\n")
    typist.until("days (integer) [3]: ")
    typist.types("5\n")
    assert typist.ends() == (0, "Rome, Oslo for 5 days\n")


def test_a_question_may_be_left_open(terminal: Terminal) -> None:
    """Ctrl-D leaves it for later; --no-ask does not ask here at all; `runs answer` asks in its own terminal."""
    typist = terminal("run", "deploy.py:deploy")
    typist.until("yes or no: ")
    typist.types("\x04")
    assert typist.ends() == (3, "")
    silent = terminal("runs", "resume", "last", "--no-ask")
    assert silent.ends() == (3, "")
    assert "yes or no: " not in silent.seen
    answering = terminal("runs", "answer", "last", "--resume")
    answering.until("yes or no: ")
    answering.types("no\n")
    assert answering.ends() == (0, "not deployed\n")


def test_an_answer_from_elsewhere_takes_the_prompt_back(agentrt: Cli, terminal: Terminal) -> None:
    """Whoever is faster answers; the other is not asked any more."""
    typist = terminal("run", "deploy.py:deploy")
    typist.until("yes or no: ")
    assert "taken" in agentrt("runs", "answer", "last", "yes").err
    assert typist.ends() == (0, "announced build of main\n")


def test_ctrl_c_at_a_prompt_cancels_the_run(agentrt: Cli, terminal: Terminal, folder: Path) -> None:
    """As anywhere else; resumed, it asks again."""
    typist = terminal("run", "deploy.py:deploy")
    typist.until("yes or no: ")
    typist.interrupt()
    assert typist.ends()[0] == 130
    resumed = agentrt("runs", "resume", "last")
    assert resumed.code == 3
    assert notes(folder) == ["build main"]
