"""Output that leads nowhere: closed before the start, or on a full disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import environment

_PROGRAM = """
    from agentrt import program, step

    @step
    async def one() -> int:
        return 1

    @program
    async def main() -> int:
        return await one()
"""


def run(program: Path, words: str) -> subprocess.CompletedProcess[bytes]:
    """``agentrt run`` on the program, with redirections that a shell does."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m agentrt run {program.name} {words}', sys.executable],
        cwd=program.parent,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(("option", "begins"), [("", b"1\n"), ("--json", b'{"run_id"')])
def test_the_result_does_not_need_standard_error(
    write: Callable[[str, str], Path], redirected: str, option: str, begins: bytes
) -> None:
    """A standard error that takes nothing loses the lines about the run, not its output."""
    done = run(write("main.py", _PROGRAM), f"{option} {redirected}")
    assert done.returncode == 0
    assert done.stdout.startswith(begins)


def test_a_closed_standard_output_is_no_bug(write: Callable[[str, str], Path]) -> None:
    """Without anywhere to put its output a run still ends as it ended."""
    done = run(write("main.py", _PROGRAM), ">&-")
    assert (done.returncode, b"one#1 done" in done.stderr) == (0, True)


def test_a_closed_standard_input_is_no_terminal(write: Callable[[str, str], Path]) -> None:
    """A run that nobody can type into goes on without asking anybody."""
    assert run(write("main.py", _PROGRAM), "<&-").stdout == b"1\n"


_NOISY = """
    import atexit, os, subprocess, threading
    from agentrt import program, step

    @step
    def noisy() -> int:
        print("noise")
        os.write(1, b"noise")
        subprocess.run(["echo", "noise"])
        return 1

    @program
    async def main() -> int:
        atexit.register(print, "noise")
        threading.Thread(target=lambda: (threading.main_thread().join(), print("noise"))).start()
        return await noisy()
"""


@pytest.mark.parametrize(("option", "begins"), [("", b"1\n"), ("--json", b'{"run_id"')])
def test_what_is_printed_after_the_end_is_no_output(
    write: Callable[[str, str], Path], option: str, begins: bytes
) -> None:
    """Threads and exit handlers of the program that print later still do not reach standard output."""
    done = run(write("main.py", _NOISY), option)
    assert done.returncode == 0
    assert done.stdout.startswith(begins)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr.count(b"noise") == 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [("b'\\xff'", b'"_w=="'), ("Mute()", b'"<main.Mute object at'), ("[b'\\xff', 1]", b'["_w==", 1]')],
)
def test_whatever_a_program_gives_becomes_json(write: Callable[[str, str], Path], value: str, shown: bytes) -> None:
    """Bytes that are no text and objects whose text is broken end in the JSON, not as a bug."""
    source = f"""
    from agentrt import program

    class Mute:
        def __str__(self) -> str:
            raise ValueError

        __module__ = "main"

    @program
    async def main() -> object:
        return {value}
    """
    done = run(write("main.py", source), "--json")
    assert done.returncode == 0
    assert b'"output": ' + shown in done.stdout
