"""One process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agentrt.engine.locks import locked
from agentrt.engine.progress import Silent

HOLDER = """
import sys, subprocess
from pathlib import Path
from agentrt.engine.locks import locked
from agentrt.engine.progress import Silent
with locked(Path(sys.argv[1]), "holding on", Silent()) as lock:
    if len(sys.argv) > 2:
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], pass_fds=(lock,))
    print("held", flush=True)
    sys.stdin.read()
"""


class Waiting(Silent):
    """Lets the holder go when it hears that somebody waits."""

    def __init__(self, holder: subprocess.Popen[str], how: str) -> None:
        self.holder = holder
        self.how = how
        self.titles: list[str] = []

    def step(self, title: str) -> None:
        self.titles.append(title)
        if self.how == "kill":
            self.holder.kill()
        else:
            assert self.holder.stdin is not None
            self.holder.stdin.close()


def holding(path: Path, *more: str) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input closes."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    """The waiting process names the holder's pid and purpose, and gets the lock when it is free."""
    path = tmp_path / "it.lock"
    with holding(path) as holder:
        told = Waiting(holder, "close")
        with locked(path, "next", told):
            assert told.titles == [f"Waiting: process {holder.pid} is holding on"]


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """The lock goes away with the process, however it ends."""
    path = tmp_path / "it.lock"
    with holding(path) as holder, locked(path, "next", Waiting(holder, "kill")):
        assert path.read_text().endswith("is next")


def test_a_child_that_goes_on_keeps_the_lock(tmp_path: Path) -> None:
    """While a download outlives its killed parent, nobody else writes into the same folder."""
    path = tmp_path / "it.lock"
    with holding(path, "child") as holder:
        holder.kill()
        holder.wait()
        told = Waiting(holder, "close")  # the child reads the same standard input
        with locked(path, "next", told):
            assert told.titles
