"""What happened in one step, for people: what went in, what the model was sent, what came out, what failed, and when.

Pure folds over the entries and notes of the step as a source gives them (``StepStory``), and over what its events say
(``StepView``). Each part is a function of its own, so that only what is looked at is worked out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from agentrt.store.codec import KIND
from agentrt.store.readable import readable
from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.model import TAIL, RunView, StepView

_CONTEXT: Final = re.compile(r"(\d+) messages [0-9a-f]{32}")
_SAID: Final = ("agentrt.sdk.turns:Answer", "agentrt.sdk.turns:Said")
_DEEPEST: Final = 20
"""Errors that are told of one failure, those that caused it included."""


class Input(NamedTuple):
    """One argument. ``text`` has its lines; ``sources`` are the steps whose results it holds."""

    name: str
    text: str
    sources: tuple[StepId, ...] = ()


class Call(NamedTuple):
    """A model's wish to call a tool: ``arguments`` as JSON on several lines, or as written if that is none."""

    id: str
    name: str
    arguments: str


class Output(NamedTuple):
    """What came out. ``text`` is what a model said, so far if not ``whole``; ``value`` what the step gave, if that is
    something else; ``problem`` why there is none."""

    text: str
    value: str
    calls: tuple[Call, ...]
    whole: bool
    problem: str = ""


class Attempt(NamedTuple):
    """One try. ``outcome`` is a status, ``again`` when another follows after ``delay`` seconds, or ``broken off`` when
    its process ended. Times are seconds since the run began, ``None`` when they are not known."""

    number: int
    began: float | None
    ended: float | None
    outcome: str
    error: str = ""
    delay: float = 0.0


class Failure(NamedTuple):
    """One error of a failure. ``notes`` are what was noted on it; ``depth`` counts the errors that it caused."""

    kind: str
    text: str
    notes: tuple[str, ...]
    depth: int


class Question(NamedTuple):
    """What a person was asked. ``answers`` are (when, by whom, why it did not fit or nothing)."""

    text: str
    form: str
    choices: tuple[str, ...]
    who: str
    context: str
    answers: tuple[tuple[float, str, str], ...]


class Edit(NamedTuple):
    """A change of the graph that names this step: ``words`` say what was changed, or why it was refused."""

    at: float
    words: str


class HintLine(NamedTuple):
    """One hint: when it was sent, on what, and what it says, in words."""

    at: float
    about: str
    words: tuple[str, ...]


def plain_text(value: Any) -> str:
    """A readable value as text: texts as they are, all else as JSON on several lines."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


# -- what went in ----------------------------------------------------------------------------------------------------


def inputs_of(story: StepStory, view: RunView) -> list[Input]:
    """The arguments of the step by their names, positional ones by their number from 1."""
    called = _newest(story, "called")
    args, kwargs = called.get("args") or ([], {})
    asks = called.get("kind") in ("llm", "agent")
    given = [*_positional(args, view, asks=asks), *((name, value) for name, value in _items(kwargs))]
    return [Input(name, _shown_input(value, view), tuple(_sources(value, view))) for name, value in given]


def _items(kwargs: Any) -> Iterator[tuple[str, Any]]:
    """Of names that hold a tag the journal keeps pairs."""
    yield from (kwargs["v"] if KIND in kwargs else kwargs.items())


def _positional(args: Sequence[Any], view: RunView, *, asks: bool) -> Iterator[tuple[str, Any]]:
    rest = list(args)
    if asks and rest and _CONTEXT.fullmatch(_shown(rest[0])):
        yield "context", rest.pop(0)
    if asks and len(rest) == 1 and isinstance(rest[0], dict) and rest[0].get(KIND) == "tuple":
        rest = rest[0]["v"]
        yield from ((f"prompt {number}" if len(rest) > 1 else "prompt", value) for number, value in enumerate(rest, 1))
    else:
        yield from ((str(number), value) for number, value in enumerate(rest, 1))


def _shown(value: Any) -> str:
    """What stands for a value that is no data: a step's id, what a context holds; empty for data."""
    return str(value["v"]) if isinstance(value, dict) and value.get(KIND) == "shown" else ""


def _shown_input(value: Any, view: RunView) -> str:
    shown = _shown(value)
    if found := _CONTEXT.fullmatch(shown):
        count = int(found[1])
        return f"{count:,} message{'' if count == 1 else 's'} said before"
    return f"the result of {shown}" if shown in view.steps else plain_text(readable(value))


