"""What is told of one step: folds over its entries and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.events import TurnMoved, TurnPhase, TurnSent
from agentrt.store.rows import StepStory
from agentrt.types import SessionId, StepId, StepKind, Usage
from agentrt.ui.folds.prompts import Prompt, prompt_of, turns_of
from agentrt.ui.folds.stories import (
    attempts_of,
    edits_of,
    failures_of,
    hints_of,
    inputs_of,
    joined,
    output_of,
    question_of,
)
from agentrt.ui.folds.timings import timings_of
from agentrt.ui.model import TAIL, StepView
from tests.ui.conftest import RUN, Story

GIST = "2 messages 0123456789abcdef0123456789abcdef"
SESSION = SessionId("run-1/writer~1")


def told(
    *entries: tuple[str, float, Any],
    step: str = "a#1",
    notes: Sequence[tuple[float, str]] = (),
    messages: Sequence[dict[str, Any]] = (),
    tools: Sequence[dict[str, Any]] = (),
    hints: Sequence[tuple[float, dict[str, Any]]] = (),
) -> StepStory:
    """A story of entries as (kind, when, what), and of notes of streamed text."""
    rows = [{"seq": seq, "kind": kind, "at": at, "data": data} for seq, (kind, at, data) in enumerate(entries, 1)]
    texts = [{"kind": "text", "at": at, "data": text} for at, text in notes]
    return StepStory(StepId(step), rows, texts, messages, tools, hints)


def tagged(kind: str, value: Any, name: str = "") -> dict[str, Any]:
    """A value as a journal stores it."""
    return {"$": kind, "v": value} | ({"c": name} if name else {})


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    """A message."""
    return {"role": role, "content": content, **more}


def step_of(story: Story, kind: StepKind = "llm", name: str = "a#1") -> StepView:
    """A step that runs since second 1."""
    story.add(name, kind=kind).start(name, at=1.0)
    return story.view.steps[StepId(name)]


# -- what went in ----------------------------------------------------------------------------------------------------


def test_inputs_have_names_and_sources(story: Story) -> None:
    """Arguments by name or number; what is another step's result names it, also deep inside a value."""
    story.add("f#1").add("g#1").add("a#1", kind="tool", inputs=["f#1", "g#1"])
    ref = tagged("shown", "f#1")
    args = [[ref, "two\nlines"], {"many": [1, {"deep": tagged("tuple", [tagged("shown", "g#1")])}]}]
    first, second, third = inputs_of(told(("called", 0.0, {"kind": "tool", "args": args})), story.view)
    assert first == ("1", "the result of f#1", ("f#1",))
    assert second == ("2", "two\nlines", ())
    assert (third.name, third.sources) == ("many", ("g#1",))
    assert '"deep": [\n' in third.text


def test_a_context_is_told_by_its_length(story: Story) -> None:
    """What an agent was asked are its prompts; the context before has no hash in it."""
    args = [[tagged("shown", GIST), tagged("tuple", ["Say this:", tagged("shown", "no step")])], {}]
    given = inputs_of(told(("called", 0.0, {"kind": "llm", "args": args})), story.view)
    assert given == [
        ("context", "2 messages said before", ()),
        ("prompt 1", "Say this:", ()),
        ("prompt 2", "no step", ()),
    ]
    assert inputs_of(told(("called", 0.0, {})), story.view) == []


# -- what the model was sent -----------------------------------------------------------------------------------------

MESSAGES = [
    said("system", "s" * 1000),
    said("user", "u" * 1000),
    said("assistant", "", tool_calls=[["c1", "search", '{"query":"tea"}']]),
    said("tool", "t" * 1000, tool_call_id="c1"),
]


def prompt(story: Story, usage: Usage | None, *, sends: int = 1, messages: Any = MESSAGES) -> Prompt:
    """The prompt of a turn that ended with that usage, or runs."""
    step = step_of(story)
    if usage is not None:
        story.end("a#1", usage=usage)
    entries = [("sent", float(at), {"count": len(messages)}) for at in range(sends)]
    return prompt_of(step, told(*entries, messages=messages), story.view)


