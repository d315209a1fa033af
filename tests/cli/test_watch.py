"""``agentrt watch``: the screens where there is a terminal, lines where there is none, and errors before both."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, environment
from tests.cli.journalled import PROGRAMS

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def programs(here: Path, write: Write) -> Path:
    """The programs, in the folder of the test."""
    return write("report.py", PROGRAMS)


def test_without_a_terminal_the_list_is_printed(do: Cli) -> None:
    """In a pipe it is what `agentrt runs list` prints, as JSON too."""
    do("run", "report.py", "-i", "topic=otters")
    assert do("watch").out == do("runs", "list").out
    assert json.loads(do("watch", "--json").out) == json.loads(do("runs", "list", "--json").out)


def test_without_a_terminal_what_happened_is_printed(do: Cli) -> None:
    """In a pipe it is what `agentrt runs events --follow` prints, as JSON too, to the end of the run."""
    do("run", "report.py", "-i", "topic=otters")
    for more in ((), ("--plain",), ("--json",)):
        json_too = tuple(one for one in more if one == "--json")
        assert do("watch", "last", *more).out == do("runs", "events", "last", "--follow", *json_too).out != ""


def test_without_a_terminal_a_recording_is_printed_too(do: Cli, here: Path) -> None:
    """It says what the run that was recorded says; a damaged one is named, with the line."""
    do("run", "report.py", "-i", "topic=otters")
    do("export", "last", "-o", "sent.jsonl")
    for json_too in ((), ("--json",)):
        assert do("watch", "sent.jsonl", *json_too).out == do("runs", "events", "last", *json_too).out != ""
    (here / "sent.jsonl").write_text("{}\n")
    assert "sent.jsonl, line 1: expected" in do("watch", "sent.jsonl").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "the journal holds no run 'nothing'; `agentrt runs list` shows those it holds"),
        (("last", "--replay", "2"), "--replay needs a terminal"),
        (("last", "--replay", "fast"), "'fast': expected a number above 0, 1000 at most; 1 is as it happened"),
        (("last", "--replay", "0"), "'0': expected a number above 0"),
        (("last", "--theme", "pink"), "invalid choice: 'pink'"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(do: Cli, words: tuple[str, ...], said: str) -> None:
    """The line names the value, what was expected, and the way out."""
    do("run", "report.py", "-i", "topic=otters")
    ended = do("watch", *words)
    assert ended.code != 0
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_before_the_first_run_it_says_how_to_make_one(do: Cli) -> None:
    """A journal that is not there yet is named, with the command that makes it."""
    ended = do("watch", "last")
    assert ended.code != 0
    assert "`agentrt run` makes it" in ended.err


def test_a_terminal_that_is_gone_ends_it(do: Cli, here: Path) -> None:
    """Nobody has to send it a signal: drawing for nobody would go on for ever."""
    do("run", "report.py", "-i", "topic=otters")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    watcher = subprocess.Popen(
        [sys.executable, "-m", "agentrt", "watch"],
        cwd=here,
        env=environment({"TERM": "xterm-256color"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while b"report" not in seen:
        seen += os.read(ours, 65536)
    os.close(ours)
    assert watcher.wait(60) == 0
