"""The chain of steps that determined when a run ended."""

from __future__ import annotations

from agentrt.types import StepId
from agentrt.ui.folds.critical import critical_path
from tests.ui.conftest import Story


def ran(story: Story, step: str, start: float, end: float | None = None) -> Story:
    """A step that started, and perhaps ended."""
    story.start(step, at=start)
    return story if end is None else story.end(step, at=end)


def test_the_path_goes_back_by_what_ended_last(story: Story) -> None:
    """Of all that a step came after, the one that ended last is on the path, through joins."""
    story.add("plan#1").add("quick#1", inputs=["plan#1"]).add("slow#1", inputs=["plan#1"])
    story.add("join#1", kind="join", inputs=["quick#1", "slow#1"]).add("write#1", inputs=["join#1"])
    ran(story, "plan#1", 0, 1)
    ran(story, "quick#1", 1, 2)
    ran(story, "slow#1", 1, 5)
    ran(story, "write#1", 5, 6)
    assert critical_path(story.view) == ["plan#1", "slow#1", "write#1"]


def test_the_path_goes_through_what_a_step_holds(story: Story) -> None:
    """An agent is its turns and its tools; before the first of them comes what the agent came after."""
    story.add("plan#1").add("seek#1", kind="agent", inputs=["plan#1"])
    story.add("seek#1/turn#1", parent="seek#1").add("seek#1/look#1", parent="seek#1", inputs=["seek#1/turn#1"])
    story.add("write#1", inputs=["seek#1"])
    ran(story, "plan#1", 0, 1)
    ran(story, "seek#1", 1)
    ran(story, "seek#1/turn#1", 1, 2)
    ran(story, "seek#1/look#1", 2, 4)
    story.end("seek#1", at=4)
    ran(story, "write#1", 4, 5)
    assert critical_path(story.view) == ["plan#1", "seek#1/turn#1", "seek#1/look#1", "write#1"]


def test_of_a_run_that_goes_on_it_is_the_chain_to_what_is_waited_for_longest(story: Story) -> None:
    """The running step that started first ends the chain so far; with an end that is given, that one does."""
    story.add("a#1").add("b#1", inputs=["a#1"]).add("c#1", inputs=["a#1"]).add("d#1", inputs=["b#1", "c#1"])
    ran(story, "a#1", 0, 1)
    ran(story, "b#1", 1)
    ran(story, "c#1", 2)
    assert critical_path(story.view) == ["a#1", "b#1"]
    assert critical_path(story.view, story.view.steps[StepId("c#1")]) == ["a#1", "c#1"]


def test_what_ended_after_a_step_had_started_was_not_waited_for(story: Story) -> None:
    """A step that needed only the first of two is not determined by the second."""
    story.add("a#1").add("b#1").add("c#1", inputs=["a#1", "b#1"])
    ran(story, "a#1", 0, 1)
    ran(story, "b#1", 0, 3)
    ran(story, "c#1", 1, 4)
    assert critical_path(story.view) == ["a#1", "c#1"]


def test_steps_that_never_ran_are_on_no_path(story: Story) -> None:
    """What was skipped ended last and determined nothing; where nothing ran there is no path."""
    assert critical_path(story.view) == []
    story.add("a#1").add("b#1", inputs=["a#1"])
    assert critical_path(story.view) == []
    ran(story, "a#1", 0, 1)
    story.end("b#1", at=2, status="skipped")
    assert critical_path(story.view) == ["a#1"]