def cached(prompt: Prompt) -> list[int | None]:
    """How much of each message came from the cache."""
    return [message.cached for message in prompt.messages]


def test_before_the_end_nothing_is_known_of_the_cache(story: Story) -> None:
    """A turn that runs has no count, and no mark."""
    found = prompt(story, None)
    assert cached(found) == [None] * 4
    assert (found.usage, found.certain) == (None, False)
    assert found.messages[3].of == "search"
    assert found.messages[2].calls[0].arguments == '{\n  "query": "tea"\n}'


@pytest.mark.parametrize(("count", "all_of_it"), [(0, False), (3000, True), (2999, True)])
def test_nothing_and_everything_are_certain(story: Story, count: int, *, all_of_it: bool) -> None:
    """An engine computes the last token in any case, so all but one is everything."""
    found = prompt(story, Usage(3000, count, 5))
    assert found.certain
    assert [message.whole for message in found.messages] == [all_of_it] * 4


def test_the_count_is_laid_over_the_text(story: Story) -> None:
    """Half of the tokens is about half of the characters, and falls into the message that holds them."""
    found = prompt(story, Usage(3000, 1500, 5))
    system, user, assistant, tool = found.messages
    assert not found.certain
    assert (system.cached, system.whole, assistant.cached, tool.cached) == (1000, True, 0, 0)
    assert user.cached is not None
    assert 400 < user.cached < 600


@given(counts=st.lists(st.integers(0, 3000), min_size=2, max_size=2))
def test_more_tokens_are_more_text(counts: list[int]) -> None:
    """The cached part is a beginning, and grows with the count."""
    less, more = (prompt(Story(), Usage(3000, count, 1)) for count in sorted(counts))
    for one in (less, more):
        parts = [part or 0 for part in cached(one)]
        lengths = [len(message.text) for message in one.messages]
        first = next((number for number, (part, size) in enumerate(zip(parts, lengths, strict=True)) if part < size), 4)
        assert not any(parts[first + 1 :])
    assert sum(part or 0 for part in cached(less)) <= sum(part or 0 for part in cached(more))


def test_earlier_turns_say_where_their_tokens_end(story: Story) -> None:
    """A prompt of which some parts take more tokens than their letters let one think is marked in the right message."""
    turn(story, "a#1", Usage(2000, 0, 100))
    turn(story, "b#1", Usage(2200, 2050, 10))
    messages = [
        said("system", "s" * 100),
        said("user", "u" * 100),
        said("assistant", "a" * 400),
        said("user", "x" * 900),
    ]
    story_of_b = told(("sent", 1.0, {"count": 4}), step="b#1", messages=messages)
    found = prompt_of(story.view.steps[StepId("b#1")], story_of_b, story.view)
    system, user, assistant, last = found.messages
    assert system.whole
    assert user.whole
    assert assistant.cached == pytest.approx(208, abs=10)
    assert last.cached == 0
    assert [one.id for one in turns_of(story.view, SESSION)] == ["a#1", "b#1"]


def turn(story: Story, name: str, usage: Usage) -> None:
    """A finished turn of the session."""
    story.add(name).start(name)
    story.view.apply(TurnSent(RUN, 0.0, StepId(name), "m", "writer", SESSION))
    story.end(name, usage=usage)


def test_requests_that_are_counted_together_are_told(story: Story) -> None:
    """A reply that did not fit was asked for again: the engine's count is of both, and the mark says no more."""
    found = prompt(story, Usage(4000, 1000, 5), sends=2)
    assert found.requests == 2
    assert not found.certain


def test_a_replay_shows_what_had_been_sent(story: Story) -> None:
    """Messages that came later are not there yet."""
    step = step_of(story)
    assert prompt_of(step, told(messages=MESSAGES), story.view).messages == ()
    early = prompt_of(step, told(("sent", 1.0, {"count": 2}), messages=MESSAGES), story.view)
    assert [message.role for message in early.messages] == ["system", "user"]


# -- what came out ---------------------------------------------------------------------------------------------------


