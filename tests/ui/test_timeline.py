"""Where the time of a run went: stretches, crowds, and their cells."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.events import Event, RunResumed, StepAdded, TurnMoved, TurnPhase, TurnSent
from agentrt.types import RunId, StepId
from agentrt.ui.drawing.axis import Axis
from agentrt.ui.drawing.bars import Cell, Window, bar, clock, fitting, peak, ticks
from agentrt.ui.folds.density import BUCKETS, FINEST, Level
from agentrt.ui.folds.timeline import Stretch, Timeline, path_seconds, slowest, stretches, summary, summed, told
from tests.ui.conftest import RUN, Story


def turn(story: Story, step: str, *phases: tuple[float, TurnPhase]) -> None:
    """A started step asks a model, and the turn goes through these phases."""
    at = phases[0][0]
    events: list[Event] = [TurnSent(RUN, at, StepId(step), "default", "writer", None)]
    for event in [*events, *(TurnMoved(RUN, when, StepId(step), phase) for when, phase in phases)]:
        story.view.apply(event)


def stretched(story: Story, step: str) -> list[tuple[str, float, float | None]]:
    """The stretches of a step, as a timeline that looks for the first time sees them."""
    line = Timeline(story.view)
    line.update()
    return [tuple(one) for one in line.stretches(story.view.steps[StepId(step)])]


def test_a_step_waits_for_its_inputs_then_for_a_place_then_works(story: Story) -> None:
    """A tool that was called at 0, had its input at 2 and a place at 3 waits, queues and works, without a gap."""
    story.add("a#1", kind="tool").add("b#1", kind="tool", inputs=["a#1"])
    story.start("a#1", at=0.5).end("a#1", at=2.0).start("b#1", at=3.0)
    assert stretched(story, "b#1") == [("waiting", 0.0, 2.0), ("queued", 2.0, 3.0), ("tool", 3.0, None)]
    story.end("b#1", at=5.0)
    assert stretched(story, "b#1")[-1] == ("tool", 3.0, 5.0)


def test_a_step_whose_inputs_are_there_is_queued_before_it_starts(story: Story) -> None:
    """Having no place is told from having no input while it goes on, also through a join."""
    story.add("a#1").add("join#1", kind="join", inputs=["a#1"]).add("b#1", inputs=["join#1"])
    line = Timeline(story.view)
    line.update()
    assert line.stretches(story.view.steps[StepId("b#1")]) == (Stretch("waiting", 0.0, None),)
    story.start("a#1").end("a#1", at=2.0).end("join#1", at=2.0)
    line.update()
    assert line.stretches(story.view.steps[StepId("b#1")])[-1] == ("queued", 2.0, None)


def test_a_turn_goes_through_its_phases(story: Story) -> None:
    """What is before the first phase is queueing; a turn of which no phase is known is in prefill until its end."""
    story.add("a#1").start("a#1", at=1.0)
    turn(story, "a#1", (1.5, "queued"), (2.0, "prefill"), (3.0, "decode"))
    story.end("a#1", at=4.0)
    expected = [("queued", 0.0, 1.0), ("queued", 1.0, 1.5), ("queued", 1.5, 2.0), ("prefill", 2.0, 3.0)]
    assert stretched(story, "a#1") == [*expected, ("decode", 3.0, 4.0)]
    story.add("b#1").start("b#1", at=0.0).end("b#1", at=2.0)
    assert stretched(story, "b#1") == [("prefill", 0.0, 2.0)]


@pytest.mark.parametrize(
    ("kind", "stage"), [("tool", "tool"), ("python", "code"), ("question", "asking"), ("agent", "holding")]
)
def test_each_kind_of_step_has_its_stage(story: Story, kind: str, stage: str) -> None:
    """Tools, code, questions and what holds steps are told apart."""
    story.add("a#1", kind=kind).start("a#1").end("a#1", at=1.0)  # type: ignore[arg-type]
    assert stretched(story, "a#1") == [(stage, 0.0, 1.0)]


def test_the_pause_between_two_attempts_is_no_work(story: Story) -> None:
    """Where the failed attempts are known, the time between them is a pause, also while it goes on."""
    line = Timeline(story.view)
    story.add("a#1", kind="tool").start("a#1", at=0.0).retry("a#1", at=1.0, delay=2.0, error="busy")
    line.update()
    step = story.view.steps[StepId("a#1")]
    assert line.stretches(step) == (("tool", 0.0, 1.0), ("pause", 1.0, None))
    story.start("a#1", at=3.0, attempt=2).end("a#1", at=4.0)
    line.update()
    assert line.stretches(step) == (("tool", 0.0, 1.0), ("pause", 1.0, 3.0), ("tool", 3.0, 4.0))
    assert summed(line, 4.0) == pytest.approx({"tool": 2.0, "pause": 2.0})
    assert told(line, step, 4.0) == "tools 2.0 s, retry pauses 2.0 s, 2 attempts"


def test_attempts_before_a_resume_are_no_part_of_it(story: Story) -> None:
    """What another process tried before this one began the step anew is not in its stretches."""
    story.add("a#1", kind="tool").start("a#1", at=0.5).retry("a#1", at=1.0, delay=1.0, error="no")
    story.view.apply(RunResumed(RUN, 4.0, 100.0, ()))
    story.start("a#1", at=5.0).end("a#1", at=6.0)
    step = story.view.steps[StepId("a#1")]
    assert step.pauses
    assert stretches(step, 0.0) == (Stretch("queued", 0.0, 5.0), Stretch("tool", 5.0, 6.0))


def test_a_step_that_took_no_time_is_still_seen(story: Story) -> None:
    """A step that ends in the instant of its call has a stretch, and a cell."""
    story.add("a#1", kind="python").start("a#1", at=0.0).end("a#1", at=0.0)
    (one,) = stretched(story, "a#1")
    assert one == ("code", 0.0, 0.0)
    assert bar([Stretch("code", 0.0, 0.0)], Window(0.0, 1.0, 3), 3.0) == [Cell("code"), None, None]


def random_story(data: st.DataObject) -> list[Event]:
    """Events of a run with steps of two names, of which some are not finished."""
    events: list[Event] = []
    for number in range(data.draw(st.integers(1, 8), label="steps")):
        story = Story(lambda event: events.append(event))
        events.pop()  # a run starts once
        step = f"{data.draw(st.sampled_from(['a', 'b']))}#{number}"
        times = sorted(data.draw(st.lists(st.floats(0, 50), min_size=4, max_size=4)))
        story.add(step, kind=data.draw(st.sampled_from(["tool", "python"])))
        if data.draw(st.booleans()):
            story.start(step, at=times[0])
            if data.draw(st.booleans()):
                story.retry(step, at=times[1], delay=0.0, error="bad").start(step, at=times[2], attempt=2)
            if data.draw(st.booleans()):
                story.end(step, at=times[3])
    return events


@given(st.data())
def test_counting_bit_by_bit_gives_what_counting_at_the_end_gives(data: st.DataObject) -> None:
    """However often it looks, the seconds of all stages are those of the steps' stretches, clipped at now."""
    story, events = Story(), random_story(data)
    line = Timeline(story.view)
    for event in events:
        story.view.apply(event)
        if data.draw(st.booleans()):
            line.update()
    line.update()
    now, expected = 60.0, {}
    for step in story.view.steps.values():
        for stage, start, end in line.stretches(step):
            expected[stage] = expected.get(stage, 0.0) + (now if end is None else end) - start
    got = {stage: seconds for stage, seconds in line.total.seconds(now).items() if seconds > 1e-9}
    assert got == pytest.approx({stage: seconds for stage, seconds in expected.items() if seconds > 1e-9})


