"""Questions to people in the displays of a run."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rich.console import Console

from agentrt.runtime import Question
from agentrt.runtime.terminal import converse, introduction
from agentrt.types import RunId, StepId
from agentrt.ui.terminal.activity import Activity
from agentrt.ui.terminal.frame import Frame
from agentrt.ui.terminal.live import LiveDisplay
from agentrt.ui.terminal.plain import Plain
from tests.ui.conftest import Story

ASKED = Question(
    RunId("run-1"), StepId("approve#1"), "approve", "Deploy?", context="one\ntwo", who="ops", default=False
)


def picture(story: Story) -> list[str]:
    """The lines of the run's picture."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(width=80, height=24, file=file, force_terminal=True)
    return Frame(console, 2.0).draw(story.view, Activity(lambda: 0.0)).plain.split("\n")


def test_an_open_question_has_a_mark_and_its_text(story: Story) -> None:
    """It is seen to wait for a person, not to run."""
    story.add("approve#1", kind="question").start("approve#1", attempt=2).text("approve#1", "Deploy to production?")
    (line,) = [line for line in picture(story) if "approve#1" in line]
    assert line.split()[:5] == ["?", "approve#1", "Deploy", "to", "production?"]
    story.end("approve#1")
    (line,) = [line for line in picture(story) if "approve#1" in line]
    assert line.split()[:2] == ["✓", "approve#1"]


def test_plain_lines_say_what_is_asked() -> None:
    """One line when it is asked, one when it is answered; other steps start as ever."""
    stream = io.StringIO()
    story = Story(Plain(stream)).add("approve#1", kind="question").add("search#1", kind="tool")
    story.start("approve#1").text("approve#1", "Deploy\nnow?").start("search#1").end("approve#1")
    _, *lines = stream.getvalue().splitlines()
    assert [line.split("s  ", 1)[1] for line in lines] == [
        "approve#1 asks: Deploy now?",
        "search#1 started",
        "approve#1 done in 1.0 s",
    ]


def test_the_picture_steps_aside_and_wipes_out_nothing() -> None:
    """What is written meanwhile stays: the picture goes before it, and comes back below it."""
    file = io.StringIO()
    display = LiveDisplay(Console(width=80, height=24, file=file, force_terminal=True))
    Story(display).add("approve#1", kind="question").start("approve#1")
    display.open()
    with display.aside():
        start = len(file.getvalue())
        file.write("? Deploy?\n")
    display.close()
    after = file.getvalue()[start:].partition("? Deploy?\n")[2]
    first_line = after.partition("report(")[0]
    assert "\x1b[1A" not in first_line, "no line above is wiped out"
    assert "approve#1" in after


def person(*lines: str | None) -> Callable[[], Awaitable[str | None]]:
    """Somebody who types these lines; ``None`` is Ctrl-D."""
    waiting = list(lines)

    async def read() -> str | None:
        return waiting.pop(0)

    return read


def test_a_question_is_shown_with_all_that_goes_with_it() -> None:
    """Its step, for whom, its context, until when, and without what would steer a terminal."""
    asked = replace(ASKED, form="choose", text="Which\x1b[2J?", choices=("a", "b"), context="x\n" * 100, who="")
    asked = replace(asked, until=0.0, default="b")
    shown = introduction(asked)
    assert shown[0] == "? Which?[2J?  (approve#1)"
    assert "  | ... 60 more lines" in shown
    assert shown[-3:-1] == ["  1. a", "  2. b"]
    assert shown[-1].startswith("  until 19")
    assert shown[-1].endswith(", else b")


@pytest.mark.parametrize(
    ("typed", "answer"), [(("y",), True), (("",), False), (("what", " NO "), False), ((None,), None)]
)
async def test_yes_no_and_enter(typed: tuple[str | None, ...], answer: bool | None) -> None:
    """Enter takes the default, nonsense is asked for again, Ctrl-D answers nothing."""
    said: list[str] = []
    assert await converse(ASKED, person(*typed), said.append) is answer
    assert "  yes or no [no]: " in said


async def test_a_prompt_that_is_taken_back_ends_its_line() -> None:
    """Whatever comes next begins at the left."""
    said: list[str] = []

    async def read() -> str | None:
        await asyncio.get_running_loop().create_future()
        return None

    asking = asyncio.create_task(converse(ASKED, read, said.append))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert said[-1] == "\n"
