"""The command line on a terminal: a pseudo-terminal of a size, and what is left on it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrt.testing.script import say
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import environment


def on_terminal(folder: Path, *words: str, stdout: int | None = None, env: dict[str, str] | None = None) -> str:
    """Everything a command writes to an 80x24 terminal, control codes included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrt", *words],
        cwd=folder,
        env=environment({"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(env or {})}),
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # how a pseudo-terminal says that its other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def test_a_run_is_drawn_and_its_output_follows(report: Path) -> None:
    """On a terminal: the live picture, the program's prints above it, the summary, and last the output."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        seen = on_terminal(report.parent, "run", "report.py", "-i", "topic=otters", "--engine", server.url)
    for said in ("printed by a tool", "report(topic='otters')", "writer#2", "critical path", "\x1b[32m"):
        assert said in seen
    assert seen.replace("\r\n", "\n").endswith("\n\nOtters swim. | Otters swim.\n")
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "the cursor is shown again"


def test_no_color_is_honoured(report: Path) -> None:
    """With NO_COLOR set no colour is written, the picture stays."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        words = ("run", "report.py", "-i", "topic=otters", "--engine", server.url)
        seen = on_terminal(report.parent, *words, env={"NO_COLOR": "1"})
    assert "writer#2" in seen
    assert not any(f"\x1b[{code}m" in seen for code in (31, 32, 33, 36))


def test_a_dumb_terminal_gets_plain_lines(report: Path) -> None:
    """TERM=dumb can move no cursor: plain lines, no control codes."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        words = ("run", "report.py", "-i", "topic=otters", "--engine", server.url)
        seen = on_terminal(report.parent, *words, env={"TERM": "dumb"})
    assert "writer#2 started" in seen
    assert "\x1b" not in seen


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_piped_output_still_shows_the_run(report: Path, tmp_path: Path, extra: list[str]) -> None:
    """With only standard output redirected, the picture is on the terminal and the result in the file."""
    with (
        ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server,
        (tmp_path / "out").open("w") as out,
    ):
        words = ("run", "report.py", "-i", "topic=otters", "--engine", server.url, *extra)
        seen = on_terminal(report.parent, *words, stdout=out.fileno())
    assert "writer#2" in seen
    assert "\x1b[?25h" in seen
    text = (tmp_path / "out").read_text()
    assert "Otters swim. | Otters swim." in text
    assert "\x1b" not in text
    assert text.count("\n") == 1


def test_what_many_steps_print_does_not_tear_the_picture(write: Callable[[str, str], Path]) -> None:
    """Prints of a running program are whole lines above the picture."""
    path = write(
        "loud.py",
        """
        from agentrt import program, step

        @step
        async def shout(number: int) -> int:
            print(f"<shout {number}>")
            return number

        @program
        async def loud() -> int:
            return sum([await one for one in [shout(n) for n in range(200)]])
        """,
    )
    seen = on_terminal(path.parent, "run", "loud.py")
    assert all(f"<shout {number}>\r\n" in seen for number in range(200))
    assert "shout x200" in seen
