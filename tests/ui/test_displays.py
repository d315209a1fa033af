"""What a person sees: pictures that fit the terminal, plain lines, and a summary."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from agentrt import Runtime, program, step
from agentrt.events import RunEnded
from agentrt.types import Usage
from agentrt.ui.terminal.activity import Activity
from agentrt.ui.terminal.frame import Frame
from agentrt.ui.terminal.live import LiveDisplay
from agentrt.ui.terminal.plain import Plain
from agentrt.ui.terminal.summary import summary_lines
from agentrt.ui.words import called, counted, duration, one_line, share, tokens
from tests.ui.conftest import RUN, Story


def picture(story: Story, width: int, height: int, *, encoding: str = "utf-8", now: float = 2.0) -> list[str]:
    """The lines of the run's picture on a terminal of that size."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(width=width, height=height, file=file, force_terminal=True)
    return Frame(console, now).draw(story.view, Activity(lambda: 0.0)).plain.split("\n")


@pytest.fixture
def busy(story: Story) -> Story:
    """A run with something of everything."""
    story.add("search#1", kind="tool").start("search#1").end("search#1")
    story.add("plan#1").start("plan#1").end("plan#1", usage=Usage(1412, 1290, 120))
    for number in range(1, 9):
        story.add(f"write#{number}", inputs=["search#1"])
    story.start("write#1").text("write#1", "水獭 are semiaquatic mammals 🦦 " * 20)
    story.start("write#2").end("write#2", status="failed", error="ConnectionError: " + "very long " * 30)
    return story.add("edit#1", inputs=[f"write#{number}" for number in range(1, 9)])


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (120, 10), (40, 12), (12, 6), (5, 3)])
def test_a_picture_fits_its_terminal(busy: Story, width: int, height: int) -> None:
    """No line is wider than the terminal, and the cursor's line stays on it."""
    lines = picture(busy, width, height)
    assert all(cell_len(line) < width for line in lines)
    assert len(lines) <= height


def test_a_picture_shows_the_run(busy: Story) -> None:
    """Title, how far it is, tokens, and a line for each step with glyph, detail and time."""
    text = "\n".join(picture(busy, 100, 40))
    for said in (
        "report(topic='otters')",
        "3 of 11 steps, 1 running, 1 failed",
        "1,412 prompt tokens, 91% cached",
        "✓ plan#1",
        "✗ write#2",
        "· edit#1",
        "after write#1, write#3 and 5 more",
    ):
        assert said in text


def test_columns_stand_below_each_other(busy: Story) -> None:
    """Times end in one column, the last but one of the terminal."""
    lines = [line for line in picture(busy, 80, 40) if re.search(r"\d (s|ms)$", line)]
    assert len(lines) == 5
    assert {cell_len(line) for line in lines} == {79}


def test_a_terminal_without_unicode_gets_ascii(busy: Story) -> None:
    """Where the terminal knows only ASCII, our own signs are ASCII."""
    text = "\n".join(picture(busy, 80, 40, encoding="ascii"))
    own = text.translate(dict.fromkeys(map(ord, "水獭🦦")))
    assert own.isascii()
    assert "+ plan#1" in own


def test_an_ended_run_keeps_its_last_time(story: Story) -> None:
    """The last picture shows the run's own time, not that of the picture."""
    story.finish(at=1.5)
    assert picture(story, 80, 24, now=60.0)[0].endswith("1.5 s")


def test_work_beside_the_run_has_a_line(story: Story) -> None:
    """Starting an engine shows its step and how far it is; afterwards the line is gone."""
    times = iter([0.0, 10.0, 14.0, 15.0])
    next(times)
    activity = Activity(lambda: next(times))
    story.add("writer#1").start("writer#1")
    activity.step("Downloading the model")
    activity.amount(12_000_000, 98_000_000, "bytes")
    frame = Frame(Console(width=80, height=24), 2.0)
    _, _, line, _, writer, _ = frame.draw(story.view, activity).plain.split("\n")
    assert "· writer#1 waits for the engine" in writer
    assert "Downloading the model: 12 of 98 MB" in line
    assert line.endswith("4.0 s")
    activity.close()
    assert activity.total == 5.0
    assert "Downloading" not in frame.draw(story.view, activity).plain


@step
async def double(number: int) -> int:
    return 2 * number


@program
async def doubles(count: int) -> int:
    print("printed by the program")
    return sum([await double(number) for number in range(count)])


