"""How far it is, told as lines and as a bar."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.live import Live

from agentrt.benchmarks.harness.entries import Entry
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.progress import Bar, Lines, progress_on
from tests.benchmarks.harness.samples import outcome

ENTRIES = [Entry(f"e{number}", "c") for number in range(10)]


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def lines(path: Path, hand: Hand) -> tuple[Lines, StringIO]:
    """A line at most every ten seconds."""
    stream = StringIO()
    return Lines(Folder(path), stream, clock=hand), stream


def test_where_to_watch_is_said_first(tmp_path: Path) -> None:
    """With how many there are, how many were finished before, and the command."""
    told, stream = lines(tmp_path / "my runs", Hand())
    told.expects(ENTRIES, {"e0": outcome("e0"), "other": outcome("other")})
    first, second = stream.getvalue().splitlines()
    assert first == f"10 entries into '{tmp_path}/my runs', 1 of them finished before"
    assert second == f"to watch: agentrt watch --journal '{tmp_path}/my runs/runs.db'"


def test_what_never_began_is_not_gone_on_with(tmp_path: Path) -> None:
    """A mistake in the options is no benchmark that was broken off."""
    told, stream = lines(tmp_path, Hand())
    told.broken_off()
    assert stream.getvalue() == ""


def test_lines_come_now_and_then(tmp_path: Path) -> None:
    """Not for each entry, but for the last; with what failed, what passed, and how long it will take by those done."""
    hand = Hand()
    told, stream = lines(tmp_path, hand)
    told.expects(ENTRIES, {"e0": outcome("e0")})
    for number, entry in enumerate(ENTRIES[1:], start=1):
        told.begun(entry)
        hand.now += 4
        told.ended(outcome(entry.id, status="failed" if number == 2 else "done"))
        told.judged(entry.id, number % 2 == 1)
    said = stream.getvalue().splitlines()[2:]
    assert said == [
        "4 of 10, 1 of 2 judged passed, 1 failed, 12 s, about 24 s left",
        "7 of 10, 3 of 5 judged passed, 1 failed, 24 s, about 12 s left",
        "10 of 10, 4 of 8 judged passed, 1 failed, 36 s",
    ]


def test_what_is_finished_is_not_said_to_begin(tmp_path: Path) -> None:
    """A folder with all in it says how to run them again."""
    told, stream = lines(tmp_path, Hand())
    told.expects(ENTRIES[:1], {"e0": outcome("e0")})
    assert stream.getvalue() == (f"all 1 entries are finished in {tmp_path}; to run them again, name another --out\n")


def test_what_is_broken_off_says_how_to_go_on(tmp_path: Path) -> None:
    """The folder is named as a shell reads it."""
    told, stream = lines(tmp_path, Hand())
    told.expects(ENTRIES, {})
    told.broken_off()
    assert f"0 of 10 entries are finished; the same command with --out {tmp_path} goes on" in stream.getvalue()


def test_the_bar_shows_what_runs(tmp_path: Path) -> None:
    """The longest first, few of many, with their times; names are texts whatever they hold."""
    hand, stream = Hand(), StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    bar = Bar(Folder(tmp_path), Live(console=console), clock=hand)
    console.print(bar)
    assert stream.getvalue().strip() == ""
    bar.expects(ENTRIES, {})
    for entry in [Entry("[red]e", "c"), *ENTRIES[1:]]:
        bar.begun(entry)
        hand.now += 60
    stream.truncate(0)
    console.print(bar)
    shown = stream.getvalue()
    assert "10:00  [red]e" in shown
    assert "and 4 more" in shown
    assert "0 of 10, 10:00" in shown
    assert "e9" not in shown


def test_a_pipe_gets_lines(tmp_path: Path) -> None:
    """What is no terminal is not drawn on."""
    with progress_on(StringIO(), Folder(tmp_path)) as told:
        assert isinstance(told, Lines)


def test_a_terminal_is_drawn_on_and_left_clean(tmp_path: Path) -> None:
    """A bar while it lasts, and its notes above it."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with progress_on(stream, Folder(tmp_path)) as told:
        assert isinstance(told, Bar)
        told.expects(ENTRIES, {})
        told.note("[bold]a note")
    assert "[bold]a note" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()
