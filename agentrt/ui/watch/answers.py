"""What is typed into the form of a question, as an answer: checked as everywhere else. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from agentrt.runtime.forms import Field, fields, misfits, read_field
from agentrt.runtime.questions import Question
from agentrt.ui.words import one_line

WHOLE = ""
"""The name of the only slot of a question that is no form with fields, and of problems with all of an answer."""


class Slot(NamedTuple):
    """Something to be filled in. ``label`` says what goes there, ``given`` is what stands there at first."""

    name: str
    label: str
    given: str


class Typed(NamedTuple):
    """What was typed: an ``answer`` if there are no ``problems``, which are by the name of the slot."""

    answer: Any
    problems: Mapping[str, str]


def slots(question: Question) -> list[Slot]:
    """What there is to type for a question; nothing for one that is answered by a choice."""
    if question.form in ("approve", "choose"):
        return []
    found = _fields(question)
    if not found:
        label = "Your answer" if question.form == "ask" else f"JSON ({one_line(question.expected)})"
        return [Slot(WHOLE, label, "" if question.default is None else _typed(question.default))]
    default = question.default if isinstance(question.default, dict) else {}
    return [_slot(one, default.get(one.name, one.default)) for one in found]


def read(question: Question, texts: Mapping[str, str]) -> Typed:
    """The answer that these texts make, by the name of their slot."""
    found = _fields(question)
    if not found:
        return _whole(question, texts[WHOLE])
    answer: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for one in found:
        text = texts[one.name].strip()
        if not text and not one.required:
            continue
        value = read_field(one.schema, text)
        wrong = misfits(one.schema, value) if text else [f"value: expected {one.hint}"]
        if wrong:
            problems[one.name] = "; ".join(wrong).replace("value: ", "")
        else:
            answer[one.name] = value
    return Typed(None, problems) if problems else _checked(question, answer)


def _whole(question: Question, text: str) -> Typed:
    if not text.strip():
        return Typed(None, {WHOLE: f"expected {question.expected}"})
    try:
        return Typed(question.read(text), {})
    except ValueError as error:
        return Typed(None, {WHOLE: str(error)})


def _checked(question: Question, answer: dict[str, Any]) -> Typed:
    try:
        return Typed(question.check(answer), {})
    except ValueError as error:
        return Typed(None, {WHOLE: str(error)})


def _fields(question: Question) -> list[Field]:
    return fields(question.schema) if question.form == "fill" and question.schema else []


def _slot(one: Field, default: Any) -> Slot:
    left_out = "" if one.required else ", may be left out"
    return Slot(one.name, one_line(f"{one.name} ({one.hint}{left_out})"), "" if default is None else _typed(default))


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