def test_a_resumed_run_counts_again_what_it_runs_again(story: Story) -> None:
    """The failed step is unfinished again: its old time is gone, and the others' time is counted once."""
    story.add("a#1", kind="tool").add("b#1", kind="tool").start("a#1").end("a#1", at=1.0)
    story.start("b#1", at=1.0).end("b#1", at=3.0, status="failed").finish(at=3.0, status="failed")
    line = Timeline(story.view)
    line.update()
    assert summed(line, 3.0)["tool"] == pytest.approx(3.0)
    story.view.apply(RunResumed(RUN, 4.0, 0.0, (StepId("b#1"),)))
    line.update()
    assert summed(line, 4.0)["tool"] == pytest.approx(1.0)
    story.start("b#1", at=4.0).end("b#1", at=6.0).finish(at=6.0)
    line.update()
    assert summed(line, 6.0)["tool"] == pytest.approx(3.0)


# -- rows ----------------------------------------------------------------------------------------------------------


def test_rows_come_by_start_or_below_their_callers(story: Story) -> None:
    """Both orders show every step once; the tree indents."""
    story.add("a#1", kind="agent").add("b#1").add("a#1/turn#1", parent="a#1")
    story.start("b#1", at=0.0).start("a#1", at=1.0).start("a#1/turn#1", at=2.0)
    line = Timeline(story.view)
    line.update()
    assert [(row.label, row.depth) for row in line.rows("start")] == [("b#1", 0), ("a#1", 0), ("turn#1", 0)]
    assert [(row.label, row.depth) for row in line.rows("tree")] == [("a#1", 0), ("turn#1", 1), ("b#1", 0)]


