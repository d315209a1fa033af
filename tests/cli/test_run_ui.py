"""``agentrt run --ui`` in a terminal: the run is a process of its own, and the command ends as the run does."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from agentrt.cli.parser import build_parser
from agentrt.cli.run_ui import words
from agentrt.store import Journal, archive
from agentrt.types import RunId
from tests.cli.conftest import Cli, environment

PROGRAM = """
    import asyncio, time
    from pathlib import Path
    from agentrt import approve, program, step

    HERE = Path(__file__).parent
    print("loading the otters", flush=True)
    while (HERE / "loading").exists():
        time.sleep(0.02)

    @step
    async def work() -> str:
        print("working hard")
        while (HERE / "wait").exists():
            await asyncio.sleep(0.02)
        if (HERE / "fail").exists():
            raise ValueError("no fish")
        return "worked"

    @program
    async def report(topic: str = "otters") -> str:
        return f"{topic}: {await work()}"

    @program
    async def deploy() -> str:
        return "deployed" if await approve("Deploy?") else "left as it is"
"""


class Terminal:
    """A command in a 100x30 terminal; what is seen of it is everything that was ever written there."""

    def __init__(self, folder: Path, *words: str, env: dict[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentrt", *words],
            cwd=folder,
            env=environment(
                {
                    "TERM": "xterm-256color",
                    "PYTHONIOENCODING": "utf-8",
                    "AGENTRT_HOME": str(folder / "home"),
                    "AGENTRT_JOURNAL": str(folder / "runs.db"),
                    **(env or {}),
                }
            ),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def until(self, said: str) -> None:
        """Read on until this was shown, and look only at what comes after it from then on."""
        while said not in self.seen:
            try:
                self.seen += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended without showing {said!r}: {self.seen[-3000:]}") from None
        self.seen = self.seen.partition(said)[2]

    def types(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def ends(self) -> tuple[int, str]:
        """The exit code, and standard output."""
        with suppress(OSError):  # how a pseudo-terminal says that its other end is closed
            while piece := os.read(self._ours, 65536):
                self.seen += piece.decode(errors="replace")
        self.seen = self.seen.replace("\r\n", "\n")
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode()

    def close(self) -> None:
        """Be gone, whatever it does."""
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)


Open = Callable[..., Terminal]


@pytest.fixture
def folder(write: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A folder with the programs."""
    write("report.py", PROGRAM)
    return tmp_path


