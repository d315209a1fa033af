"""The command line as its users have it: a process of its own, in a folder with a program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from agentrt.cli import main
from agentrt.engine.paths import ESTIMATES_VARIABLE, JOURNAL_VARIABLE

REPORT = """
    from agentrt import Agent, program, tool

    @tool
    async def search(query: str) -> list[str]:
        print("printed by a tool")
        return [f"{query} swim"]

    writer = Agent("writer", system="You write one paragraph.", retries=0)

    @program
    async def report(topic: str, sections: int = 2) -> str:
        facts = search(topic)
        parts = [writer(f"{topic} {number}", facts) for number in range(sections)]
        return " | ".join([await part for part in parts])
"""


@dataclass(frozen=True)
class Ended:
    """What is left of a command."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that says what went wrong; there must be exactly one, and no traceback."""
        assert "Traceback" not in self.err, self.err
        (line,) = [line for line in self.err.splitlines() if line.startswith("agentrt: ")]
        return line.removeprefix("agentrt: ")


Cli = Callable[..., Ended]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of ours but where state is kept; its terminal can do nothing."""
    kept = (ESTIMATES_VARIABLE, JOURNAL_VARIABLE)
    own = {
        key: value for key, value in os.environ.items() if key in kept or not key.startswith(("AGENTRT_", "NO_COLOR"))
    }
    return {**own, "TERM": "dumb", **(extra or {})}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs ``agentrt`` with the words given, in the test's folder, without a terminal."""

    def run(*words: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "agentrt", *words],
            cwd=tmp_path,
            env=environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder as this process's own, with a journal of its own in ``runs.db``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(JOURNAL_VARIABLE, str(tmp_path / "runs.db"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("AGENTRT_ENGINE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def do(here: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs ``agentrt`` with the words given inside this process, which is quicker."""

    def run(*words: str) -> Ended:
        code = main(words)
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file into the test's folder."""

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return put


@pytest.fixture
def report(write: Callable[[str, str], Path]) -> Path:
    """A program with a tool and an agent."""
    return write("report.py", REPORT)