async def test_a_live_display_ends_with_the_whole_run() -> None:
    """After the run the terminal holds the last picture, what the program printed, and the summary."""
    file = io.StringIO()
    display = LiveDisplay(Console(file=file, force_terminal=True, width=80, height=24))
    async with Runtime({}, observers=[display]) as runtime:
        display.open()
        result = await runtime.run(doubles, 3)
        display.close()
    display.summarize(result)
    seen = file.getvalue()
    for said in ("printed by the program", "double#3", "done in", "3 steps"):
        assert said in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h"), "the cursor is shown again"


class Gone(io.StringIO):
    """A terminal that has been closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


async def test_a_terminal_that_is_gone_does_not_break_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """When nothing can be drawn the run goes on to its result."""
    display = LiveDisplay(Console(file=Gone(), force_terminal=True, width=80, height=24))
    async with Runtime({}, observers=[display]) as runtime:
        display.open()
        result = await runtime.run(doubles, 3)
        display.close()
    display.summarize(result)
    assert result.output == 6


def test_a_picture_that_fails_is_logged_once(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    """An error in the drawing is told once, in the log; after that nothing is drawn."""
    display = LiveDisplay(Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
    display._view.id = RUN
    display._view.program = None  # type: ignore[assignment]  # a state that no drawing expects
    display._view.inputs = None  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR, "agentrt"):
        assert display._draw().plain == ""
        assert display._draw().plain == ""
    assert [record.message for record in caplog.records] == ["the live display failed; the run goes on without it"]


def test_plain_lines_tell_each_start_and_end() -> None:
    """A line when a step starts, retries and ends; joins and the program itself are left out."""
    stream = io.StringIO()
    story = Story(Plain(stream))
    story.add("search#1", kind="tool").add("join#1", kind="join", inputs=["search#1"])
    story.start("report").start("search#1", at=0.25).retry("search#1", at=0.5, delay=0.5, error="Refused: busy")
    story.start("search#1", at=1.0, attempt=2).end("search#1", at=1.5, usage=Usage(1200, 300, 40)).end("join#1")
    story.add("b#1").end("b#1", at=2.0, status="skipped", error="step 'b#1' never started").finish(at=2.0)
    assert stream.getvalue().splitlines() == [
        "run run-1: report(topic='otters')",
        "    0.25 s  search#1 started",
        "    0.50 s  search#1 failed, again in 0.5 s: Refused: busy",
        "    1.00 s  search#1 started, attempt 2",
        "    1.50 s  search#1 done in 1.2 s: 1,200 prompt (25% cached), 40 generated tokens",
        "    2.00 s  b#1 skipped: step 'b#1' never started",
    ]


async def test_the_summary_of_a_failed_run_tells_the_first_failure() -> None:
    """What failed, what was skipped, and the story of the step that failed first."""

    @step
    async def breaks() -> int:
        raise ValueError("no")

    @program
    async def failing() -> int:
        return await double(double(breaks()))

    async with Runtime({}) as runtime:
        result = await runtime.run(failing)
    head, story = summary_lines(result)
    assert head.startswith("failed in ")
    assert "3 steps (1 failed, 2 skipped)" in head
    assert story.startswith("story: breaks#1 (python")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 ms"), (0.0424, "42 ms"), (0.1, "0.1 s"), (99.94, "99.9 s"), (99.96, "1:40"), (3661, "1:01:01")],
)
def test_durations(seconds: float, said: str) -> None:
    """Times are read at a glance, from milliseconds to hours."""
    assert duration(seconds) == said


def test_words() -> None:
    """Shares are never rounded to all or nothing; control characters never reach the terminal."""
    assert [share(1, 1000), share(999, 1000), share(1000, 1000), share(0, 5), share(0, 0)] == [
        "1%",
        "99%",
        "100%",
        "0%",
        "0%",
    ]
    assert (counted(1, "step"), counted(1200, "step")) == ("1 step", "1,200 steps")
    assert tokens(Usage()) == ""
    assert one_line("a\n\tb\x1b[2Jc") == "a b [2Jc"
    assert called("p", {"0": 1, "text": "x" * 100}) == f"p(1, text='{'x' * 56}...)"


def test_the_end_of_a_run_is_no_line_of_its_own() -> None:
    """The summary says how the run ended; the plain display does not say it twice."""
    stream = io.StringIO()
    Plain(stream)(RunEnded(RUN, 1.0, "done", None))
    assert stream.getvalue() == ""