def test_many_steps_share_rows_by_name_and_an_opened_name_shows_its_own(story: Story) -> None:
    """Above the limit there is a row for each name; names with one step are that step; opening lists members."""
    story.add("plan#1")
    for number in range(1, 6):
        story.add(f"search#{number}", kind="tool")
    line = Timeline(story.view)
    line.update()
    folded = line.rows(most=5)
    assert [(row.label, row.group is not None) for row in folded] == [("plan#1", False), ("search x5", True)]
    opened = line.rows(opened={("search",)}, most=5)
    assert [row.label for row in opened[2:]] == [f"search#{number}" for number in range(1, 6)]


# -- what is slow --------------------------------------------------------------------------------------------------


def test_the_summary_says_where_the_critical_path_went(story: Story) -> None:
    """Every moment is counted once, by the step that was under way; between steps the program's code runs."""
    story.add("a#1", kind="tool").start("a#1", at=0.0).end("a#1", at=4.0)
    story.add("b#1", inputs=["a#1"]).start("b#1", at=5.0)
    turn(story, "b#1", (5.0, "prefill"), (6.0, "decode"))
    story.end("b#1", at=10.0).finish(at=10.0)
    line, path = Timeline(story.view), [StepId("a#1"), StepId("b#1")]
    line.update()
    assert path_seconds(line, path, 10.0) == {"tool": 4.0, "queued": 1.0, "prefill": 1.0, "decode": 4.0}
    told = summary(line, path, 10.0)
    assert told.startswith("critical path 10.0 s: ")
    assert told.endswith("tools 40% · decode 40% · queued 10% · prefill 10%")
    assert summary(line, [], 10.0).startswith("all steps together 14.0 s: ")
    assert slowest(line, 10.0) == [(("b",), pytest.approx(5.0)), (("a",), pytest.approx(4.0))]


def test_a_run_without_steps_has_taken_no_time(story: Story) -> None:
    """Nothing is divided by nothing."""
    line = Timeline(story.view)
    line.update()
    assert summary(line, [], 1.0) == "nothing has taken time yet"
    assert line.rows() == []


def test_what_a_path_does_between_its_steps_is_told(story: Story) -> None:
    """A step that was called only after the one before it ended leaves a gap: the caller's own code."""
    story.add("a#1", kind="tool").start("a#1", at=0.0).end("a#1", at=1.0)
    story.view.apply(StepAdded(RunId("run-1"), 3.0, StepId("b#1"), "b", "tool", None, (), ()))
    story.start("b#1", at=3.0).end("b#1", at=4.0)
    line = Timeline(story.view)
    line.update()
    assert path_seconds(line, [StepId("a#1"), StepId("b#1")], 4.0) == {"tool": 2.0, "between": 2.0}


# -- crowds over time ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 30)), max_size=20), st.floats(0, 300))
def test_a_level_sums_up_what_was_there(spans: list[tuple[float, float]], until: float) -> None:
    """The area under a level is that of its spans, up to what a bucket cannot tell apart."""
    level = Level()
    for start, length in spans:
        level.change(start, 1)
        level.change(start + length, -1)
    exact = sum(max(0.0, min(until, start + length) - start) for start, length in spans)
    assert level.area(until) == pytest.approx(exact, abs=max(1, len(spans)) * level.width)
    assert level.now == 0
    assert level.width <= max(FINEST, 2 * 230 / BUCKETS)


def test_a_level_goes_back_when_a_change_is_taken_back() -> None:
    """Taking back leaves nothing behind, also after the buckets have been made larger."""
    level = Level()
    level.change(1.0, 5)
    level.change(10_000.0, 1)
    level.change(1.0, -5)
    level.change(10_000.0, -1)
    assert level.area(20_000.0) == pytest.approx(0.0, abs=1e-6)


