"""The fold of a run's events, and the lines that stand for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.types import Usage
from agentrt.ui.model import TAIL, RunView
from agentrt.ui.terminal.rows import rows
from tests.ui.conftest import Story


def test_a_run_is_what_its_events_say(story: Story) -> None:
    """Counts, tokens, times and status follow the events."""
    story.add("search#1", kind="tool").add("writer#1", inputs=["search#1"])
    story.start("search#1", at=1.0).end("search#1", at=1.5)
    story.start("writer#1", at=1.5).text("writer#1", "Otters ").text("writer#1", "swim.")
    view = story.view
    assert (view.program, view.total, view.finished, view.count("running")) == ("report", 2, 1, 1)
    assert view.steps["writer#1"].tail == "Otters swim."
    assert view.steps["search#1"].seconds(9.0) == 0.5
    assert view.steps["writer#1"].seconds(2.0) == 0.5
    story.end("writer#1", at=3.0, usage=Usage(10, 5, 2)).finish(at=3.0)
    assert (view.ended, view.status, view.last, view.usage) == (True, "done", 3.0, Usage(10, 5, 2))


def test_steps_hang_below_the_step_that_called_them(story: Story) -> None:
    """The walk gives each step followed by its own steps, in the order of the calls."""
    story.add("a#1", kind="agent").add("b#1").add("a#1/turn#1", parent="a#1").add("a#1/tool#1", parent="a#1")
    assert [step.id for step in story.view.walk()] == ["a#1", "a#1/turn#1", "a#1/tool#1", "b#1"]
    assert [step.depth for step in story.view.walk()] == [0, 1, 1, 0]


def test_joins_are_edges_not_work(story: Story) -> None:
    """A join is not counted and not listed; waiting is told through it."""
    story.add("a#1").add("b#1").add("join#1", kind="join", inputs=["a#1", "b#1"]).add("c#1", inputs=["join#1"])
    view = story.view
    assert view.total == 3
    assert [step.id for step in view.walk()] == ["a#1", "b#1", "c#1"]
    assert [step.id for step in view.waits_for(view.steps["c#1"])] == ["a#1", "b#1"]
    story.start("a#1").end("a#1").start("b#1").end("b#1").end("join#1")
    assert view.waits_for(view.steps["c#1"]) == []
    assert view.total == 3


def test_only_the_end_of_a_long_text_is_kept(story: Story) -> None:
    """Streamed text takes no more memory than a line needs."""
    story.add("a#1").start("a#1")
    for number in range(1000):
        story.text("a#1", f"word{number} ")
    tail = story.view.steps["a#1"].tail
    assert len(tail) == TAIL
    assert tail.endswith("word999 ")


def test_a_retry_says_when_and_why(story: Story) -> None:
    """Between two attempts a step waits, with its error; the text of the failed attempt is gone after."""
    story.add("a#1").start("a#1", at=1.0).text("a#1", "half").retry("a#1", at=2.0, delay=1.0, error="Refused: busy")
    (row,) = rows(story.view, 2.4, 10)
    assert (row.detail, row.tone, row.status) == ("again in 0.6 s: Refused: busy", "bad", "pending")
    story.start("a#1", at=3.0, attempt=2)
    (row,) = rows(story.view, 3.0, 10)
    assert (row.detail, row.status, row.seconds) == ("attempt 2", "running", 2.0)


def test_a_line_tells_what_matters_of_its_step(story: Story) -> None:
    """Running: the text; waiting: for whom; failed: the error, all on one line."""
    story.add("a#1").add("b#1").add("c#1").add("d#1", inputs=["a#1", "b#1", "c#1"])
    story.start("a#1").text("a#1", "two\nlines\x1b[31m")
    story.start("b#1").end("b#1", status="failed", error="bad\nthing")
    told = {row.label: (row.detail, row.tone) for row in rows(story.view, 1.0, 10)}
    assert told == {
        "a#1": ("two lines [31m", "text"),
        "b#1": ("bad thing", "bad"),
        "c#1": ("ready", "quiet"),
        "d#1": ("after a#1, c#1", "quiet"),
    }


def test_steps_waited_for_are_named_as_seen_from_the_waiting_one(story: Story) -> None:
    """Beside each other by their short names, from elsewhere by the whole path."""
    story.add("s#1", kind="program").start("s#1").add("s#1/w#1", parent="s#1")
    story.add("s#1/c#1", parent="s#1", inputs=["s#1/w#1"]).add("e#1", inputs=["s#1/w#1"])
    told = {row.label: row.detail for row in rows(story.view, 1.0, 10)}
    assert (told["c#1"], told["e#1"]) == ("after w#1", "after s#1/w#1")


def test_steps_fold_to_names_when_there_is_no_room(story: Story) -> None:
    """More steps than lines: one line for each name in each place, with counts, tokens and the time of all."""
    story.add("plan#1").start("plan#1", at=0.0).end("plan#1", at=1.0)
    for number in range(1, 13):
        story.add(f"write#{number}", inputs=["plan#1"])
    for number in range(1, 6):
        story.start(f"write#{number}", at=1.0 + number).end(f"write#{number}", at=9.0, usage=Usage(10, 5, 1))
    story.start("write#6", at=7.0)
    plan, write = rows(story.view, 10.0, 12)
    assert (plan.label, plan.seconds) == ("plan#1", 1.0)
    assert (write.label, write.status, write.detail) == ("write x12", "running", "5 done, 1 running, 6 waiting")
    assert (write.usage, write.seconds) == (Usage(50, 25, 5), 8.0)
    assert len(rows(story.view, 10.0, 13)) == 13


def test_inner_names_fold_away_before_outer_ones(story: Story) -> None:
    """With still less room the steps inside steps are left out first, then what is finished."""
    for number in range(1, 4):
        above = f"agent{number}#1"
        story.add(above, kind="agent").start(above).add(f"{above}/turn#1", parent=above)
    assert [row.label for row in rows(story.view, 1.0, 5)] == ["agent1#1", "agent2#1", "agent3#1"]
    story.end("agent1#1")
    assert [row.label for row in rows(story.view, 1.0, 2)] == ["agent3#1", "and 2 more names"]


@given(
    shape=st.lists(
        st.tuples(st.integers(0, 5), st.integers(-1, 40), st.sampled_from(["", "start", "end"])), max_size=60
    ),
    most=st.integers(1, 30),
)
def test_rows_never_take_more_room_than_there_is(shape: list[tuple[int, int, str]], most: int) -> None:
    """Whatever a run looks like, its lines fit, and every step is counted once."""
    story = Story()
    for number, (name, parent, life) in enumerate(shape):
        steps = list(story.view.steps)
        above = steps[parent] if 0 <= parent < len(steps) else None
        step = f"{above + '/' if above else ''}s{name}#{number}"
        story.add(step, parent=above)
        if life:
            story.start(step)
        if life == "end":
            story.end(step)
    lines = rows(story.view, 1.0, most)
    assert len(lines) <= most
    assert bool(lines) == bool(shape)
    assert story.view.total == len(shape)


@pytest.mark.parametrize("size", [20_000])
def test_a_large_run_is_drawn_from_few_groups(size: int) -> None:
    """A fold of many steps of one name is one line, whatever their number."""
    story = Story()
    for number in range(size):
        story.add(f"s#{number}")
    assert [row.label for row in rows(story.view, 0.0, 20)] == [f"s x{size:,}"]
    assert len(story.view.groups) == 1


def test_an_empty_run_has_no_lines() -> None:
    """Before the first step there is nothing to draw."""
    assert rows(RunView(), 0.0, 5) == []
