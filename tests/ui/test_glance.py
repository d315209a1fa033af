"""The first answers about a run."""

from __future__ import annotations

import pytest

from agentrt.ui.folds.glance import now_running, what_failed
from tests.ui.conftest import Story


def failed(story: Story, *steps: str) -> Story:
    """Steps that failed, one after the other."""
    for at, step in enumerate(steps):
        story.add(step).start(step, at=at)
        story.end(step, at=at + 1, status="failed", error=f"ValueError: of {step}")
    return story


def test_the_step_that_the_run_failed_of_comes_before_those_that_failed_first(story: Story) -> None:
    """A failure that the program had dealt with is not what the run failed of."""
    failed(story, "tried#1", "fatal#1").finish(status="failed", error="step 'fatal#1' failed: of fatal#1")
    answer = what_failed(story.view)
    assert answer is not None
    assert answer.text == "fatal#1: ValueError: of fatal#1 (and 1 more)"


def test_a_program_that_raised_by_itself_is_what_failed(story: Story) -> None:
    """Steps whose failure it had caught are counted behind its own error."""
    failed(story, "tried#1").finish(status="failed", error="program 'p' failed: KeyError: x")
    answer = what_failed(story.view)
    assert answer is not None
    assert answer.text == "program 'p' failed: KeyError: x (1 step failed before that)"


def test_what_failed_while_a_run_goes_on_is_told(story: Story) -> None:
    """Before the run has ended, the first failure is what there is."""
    answer = what_failed(failed(story, "a#1", "b#1").view)
    assert answer is not None
    assert answer.text == "a#1: ValueError: of a#1 (and 1 more)"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("running", "slow#1 3.0 s"),
        ("interrupted", "nothing runs: no process has it, `r` resumes it; broken off: slow#1 3.0 s"),
        ("cancelled", "nothing runs: it was cancelled after its process was gone; broken off: slow#1 3.0 s"),
        ("waiting", "nothing runs: it is put aside until somebody answers"),
    ],
)
def test_nothing_runs_without_a_process(story: Story, status: str, words: str) -> None:
    """What had begun in a run whose process is gone does not run, however the entries end."""
    story.add("slow#1").start("slow#1", at=1.0)
    assert now_running(story.view, 4.0, status).text == words