def answer(content: str, value: Any, *calls: tuple[str, str, str]) -> dict[str, Any]:
    """The result of a model turn, as a journal stores it."""
    held = [tagged("data", dict(zip(("id", "name", "arguments"), call, strict=True)), "x:ToolCall") for call in calls]
    message = said("assistant", content, tool_calls=tagged("tuple", held), tool_call_id=None)
    messages = tagged("tuple", [tagged("data", message, "x:Message")])
    inside = {"said": messages, "calls": tagged("tuple", held), "value": value}
    return tagged("data", inside, "agentrt.sdk.turns:Answer")


def ended(story: Story, data: dict[str, Any], *entries: tuple[str, float, Any]) -> Any:
    """The output of a step that ended so."""
    step = step_of(story)
    story.end("a#1", status=data["status"])
    return output_of(step, told(*entries, ("ended", 2.0, data)))


def test_the_output_of_a_turn_is_what_was_said(story: Story) -> None:
    """Text that is the value stands there once; calls have readable arguments, broken ones as they are."""
    found = ended(story, {"status": "done", "value": answer("Otters.", "Otters.")})
    assert (found.text, found.value, found.calls, found.whole) == ("Otters.", "", (), True)
    calls = [("1", "search", '{"q":1}'), ("2", "search", '{"q": 3')]
    found = ended(Story(), {"status": "done", "value": answer("", None, *calls)})
    assert [call.arguments for call in found.calls] == ['{\n  "q": 1\n}', '{"q": 3']
    model = tagged("model", {"__dict__": {"kilos": 45}}, "x:Fact")
    found = ended(Story(), {"status": "done", "value": answer('{"kilos":45}', model)})
    assert found.value == '{\n  "kilos": 45\n}'


def test_other_outputs_are_json_or_say_why_there_is_none(story: Story) -> None:
    """Results of steps; nothing; what could not be kept; failures, with what had been said until then."""
    assert ended(story, {"status": "done", "value": [1, "two"]}).value == '[\n  1,\n  "two"\n]'
    assert ended(Story(), {"status": "done", "value": None}).value == "None"
    assert "a socket" in ended(Story(), {"status": "done", "unstorable": "a socket"}).problem
    failed = ended(Story(), {"status": "failed", "error": "Refused: no"}, ("begun", 1.0, {}), ("text", 1.5, "half"))
    assert (failed.problem, failed.text) == ("Refused: no", "half")
    assert ended(Story(), {"status": "skipped", "because": "b#1"}).problem == "skipped because of b#1"


def test_streamed_text_is_that_of_the_last_attempt(story: Story) -> None:
    """Notes of the attempt before do not count; the newest characters are there before they are noted."""
    step = step_of(story)
    story.text("a#1", "two three")
    entries: tuple[tuple[str, float, Any], ...] = (
        ("begun", 1.0, {}),
        ("retried", 2.0, {"error": "e", "delay": 1}),
        ("begun", 3.0, {"attempt": 2}),
    )
    found = output_of(step, told(*entries, notes=[(1.5, "one "), (3.5, "two ")]))
    assert (found.text, found.whole) == ("two three", False)


@given(text=st.text("ab \n", max_size=3 * TAIL), known=st.integers(0, 3 * TAIL))
def test_what_is_noted_and_what_is_new_make_the_text(text: str, known: int) -> None:
    """Of a text that is short enough nothing is lost; a long one ends with its newest characters, and begins right."""
    noted, tail = text[:known], text[-TAIL:]
    found = joined(noted, tail)
    if len(text) < TAIL:
        assert found == text
    assert found.startswith(noted)
    assert tail in found


def test_a_gap_is_shown_as_one() -> None:
    """Where notes and newest characters do not meet, it is not hidden that something is missing."""
    assert joined("the beginning", "x" * TAIL) == "the beginning [...] " + "x" * TAIL


# -- what was tried, and what failed ---------------------------------------------------------------------------------


def test_every_attempt_is_told(story: Story) -> None:
    """Failed and tried again; broken off with its process; done."""
    step = step_of(story)
    entries = [
        ("begun", 1.0, {}),
        ("retried", 2.0, {"error": "Refused: busy", "delay": 0.5}),
        ("begun", 2.5, {"attempt": 2}),
        ("begun", 9.0, {"attempt": 3}),
        ("ended", 9.5, {"status": "done"}),
    ]
    assert attempts_of(step, told(*entries)) == [
        (1, 1.0, 2.0, "again", "Refused: busy", 0.5),
        (2, 2.5, None, "broken off", "", 0.0),
        (3, 9.0, 9.5, "done", "", 0.0),
    ]


