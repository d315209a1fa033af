"""The harness as a process: killed, stopped, and beside another one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentrt.benchmarks.harness.folder import Folder
from agentrt.testing import Asked, Reply, ScriptedServer
from tests.benchmarks.harness.test_driver import noted, told
from tests.benchmarks.harness.toy import replies

SIZE = 12
REPO = Path(__file__).parents[3]


class Assassin:
    """Answers as the toy wants it, and at one request of many sends a signal to whom it was told."""

    def __init__(self, at: int, number: signal.Signals) -> None:
        self._left = at
        self._number = number
        self.victim: int | None = None

    def __call__(self, asked: Asked) -> Reply:
        """The reply, and perhaps the signal."""
        self._left -= 1
        if self._left == 0 and self.victim is not None:
            os.kill(self.victim, self._number)
        return replies(asked)


def command(url: str, place: Path, *more: str) -> list[str]:
    """The toy's command line."""
    ledger = str(place.with_suffix(".ledger"))
    return [
        *(sys.executable, "-m", "tests.benchmarks.harness.toy", "--engine", url, "--out", str(place)),
        *("--ledger", ledger, "--size", str(SIZE), "--at-once", "3", *more),
    ]


def ended(words: list[str], started: Callable[[int], None] = lambda pid: None) -> tuple[int, str, str]:
    """Exit code and output of a process; ``started`` is told its id."""
    with subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        started(process.pid)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@contextmanager
def broken_off(place: Path, number: signal.Signals) -> Iterator[tuple[str, tuple[int, str, str]]]:
    """A server, and what is left of the toy that was sent a signal in the middle."""
    assassin = Assassin(SIZE + 3, number)
    with ScriptedServer.in_thread(assassin) as server:

        def aim(pid: int) -> None:
            assassin.victim = pid

        yield server.url, ended(command(server.url, place), aim)


def test_killed_in_the_middle_it_goes_on_to_the_same_results(tmp_path: Path) -> None:
    """After kill -9 the same command comes to the results of an undisturbed run, and repeats no finished entry."""
    place = tmp_path / "killed"
    with broken_off(place, signal.SIGKILL) as (url, (code, _, _)):
        assert code == -signal.SIGKILL
        before = Folder(place).outcomes()
        assert 0 < len(before) < SIZE
        assert ended(command(url, place))[0] == 0
        assert ended(command(url, tmp_path / "whole"))[0] == 0
    after, whole = Folder(place).outcomes(), Folder(tmp_path / "whole").outcomes()
    assert sorted(told([*after.values()])) == sorted(told([*whole.values()]))
    assert {name: after[name] for name in before} == before
    assert len((place / "results.jsonl").read_text().splitlines()) == SIZE
    times = noted(place.with_suffix(".ledger"))
    again = {line for line, number in times.items() if number > 1}
    assert not again & {f"{name.removeprefix('toy-')} {turn}" for name in before for turn in range(2)}
    assert Folder(place).verdicts() == Folder(tmp_path / "whole").verdicts()
    assert (place / "report.html").exists()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_stopped_it_says_how_to_go_on_and_does(tmp_path: Path, number: signal.Signals, name: str) -> None:
    """The first signal ends it in order: no entry that ran is finished, and none is run twice afterwards."""
    place = tmp_path / "stopped"
    with broken_off(place, number) as (url, (code, out, err)):
        assert code == 130
        assert out == ""
        assert f"the same command with --out {place} goes on" in err
        assert f"stopped by {name}" in err
        assert "Traceback" not in err
        assert 0 < len(Folder(place).outcomes()) < SIZE
        code, _, err = ended(command(url, place))
        assert (code, "of them finished before" in err) == (0, True)
    found = Folder(place).outcomes().values()
    assert [one.status for one in found] == ["done"] * SIZE
    assert set(noted(place.with_suffix(".ledger")).values()) == {1}


def test_a_folder_of_other_options_is_not_gone_on_with(tmp_path: Path) -> None:
    """The message names what differs and what it was; nothing is changed."""
    place = tmp_path / "a"
    with ScriptedServer.in_thread(replies) as server:
        assert ended(command(server.url, place))[0] == 0
        lines = (place / "bench.json").read_text()
        code, _, err = ended(command(server.url, place, "--seed", "7", "--kv", "none"))
    assert code == 2
    assert "kv: 'agentrt', now 'none'; seed: 0, now 7" in err
    assert "--out" in err
    assert (place / "bench.json").read_text() == lines


def test_two_processes_do_not_work_on_one_folder(tmp_path: Path) -> None:
    """The second one says which has it, and the first is not disturbed."""
    place = tmp_path / "a"
    heard: list[tuple[int, str, str]] = []
    pids: list[int] = []
    asks = iter(range(1_000))

    async def second(asked: Asked) -> Reply:
        if next(asks) == 0:
            heard.append(await asyncio.to_thread(ended, command(server.url, place)))
        return replies(asked)

    with ScriptedServer.in_thread(second) as server:
        code, _, _ = ended(command(server.url, place), pids.append)
    assert code == 0
    assert heard[0][0] == 2
    assert f"process {pids[0]} works on" in heard[0][2]
    assert len(Folder(place).outcomes()) == SIZE


def test_a_server_that_is_not_there_is_told_before_anything_begins(tmp_path: Path) -> None:
    """One line, and no folder."""
    code, _, err = ended(command("http://127.0.0.1:9", tmp_path / "a"))
    assert (code, err.count("\n")) == (1, 1)
    assert "127.0.0.1:9" in err
    assert not (tmp_path / "a").exists()