def _sources(value: Any, view: RunView) -> Iterator[StepId]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            stack.extend(reversed(one))
        elif isinstance(one, dict):
            if (shown := _shown(one)) in view.steps:
                yield StepId(shown)
            stack.extend(reversed(one.values()))


# -- what came out ---------------------------------------------------------------------------------------------------


def output_of(step: StepView, story: StepStory) -> Output:
    """The result, or what was streamed so far: by the notes, and by the step's newest text where those lag behind."""
    ended = _newest(story, "ended") if step.finished else {}
    streamed = "" if step.kind == "question" else joined(streamed_of(story), step.tail)
    if not ended:
        return Output(streamed, "", (), whole=False)
    if ended["status"] != "done":
        return Output(streamed, "", (), whole=True, problem=_no_value(ended))
    if "unstorable" in ended:
        return Output(streamed, "", (), whole=True, problem=f"its result is {ended['unstorable']}: it was not kept")
    value = ended.get("value")
    if isinstance(value, dict) and value.get(KIND) == "data" and value.get("c") in _SAID:
        return _said(value["v"])
    return Output("", "None" if value is None else plain_text(readable(value)), (), whole=True)


def _no_value(ended: Mapping[str, Any]) -> str:
    if "error" in ended:
        return str(ended["error"])
    return f"{ended['status']}" + (f" because of {ended['because']}" if "because" in ended else "")


def _said(held: Mapping[str, Any]) -> Output:
    """Of a turn, or of an agent: what its model said last, and the value, unless that is the same."""
    messages = readable(held.get("said") or held.get("more"))
    last: dict[str, Any] = next((one for one in reversed(messages) if one["role"] == "assistant"), {})
    text, value = str(last.get("content") or ""), readable(held.get("value"))
    calls = tuple(called(one["id"], one["name"], one["arguments"]) for one in last.get("tool_calls") or ())
    return Output(text, "" if value is None or value == text else plain_text(value), calls, whole=True)


def called(id_: str, name: str, arguments: str) -> Call:
    """A tool call with its arguments as people read them."""
    try:
        return Call(id_, name, json.dumps(json.loads(arguments), ensure_ascii=False, indent=2))
    except ValueError:
        return Call(id_, name, arguments)


def streamed_of(story: StepStory) -> str:
    """What the last attempt has streamed, by what was noted of it, or by what the program was handed."""
    since = max((entry["seq"] for entry in story.entries if entry["kind"] == "begun"), default=0)
    began = max((entry["at"] for entry in story.entries if entry["seq"] == since), default=0.0)
    noted = [str(note["data"]) for note in story.notes if note["kind"] == "text" and note["at"] >= began]
    handed = [str(entry["data"]) for entry in story.entries if entry["kind"] == "text" and entry["seq"] > since]
    return max("".join(noted), "".join(handed), key=len)


def joined(text: str, tail: str) -> str:
    """A text that goes on with the newest ``TAIL`` characters, or all there are, which it may hold already."""
    if len(tail) < TAIL:
        return max(text, tail, key=len)
    if tail in text:
        return text
    known = next(size for size in range(min(TAIL, len(text)), -1, -1) if text.endswith(tail[:size]))
    return text + tail[known:] if known or not text else f"{text} [...] {tail}"


# -- what was tried, and what failed ---------------------------------------------------------------------------------


def attempts_of(step: StepView, story: StepStory) -> list[Attempt]:
    """Every try, the first one first."""
    found: list[Attempt] = []
    for entry in story.entries:
        data = entry["data"]
        match entry["kind"]:
            case "begun":
                number = data["attempt"] if data else 1
                if found and found[-1].outcome == "running":
                    found[-1] = found[-1]._replace(outcome="broken off")
                found.append(Attempt(number, entry["at"], None, "running"))
            case "retried":
                _close(found, entry["at"], "again", data["error"], data["delay"])
            case "ended":
                _close(found, entry["at"], data["status"], data.get("error", ""), began=data.get("began"))
    if not found and step.attempt:  # of a plain step only the end is written down
        found.append(Attempt(step.attempt, step.started, step.ended, step.status, step.error or ""))
    return found


def _close(
    found: list[Attempt], at: float, outcome: str, error: str, delay: float = 0.0, began: float | None = None
) -> None:
    """The newest attempt is over; one of which no beginning was written is told now."""
    if found and found[-1].outcome == "running":
        found[-1] = found[-1]._replace(ended=at, outcome=outcome, error=error, delay=delay)
    elif outcome in ("again", "done", "failed") or began is not None:
        found.append(Attempt(len(found) + 1, began, at, outcome, error, delay))


