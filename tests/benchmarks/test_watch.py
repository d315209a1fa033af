"""The benchmark of watching: a real terminal, a real run, and what is said of them. No figure is tested."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentrt.benchmarks.overhead.sheet import markdown
from agentrt.benchmarks.watch import measures
from agentrt.benchmarks.watch.measures import FIRST, Arm, Key, Paint, Quarter, Watch, press, quarters, shown
from agentrt.benchmarks.watch.programs import ROWS, STEPS, Pace
from agentrt.benchmarks.watch.scene import RunDied, Scene
from agentrt.benchmarks.watch.sheet import Findings, as_json, percentile, ratio, remarks, sheet
from agentrt.benchmarks.watch.terminal import Load, NotShown, Terminal
from agentrt.cli import main

ECHO = """
import sys, termios, tty
tty.setcbreak(0)
print("\\x1b[1mready\\x1b[0m", flush=True)
while (key := sys.stdin.read(1)) != "q":
    print(f"<{key if key != 'w' else sum(range(10_000_000))}>" if key != "s" else "silence", flush=True)
"""


def echo() -> Terminal:
    """A program that answers each key but ``s``, works hard for ``w``, and ends with ``q``."""
    return Terminal([sys.executable, "-c", ECHO], 80, 24)


def quiet(_: str) -> None:
    """Nobody listens."""


# -- the terminal ----------------------------------------------------------------------------------------------------


def test_a_key_is_answered_by_what_comes_after_it() -> None:
    """What was drawn before a key is no answer to it, and an answer has a time after the key's."""
    with echo() as terminal:
        assert terminal.until(rb"ready") > terminal.began
        at = terminal.send(b"a")
        assert terminal.until(rb"<a>") > at
        terminal.send(b"b")
        terminal.until(rb"<b>")
        with pytest.raises(NotShown, match=r"b'<a>' was not drawn.*was running, and drew last: .*<b>"):
            terminal.until(rb"<a>", 0.05)


def test_a_program_that_ends_is_not_waited_for() -> None:
    """Who waits for what does not come any more is told at once, with the last words."""
    with echo() as terminal:
        terminal.until(rb"ready")
        terminal.send(b"q")
        with pytest.raises(NotShown, match="had ended"):
            terminal.until(rb"never")


def test_load_is_read_from_the_system() -> None:
    """CPU and memory are those of the program in the terminal."""
    with echo() as terminal:
        terminal.until(rb"ready")
        before = terminal.load()
        terminal.send(b"w")
        terminal.until(rb"<49999995000000>")
        after = terminal.load()
    assert after.cpu > before.cpu
    assert after.at > before.at
    assert 2**20 < after.resident < 2**30


def test_a_key_without_an_answer_is_missed() -> None:
    """A press that nothing answers within a second counts as missed, and has no time."""
    with echo() as terminal:
        terminal.until(rb"ready")
        key = press(terminal, Key("s", "says nothing", [], 0), rb"<s>")
        key = press(terminal, key._replace(name="a"), rb"<a>")
    assert key.missed == 1
    assert len(key.seconds) == 1


def test_a_tab_that_is_shown_is_told_from_one_that_is_not() -> None:
    """The pattern of a screen fits its bold name only, and not what is bold before it."""
    assert re.search(shown(b"2"), b"\x1b[1;38;2;1;2;3m2 Graph\x1b[0m")
    assert not re.search(shown(b"2"), b"\x1b[38;2;1;2;3m2 Graph\x1b[0m")
    assert not re.search(shown(b"2"), b"\x1b[1;38;2;1;2;3m1 Runs\x1b[0m\x1b[38;2;1;2;3m2 Graph")


# -- the real thing, small -------------------------------------------------------------------------------------------


