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
