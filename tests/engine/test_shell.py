"""Running installers' commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentrt.engine import process
from agentrt.engine.progress import Abandoned, Silent
from agentrt.engine.shell import CommandFailed, Shell


class Recorded(Silent):
    """Keeps what it is told; gives up after ``patience`` notes when asked to."""

    def __init__(self, patience: int | None = None) -> None:
        self.notes: list[str] = []
        self.amounts: list[tuple[int, int, str]] = []
        self.patience = patience

    def note(self, text: str) -> None:
        self.notes.append(text)

    def amount(self, done: int, total: int, unit: str) -> None:
        self.amounts.append((done, total, unit))

    def tick(self) -> None:
        if self.patience is not None and len(self.notes) >= self.patience:
            raise Abandoned


def python(program: str) -> list[str]:
    """The command line that runs a program."""
    return [sys.executable, "-c", program]


def test_what_a_command_says_is_passed_on_as_it_comes() -> None:
    """Lines become notes, pip's raw progress becomes amounts, a carriage return ends a line too."""
    told = Recorded()
    Shell(told).run(python("print('one\\rtwo\\n\\nProgress 5 of 10\\nend', end='')"))
    assert told.notes == ["one", "two", "end"]
    assert told.amounts == [(5, 10, "bytes")]


def test_a_failing_command_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """Status and tail are in the error the user sees."""
    with pytest.raises(CommandFailed) as caught:
        Shell(Silent()).run(python("import sys; print('why'); sys.exit(7)"))
    text = str(caught.value.explained("Doing it", tmp_path))
    assert "Doing it failed" in text
    assert "status 7" in text
    assert "why" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("OSError: [Errno 28] No space left on device", "is full"),
        ("failed to extract: No space left on device (os error 28)", "is full"),
        ("error: client error (Connect): dns error: failed to lookup address", "no package index can be reached"),
        ("NewConnectionError: Temporary failure in name resolution", "no package index can be reached"),
    ],
)
def test_the_world_s_usual_failures_get_their_way_out(words: str, expected: str, tmp_path: Path) -> None:
    """A full disk and a missing network are told apart from the rest."""
    error = CommandFailed(["uv"], 1, words).explained("Installing", tmp_path)
    assert expected in str(error)
    assert len(str(error).splitlines()) == 1
    assert "same command again" in str(error)


def test_giving_up_ends_the_command_and_its_children() -> None:
    """When the wait is broken off, nothing of the command's session is left."""
    told = Recorded(patience=1)
    child = "import os,subprocess,sys; subprocess.Popen([sys.executable,'-c','import signal; signal.pause()']); "
    with pytest.raises(Abandoned):
        Shell(told).run(python(child + "print(os.getpid(), flush=True); import signal; signal.pause()"))
    assert process.session_members(int(told.notes[0])) == []