def test_a_run_is_watched_in_a_real_terminal() -> None:
    """A real run of some chapters is watched from its start to its end, and its journal counted."""
    with Scene() as scene:
        found = measures.watch(scene, "log", 20, 100 * ROWS, quiet)
        again = measures.notice(scene, 1, 1, 0.0, quiet)
    assert found.steps == 20 * STEPS
    assert found.rows * found.seconds > 15 * ROWS
    assert len(found.quarters) == 4
    assert all(quarter.resident > 2**20 for quarter in found.quarters)
    assert [arm.name for arm in again] == ["alone", "alone again", "watched"]
    assert all(arm.cpu[0] > 0 for arm in again)


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A small part of it from the command line to its JSON."""
    assert main(["bench", "watch", "--parts", "paint", "--rounds", "1", "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert len(data["paint"]["text"]) == 1
    assert data["paint"]["picture"][0] >= data["paint"]["text"][0] > 0
    assert data["keys"] == []


def test_a_run_that_dies_is_told(tmp_path: Path) -> None:
    """A run whose process cannot do its work is an error with its last words, and no figure."""
    with Scene() as scene:
        scene.journal = str(tmp_path)
        with pytest.raises(RunDied, match="ended before its time"):
            scene.subject(1, 0.0).__enter__()


async def test_a_pace_is_kept() -> None:
    """A program is held back to so many rows a second, by what is left to the next of them; 0 holds nothing back."""
    times = iter([0.0, 10.0, 20.0, 20.0])
    await Pace(ROWS, lambda: next(times)).next()
    await Pace(0.0, lambda: next(times)).next()


def test_help_needs_nothing_heavy() -> None:
    """Importing the command, as ``--help`` does, imports neither textual nor sqlalchemy nor rich."""
    code = (
        "import sys; import agentrt.benchmarks.watch; "
        "print(sorted({'rich', 'textual', 'sqlalchemy', 'httpx', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- what is said of it ----------------------------------------------------------------------------------------------


def findings(share: float = 0.1, key: float = 0.02, first: float = 0.5, watched: float = 1.0) -> Findings:
    """Everything, with figures that all look the same."""
    fourth = Quarter(share, 80 * 2**20)
    arms = [Arm("alone", [1.0, 1.001], [2.0, 2.0]), Arm("alone again", [1.0, 1.0], [2.0, 2.0])]
    return Findings(
        Paint([first] * 3, [first + 0.1] * 3),
        [Watch("graph", 10_000, 500.0, 50.0, (fourth,) * 4, share)],
        [Key("2", "to the graph", [key] * 20, 0)],
        {"500 events a second": [*arms, Arm("watched", [watched, watched], [2.0, 2.0])]},
    )


def test_everything_is_met_or_missed() -> None:
    """Each promise has its verdict, with the figure and the target."""
    assert remarks(findings()) == [
        "10.0% of one core on graph, target below 15%: met",
        "a key is answered in 20 ms (p95), 0 missed, target 50 ms: met",
        "first text after 0.50 s, target 1 s: met",
        "500 events a second: watched, the run takes -0.0% (-0.7% to +0.6%) CPU, target below 1%: met",
    ]
    said = remarks(findings(0.2, 0.06, 1.5, 1.1))
    assert all(line.endswith("MISSED") for line in said)


def test_what_chance_hides_is_not_called_met() -> None:
    """An interval around the target is no verdict."""
    found = findings()
    found.arms["500 events a second"][-1].cpu[:] = [1.2, 0.9]
    assert remarks(found)[-1].endswith("target below 1%: cannot be told")


def test_the_tables_stand_alone() -> None:
    """Markdown has a table for each kind of figure, the verdicts and the machine."""
    text = markdown(sheet(findings(), None))
    assert "| graph | 10,000 in 50 s | 500 | 10.0%, 80 |" in text
    assert "| 2 | to the graph | 20 | 20 | 20 | 20 | 0 |" in text
    assert "| the first text | 3 | 0.50 | 0.50 |" in text
    assert "| 500 events a second | watched | 1.00 | -0.0%" in text
    assert "python 3." in text.splitlines()[-1]
    assert json.loads(json.dumps(as_json(findings(), None)))["watches"][0]["quarters"][0]["share"] == 0.1


def test_a_ratio_has_its_interval() -> None:
    """The mean of the pairs' own ratios, and how far it may be off; one pair alone says nothing of that."""
    found = ratio([1.1, 1.1, 1.1], [1.0, 1.0, 1.0])
    assert found.value == pytest.approx(1.1)
    assert (found.low, found.high) == (pytest.approx(1.1), pytest.approx(1.1))
    wide = ratio([1.0, 1.2], [1.0, 1.0])
    assert wide.low < 1.0 < 1.2 < wide.high
    assert ratio([1.0], [1.0]).high == float("inf")


def test_quarters_are_of_the_same_length() -> None:
    """CPU is that of each quarter alone, memory what was there at its end."""
    loads = [Load(number / 4, cpu, number) for number, cpu in enumerate([0.0] * 8 + [0.25 * n for n in range(9)])]
    found = quarters(loads)
    assert [quarter.share for quarter in found] == pytest.approx([0.0, 0.0, 1.0, 0.0 + 1.0])
    assert [quarter.resident for quarter in found] == [4, 8, 12, 16]


def test_percentiles_of_few_times() -> None:
    """One time is all percentiles of itself."""
    assert percentile([0.2], 95) == 0.2
    assert percentile([0.0, 0.1, 0.2], 50) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--parts", "all"], "agentrt: --parts: there is no 'all'; there are: paint, load, keys, run"),
        (["--screens", "graph,tree"], "agentrt: --screens: there is no 'tree'; there are: runs, graph, kv, log"),
        (["--rounds", "0"], "agentrt: --rounds 0: expected 1 or more"),
        (["--folder", "/nowhere/at/all"], "agentrt: --folder /nowhere/at/all: expected a folder that is there"),
    ],
)
def test_bad_options_get_one_line(options: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that cannot be used ends with status 2 and one line that names it."""
    assert main(["bench", "watch", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(expected)
    assert said.count("\n") == 1


def test_the_first_text_is_that_of_the_tabs() -> None:
    """What first paint waits for is drawn by no shell and no error."""
    assert FIRST == b"1 Runs"