def test_a_crowd_is_as_high_as_it_is_large_and_shows_what_most_do(story: Story) -> None:
    """Four at once fill a cell, one a quarter of it; what has not begun is not there."""
    for number in range(4):
        story.add(f"a#{number}", kind="tool").start(f"a#{number}", at=0.0)
        story.end(f"a#{number}", at=8.0 if number == 0 else 4.0)
    line = Timeline(story.view)
    line.update()
    cells, most = peak(line.crowd(story.view.groups[0]), Window(0.0, 4.0, 4), 8.0)
    assert cells == [Cell("tool", 8), Cell("tool", 2), None, None]
    assert most == pytest.approx(4.0)


def test_a_crowd_shows_its_work_also_where_more_wait(story: Story) -> None:
    """One that works among many that have no place is what its cell shows; where none works, the waiting is seen."""
    story.add("a#0", kind="tool").start("a#0", at=4.0).end("a#0", at=8.0)
    for number in range(1, 50):
        story.add(f"a#{number}", kind="tool")
    line = Timeline(story.view)
    line.update()
    cells, most = peak(line.crowd(story.view.groups[0]), Window(0.0, 4.0, 3), 12.0)
    assert cells == [Cell("queued", 1), Cell("tool", 8), Cell("queued", 1)]
    assert most == pytest.approx(1.0)


@given(st.floats(0.01, 1e5), st.booleans(), st.lists(st.sampled_from(["in", "out", "back", "on", "follow", "later"])))
def test_however_an_axis_is_moved_it_stays_within_the_run(now: float, live: bool, moves: list[str]) -> None:
    """No zooming and panning leads to a time before the run, or past the present; followed, the present is in view."""
    axis = Axis()
    axis.look(now, 80, live=live)
    for move in moves:
        match move:
            case "in" | "out":
                axis.zoom(2.0 if move == "in" else 0.5)
            case "back" | "on":
                axis.pan(-1 if move == "back" else 1)
            case "follow":
                axis.follow()
            case _:
                now += now / 10
        window = axis.look(now, 80, live=live)
        assert 0 <= window.start <= now
        assert window.end <= now * 1.51
        if move == "follow":
            assert window.end >= now * (1 - 1e-9)


# -- cells -----------------------------------------------------------------------------------------------------------


def test_a_cell_shows_the_stage_that_takes_most_of_it_and_work_before_waiting() -> None:
    """Short work is not drowned by the wait around it."""
    stretches = [Stretch("waiting", 0.0, 1.6), Stretch("tool", 1.6, 2.0), Stretch("decode", 2.0, 4.5)]
    cells = bar(stretches, Window(0.0, 1.0, 6), 9.0)
    assert cells == [Cell("waiting"), Cell("tool"), Cell("decode"), Cell("decode"), Cell("decode", 4), None]


def test_an_unfinished_stretch_reaches_to_now_and_not_further() -> None:
    """What has no end is drawn up to now, what is to come is not."""
    cells = bar([Stretch("tool", 0.0, None)], Window(0.0, 1.0, 4), 2.0)
    assert cells == [Cell("tool"), Cell("tool"), None, None]


@given(st.floats(0.001, 1e6), st.integers(1, 300))
def test_a_fitting_scale_fits_and_wastes_little(seconds: float, width: int) -> None:
    """All of the time is shown, in at least two thirds of the columns."""
    scale = fitting(seconds, width)
    assert seconds <= scale * width * (1 + 1e-6)
    assert scale * width <= seconds * 1.5


@given(st.floats(0, 1e5), st.floats(0.0001, 1e4), st.integers(1, 300))
def test_ticks_are_apart_and_within_the_window(start: float, scale: float, width: int) -> None:
    """Labels never run into each other."""
    columns = [column for column, _ in ticks(Window(start, scale, width))]
    assert all(0 <= column < width for column in columns)
    assert all(later - earlier >= 9 for earlier, later in pairwise(columns))


@pytest.mark.parametrize(
    ("at", "step", "label"),
    [
        (0, 5, "0 s"),
        (0.25, 0.05, "0.25 s"),
        (45, 15, "45 s"),
        (90, 30, "1:30"),
        (61.5, 0.5, "1:01.5"),
        (7200, 3600, "2:00:00"),
    ],
)
def test_ticks_are_labelled_as_people_write_times(at: float, step: float, label: str) -> None:
    """Seconds, minutes and hours, with the digits that the ticks need."""
    assert clock(at, step) == label