def failures_of(story: StepStory) -> list[Failure]:
    """The errors that the step, or the run because of it, ended with: each followed by those that caused it."""
    for kind in ("over", "ended"):
        data = _newest(story, kind)
        if kind == "over" and data.get("step") != story.step:
            continue
        if isinstance(error := data.get("value"), dict) and error.get(KIND) == "error":
            return _chain(error)
    return []


def _chain(error: Mapping[str, Any]) -> list[Failure]:
    found: list[Failure] = []
    stack = [(error, 0)]
    while stack and len(found) < _DEEPEST:
        one, depth = stack.pop()
        notes = (one.get("state") or {}).get("__notes__") or ()
        kind = str(one["c"]).rpartition(":")[2]
        found.append(Failure(kind, str(one["text"]), tuple(map(str, readable(notes))), depth))
        stack += [(inner, depth + 1) for inner in reversed(_inside(one))]
    return found


def _inside(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What caused an error, and those that a group holds."""
    args: list[Any] = (error.get("args") or {}).get("v") or []
    held = args[1] if len(args) == 2 and isinstance(args[1], list) else []  # of a group
    inner = [error.get("cause"), *held]
    return [one for one in inner if isinstance(one, dict) and one.get(KIND) == "error"]


# -- people, edits, hints --------------------------------------------------------------------------------------------


def question_of(story: StepStory) -> Question | None:
    """What a person was asked, ``None`` for a step that asks nobody."""
    data = _newest(story, "asked")
    if not data:
        return None
    asked = data["question"]
    answers = [
        (entry["at"], str(entry["data"].get("by") or ""), str(entry["data"].get("problem") or ""))
        for entry in story.entries
        if entry["kind"] == "answered"
    ]
    return Question(
        str(asked["text"]),
        str(asked["form"]),
        tuple(map(str, asked.get("choices") or ())),
        str(asked.get("who") or ""),
        plain_text(readable(data.get("context", ""))),
        tuple(answers),
    )


def edits_of(story: StepStory) -> list[Edit]:
    """The edits of the graph among its entries: those it made, and those that changed it."""
    return [Edit(entry["at"], _edit_words(entry["data"])) for entry in story.entries if entry["kind"] == "edited"]


def _edit_words(data: Mapping[str, Any]) -> str:
    if data.get("refused"):
        return f"an edit was refused: {'; '.join(map(str, data['refused']))}"
    told = ", ".join(
        f"{change} {step}" + (f" (takes {', '.join(inputs)})" if inputs else "")
        for change, step, inputs in data.get("changes", ())
    )
    return f"{'edited from outside' if 'document' in data else 'edited'}: {told or 'nothing'}"


def hints_of(story: StepStory) -> list[HintLine]:
    """What the engine was told of the step's context, the oldest first."""
    run = next((str(entry["run"]) for entry in story.entries if "run" in entry), "")
    return [HintLine(at, _about(wire, run), tuple(_hint_words(wire))) for at, wire in story.hints]


def _about(wire: Mapping[str, Any], run: str) -> str:
    """Whom it is about, without the name of the run that is looked at anyway."""
    kind, name, *programs = wire["subject"]
    return " of ".join([f"{kind} {name.removeprefix(f'{run}/')}", *(one for one in programs if one and one != run)])


def _hint_words(wire: Mapping[str, Any]) -> Iterator[str]:
    """Times are seconds from when it was sent."""
    if wire.get("ended"):
        yield "ended: it never comes back"
    if wire.get("prefetch"):
        yield "load it now"
    steps, left = wire.get("steps"), wire.get("remaining")
    if steps is not None:
        yield "needed by the next step" if steps == 0 else f"{steps} step{'' if steps == 1 else 's'} to execution"
    if left is not None:
        yield f"{left:.3g} s left" if left else "needed now"
    if wire.get("tool"):
        yield f"waits for {wire['tool']}, for {wire.get('elapsed', 0.0):.3g} s now"
    if wire.get("priority"):
        yield f"priority {wire['priority']:g}"
    if wire.get("prefix_tokens"):
        yield f"fixed prompt of {wire['prefix_tokens']:,} tokens"
    if "keep" in wire:
        yield f"holds for {wire['keep']:.3g} s"


def _newest(story: StepStory, kind: str) -> dict[str, Any]:
    """What the newest entry of a kind says; empty when there is none."""
    found: dict[str, Any] | None = next((one["data"] for one in reversed(story.entries) if one["kind"] == kind), None)
    return found or {}