def test_plain_steps_tell_their_beginning_at_the_end(story: Story) -> None:
    """While one runs, its events know more than its entries."""
    step = step_of(story, "python")
    assert attempts_of(step, told()) == [(1, 1.0, None, "running", "", 0.0)]
    found = attempts_of(step, told(("ended", 3.0, {"status": "failed", "error": "no", "began": 2.0})))
    assert found == [(1, 2.0, 3.0, "failed", "no", 0.0)]
    assert attempts_of(step_of(Story()), told(("ended", 3.0, {"status": "skipped"}))) != []


def test_an_error_is_followed_by_its_causes() -> None:
    """Notes stand at their error; the errors of a group are told, too."""

    def error(text: str, *, cause: Any = None, notes: Sequence[str] = (), group: Sequence[Any] = ()) -> dict[str, Any]:
        args = tagged("tuple", [text, list(group)] if group else [text])
        state = {"__notes__": list(notes)} if notes else {}
        return {"$": "error", "c": "m:Odd", "text": text, "args": args, "state": state, "cause": cause}

    outer = error("outer", cause=error("inner"), notes=["its story"], group=[error("one"), error("two")])
    found = failures_of(told(("ended", 1.0, {"status": "failed", "value": outer})))
    assert [(one.text, one.notes, one.depth) for one in found] == [
        ("outer", ("its story",), 0),
        ("inner", (), 1),
        ("one", (), 1),
        ("two", (), 1),
    ]
    over = ("over", 2.0, {"status": "failed", "value": error("of the run"), "step": "a#1"})
    assert failures_of(told(over))[0].text == "of the run"
    assert failures_of(told(("over", 2.0, {**over[2], "step": "b#1"}))) == []
    assert failures_of(told(("ended", 1.0, {"status": "done", "value": 1}))) == []


# -- people, edits, hints --------------------------------------------------------------------------------------------


def test_a_question_has_its_answers() -> None:
    """What was asked of whom, about what; who answered what did not fit, and who did."""
    asked = {"question": {"form": "choose", "text": "Where?", "choices": ["blog"], "who": "ann"}, "context": "a text"}
    entries = [("asked", 1.0, asked), ("answered", 2.0, {"by": "bob", "problem": "no"}), ("answered", 3.0, {})]
    assert question_of(told(*entries)) == (
        "Where?",
        "choose",
        ("blog",),
        "ann",
        "a text",
        ((2.0, "bob", "no"), (3.0, "", "")),
    )
    assert question_of(told()) is None


def test_edits_are_told_in_words() -> None:
    """What was changed, and by whom; or why nothing was."""
    made = {"changes": [["rewire", "b#1", ["c#1", "d#1"]], ["drop", "e#1", []]]}
    words = [edit.words for edit in edits_of(told(("edited", 1.0, made), ("edited", 2.0, {"refused": ["a cycle"]})))]
    assert words == ["edited: rewire b#1 (takes c#1, d#1), drop e#1", "an edit was refused: a cycle"]
    assert edits_of(told(("edited", 1.0, {**made, "document": {}})))[0].words.startswith("edited from outside: rewire")