@pytest.fixture
def terminal(folder: Path) -> Iterator[Open]:
    """Opens terminals with ``agentrt run ... --ui`` in them; no run goes on after the test."""
    made: list[Terminal] = []

    def make(*words: str, **more: Any) -> Terminal:
        made.append(Terminal(folder, "run", *words, "--ui", **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
    if (folder / "runs.db").exists():  # what a test that failed has left running
        having_runs = "SELECT pid FROM agentrt_owners AS one JOIN agentrt_runs ON owner = one.id"
        with closing(sqlite3.connect(folder / "runs.db")) as journal:
            for (number,) in journal.execute(having_runs):
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


async def status(folder: Path, *wanted: str) -> str:
    """How the only run of the journal stands, as soon as that is one of these."""
    async with Journal(folder / "runs.db") as journal:
        while True:
            async with journal.connect() as connection:
                rows = await archive.list_runs(connection)
            if rows and rows[0].status in wanted:
                return rows[0].id
            await asyncio.sleep(0.05)  # another process tells nobody but the journal


# -- what is refused -------------------------------------------------------------------------------------------------


def test_without_a_terminal_it_says_so(cli: Cli, folder: Path) -> None:
    """A usage error that names the other way; nothing is run."""
    done = cli("run", "report.py:report", "--ui", env={"AGENTRT_JOURNAL": str(folder / "runs.db")})
    assert done.code == 2
    assert "--ui needs a terminal" in done.complaint
    assert "agentrt watch" in done.complaint
    assert not (folder / "runs.db").exists()


@pytest.mark.parametrize(
    ("words", "journal", "why"),
    [(["--no-journal"], "runs.db", "--no-journal"), ([], "off", "AGENTRT_JOURNAL=off")],
)
def test_without_a_journal_it_says_so(cli: Cli, folder: Path, words: list[str], journal: str, why: str) -> None:
    """There is nothing to watch the run by."""
    done = cli("run", "report.py:report", "--ui", *words, env={"AGENTRT_JOURNAL": journal})
    assert done.code == 2
    assert f"{why} keeps none" in done.complaint


@pytest.mark.parametrize(
    "given",
    [
        ["report.py"],
        ["report.py:report", "-i", "topic=--otters", "-i", "sections=2", "--json", "--debug"],
        [
            "p",
            "--inputs",
            "a b.json",
            "--engine",
            "http://h:1",
            "--kv",
            "none",
            "--timeout",
            "2.5",
            "--journal",
            "x.db",
        ],
    ],
)
def test_the_run_gets_the_same_options(given: list[str]) -> None:
    """Read again, they are what was given, but for what makes it a run in the background."""
    parser = build_parser()
    options = vars(parser.parse_args(["run", *given, "--ui"]))
    again = vars(parser.parse_args(words(parser.parse_args(["run", *given, "--ui"]), RunId("run-1"))))
    assert again == {**options, "ui": False, "for_ui": "run-1", "no_ask": True, "wait": True}


# -- in a terminal ---------------------------------------------------------------------------------------------------


def test_the_command_ends_as_the_run_does(terminal: Open, folder: Path) -> None:
    """A question is answered on the screen; left after the end, output, prints and summary are as without --ui.

    All of the terminal is used, though standard output is a pipe.
    """
    shown = terminal("report.py:deploy")
    shown.until("\x1b[30;")
    shown.until("Questions (1)")
    shown.types("a")
    shown.until("? Deploy?")
    shown.types("\r")
    shown.until("back to the questions")
    shown.types("y\r")
    shown.until("done")
    shown.types("q")
    assert shown.ends() == (0, "deployed\n")
    assert "loading the otters" in shown.seen
    assert " done in " in shown.seen
    assert "critical path" in shown.seen
    assert not list((folder / "home" / "state" / "runs").iterdir()), "nothing is left"


def test_a_failed_run_is_explained_and_its_json_handed_on(terminal: Open, folder: Path) -> None:
    """Its exit code is the command's; standard output holds the one JSON object."""
    (folder / "fail").touch()
    shown = terminal("report.py:report", "--json")
    shown.until("failed")
    shown.types("q")
    code, out = shown.ends()
    assert code == 1
    assert json.loads(out)["status"] == "failed"
    assert "no fish" in shown.seen
    assert "to go on from here: agentrt runs resume" in shown.seen


def test_a_program_that_is_not_there_ends_the_screen(terminal: Open) -> None:
    """Nobody has to leave it: the error and its exit code are the command's."""
    shown = terminal("nope.py")
    code, out = shown.ends()
    assert (code, out) == (2, "")
    assert shown.seen.count("agentrt: ") == 1
    assert "nope.py" in shown.seen.rpartition("agentrt: ")[2]


async def test_its_start_is_shown_and_it_can_be_kept(terminal: Open, folder: Path) -> None:
    """What it says before it begins stands in the head; Ctrl-C is for the screen; kept, it goes on to its end."""
    (folder / "loading").touch()
    (folder / "wait").touch()
    shown = terminal("report.py:report", "-i", "topic=seals")
    shown.until("starting: loading the otters")
    (folder / "loading").unlink()
    shown.until("work#1")
    shown.types("\x03")
    shown.types("q")
    shown.until("Keep it running")
    shown.types("k")
    assert shown.ends() == (0, "")
    run = await status(folder, "running")
    assert f"run {run} goes on in the background" in shown.seen
    assert f"agentrt watch {run}" in shown.seen
    (folder / "wait").unlink()
    await status(folder, "done")


def test_leaving_can_cancel_the_run(terminal: Open, folder: Path) -> None:
    """Staying is what happens otherwise; cancelled, the command ends like one that was stopped with Ctrl-C."""
    (folder / "wait").touch()
    shown = terminal("report.py:report")
    shown.until("work#1")
    shown.types("q")
    shown.until("Cancel it (c)")
    shown.types("\x1b")
    shown.until("work#1")
    shown.types("q")
    shown.until("Cancel it (c)")
    shown.types("c")
    assert shown.ends() == (130, "")
    assert "was cancelled: Ctrl-C" in shown.seen
    assert "to go on from here: agentrt runs resume" in shown.seen


async def test_a_screen_that_is_killed_does_not_touch_the_run(terminal: Open, folder: Path) -> None:
    """It goes on to its end, though nobody reads what it writes."""
    (folder / "wait").touch()
    shown = terminal("report.py:report")
    shown.until("work#1")
    os.killpg(shown.process.pid, signal.SIGKILL)
    await status(folder, "running")
    (folder / "wait").unlink()
    await status(folder, "done")