def test_hints_are_told_in_words() -> None:
    """Steps to execution, time left, what it waits for, and how long it holds."""
    wire: Mapping[str, Any] = {
        "subject": ["session", "writer~1"], "generation": 3, "keep": 60.0, "steps": 2, "remaining": 4.25,
        "tool": "search", "elapsed": 1.5, "priority": 1.0, "prefetch": True,
    }  # fmt: skip
    ended = {"subject": ["agent", "writer", "report"], "generation": 4, "ended": True, "prefix_tokens": 1200}
    first, last = hints_of(told(hints=[(1.0, dict(wire)), (2.0, ended)]))
    assert (first.at, first.about) == (1.0, "session writer~1")
    assert first.words == (
        "load it now", "2 steps to execution", "4.25 s left", "waits for search, for 1.5 s now", "priority 1",
        "holds for 60 s",
    )  # fmt: skip
    own = {"subject": ["session", "run-1/writer~1"], "remaining": 0.0}
    assert hints_of(told(hints=[(1.0, own)]))[0][1:] == ("session run-1/writer~1", ("needed now",))
    within = told(hints=[(1.0, own)])._replace(entries=[{"seq": 1, "kind": "begun", "at": 0.0, "run": "run-1"}])
    assert hints_of(within)[0].about == "session writer~1"
    assert last == (2.0, "agent writer of report", ("ended: it never comes back", "fixed prompt of 1,200 tokens"))


# -- where the time went ---------------------------------------------------------------------------------------------


def moved(story: Story, *phases: tuple[float, TurnPhase]) -> StepView:
    """A model turn that was called at 0, whose input ended at 1, that began at 2."""
    story.add("f#1").start("f#1").end("f#1", at=1.0).add("a#1", inputs=["f#1"]).start("a#1", at=2.0)
    story.view.apply(TurnSent(RUN, 2.0, StepId("a#1"), "m", "writer", SESSION))
    for at, phase in phases:
        story.view.apply(TurnMoved(RUN, at, StepId("a#1"), phase))
    return story.view.steps[StepId("a#1")]


def test_time_is_told_without_gaps(story: Story) -> None:
    """Waiting, queued, each phase, the pause between attempts: each begins where the one before ended."""
    phases: list[tuple[float, TurnPhase]] = [(2.0, "prefill"), (3.0, "decode"), (6.0, "prefill"), (7.0, "decode")]
    step = moved(story, *phases)
    story.end("a#1", at=9.0, usage=Usage(10, 0, 21))
    entries = [("begun", 2.0, {}), ("retried", 4.0, {"error": "e", "delay": 2.0}), ("begun", 6.0, {"attempt": 2})]
    attempts = attempts_of(step, told(*entries, ("ended", 9.0, {"status": "done"})))
    timings = timings_of(step, attempts, story.view, 99.0)
    assert [(one.stage, one.seconds) for one in timings.stretches] == [
        ("waiting", 1.0), ("queued", 1.0), ("prefill", 1.0), ("decode", 1.0), ("pause", 2.0), ("prefill", 1.0),
        ("decode", 2.0),
    ]  # fmt: skip
    assert all(one.end == other.start for one, other in pairwise(timings.stretches))
    assert timings.seconds == 9.0
    assert timings.totals()["decode"] == 3.0
    assert timings.first_token == 1.0
    assert timings.rate == pytest.approx(20 / 3)


def test_a_turn_that_runs_is_told_up_to_now(story: Story) -> None:
    """Of one whose phases nobody noted it is said that the model had it."""
    step = moved(story, (2.5, "queued"))
    attempts = attempts_of(step, told(("begun", 2.0, {})))
    timings = timings_of(step, attempts, story.view, 5.0)
    assert [(one.stage, one.start, one.end) for one in timings.stretches][2:] == [
        ("model", 2.0, 2.5),
        ("queued", 2.5, 5.0),
    ]
    assert (timings.first_token, timings.rate) == (None, None)


def test_what_was_broken_off_is_part_of_the_time(story: Story) -> None:
    """A step that was resumed began when its first attempt did."""
    story.add("a#1", kind="question").start("a#1", at=5.0)
    step = story.view.steps[StepId("a#1")]
    attempts = attempts_of(step, told(("begun", 1.0, {}), ("begun", 5.0, {"attempt": 2})))
    timings = timings_of(step, attempts, story.view, 6.0)
    assert timings.totals() == {"queued": 1.0, "asking": 5.0}
    assert timings.seconds == 6.0


def test_a_step_that_has_not_started_only_waits(story: Story) -> None:
    """As long as an input is missing nothing else is told."""
    story.add("f#1").start("f#1").add("a#1", inputs=["f#1"])
    step = story.view.steps[StepId("a#1")]
    assert timings_of(step, [], story.view, 3.0).totals() == {"waiting": 3.0}
