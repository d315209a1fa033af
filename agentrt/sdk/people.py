"""Questions to people: steps whose value somebody gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, TypeVar, Unpack, cast

from pydantic_core import to_json, to_jsonable_python

from agentrt.errors import ConfigError
from agentrt.runtime import Handle, StepSpec, call, owner
from agentrt.runtime.questions import Form, Question
from agentrt.sdk.output import Output
from agentrt.sdk.text import to_text
from agentrt.types import JsonSchema

T = TypeVar("T")

Accept = Callable[[Question, Any], Any]
"""The value of a question's step, of an answer; raises ``ValueError`` saying what does not fit."""


class QuestionOptions(TypedDict, total=False):
    """What every question can be given.

    ``context``: what is shown with it, text as it is, other values as JSON; a handle is waited for. ``within``: seconds
    after which the default counts, by the time of day, also while no process has the run; without a default the step
    then fails with ``StepTimeout``. ``who``: whom it is for, a label. ``after``: handles of steps to wait for.
    """

    context: object
    within: float | None
    who: str
    after: Iterable[Handle[Any]]


def approve(
    text: str | Handle[str], *, default: bool | None = None, **options: Unpack[QuestionOptions]
) -> Handle[bool]:
    """Ask a person for yes or no: ``if await approve("Deploy to production?"): ...``."""
    return _put("approve", text, _checked, default, options)


def choose(
    text: str | Handle[str],
    choices: Sequence[str] | Handle[Sequence[str]] | Handle[list[str]],
    *,
    default: str | None = None,
    **options: Unpack[QuestionOptions],
) -> Handle[str]:
    """Ask a person to choose one of some texts: ``await choose("Which branch?", ["main", "dev"])``."""
    return _put("choose", text, _checked, default, options, choices=choices)


def ask(text: str | Handle[str], *, default: str | None = None, **options: Unpack[QuestionOptions]) -> Handle[str]:
    """Ask a person for a text: ``await ask("What shall it be called?")``."""
    return _put("ask", text, _checked, default, options)


def fill(
    text: str | Handle[str], form: type[T], *, default: T | None = None, **options: Unpack[QuestionOptions]
) -> Handle[T]:
    """Ask a person to fill in a form, given as a pydantic model: ``await fill("Trip details", Trip)``.

    What does not fit is told to whoever answers. Raises ``ConfigError`` for a type that has no JSON schema, and for
    ``str``, which is for ``ask``.
    """
    output = Output(form)
    if output.schema is None:
        raise ConfigError(f"fill({text!r}, str): a text needs no form; use ask({text!r})")

    def accept(_: Question, answer: Any) -> Any:
        return output.parse(to_json(answer).decode())

    return _put("fill", text, accept, default, options, schema=output.schema)


def _put(
    form: Form,
    text: str | Handle[str],
    accept: Accept,
    default: object,
    options: QuestionOptions,
    *,
    schema: JsonSchema | None = None,
    **more: object,
) -> Handle[Any]:
    """Call the step. Its arguments are what makes it this question; how it is put may change before it is resumed."""
    within, who = options.get("within"), options.get("who", "")
    if unknown := options.keys() - QuestionOptions.__annotations__.keys():
        known = ", ".join(sorted(QuestionOptions.__annotations__))
        raise ConfigError(f"{form}({text!r}): no option {', '.join(sorted(unknown))}; there are: default, {known}")
    if within is not None and not 0 < within < float("inf"):
        raise ConfigError(f"{form}({text!r}): within={within!r}: expected seconds above 0, or None for no limit")

    async def body(text: str, *, choices: Sequence[str] = (), context: object = None, default: object = None) -> Any:
        handle = owner.get()
        shown = "" if context is None else to_text(context)
        plain = to_jsonable_python(default)
        question = Question(handle.run.id, handle.id, form, text, tuple(choices), schema, shown, who, plain)
        _check(question, accept)
        return await handle.run.people.ask(handle, question, within, lambda answer: accept(question, answer))

    given = {"context": options.get("context"), "default": default, **more}
    kwargs = {name: value for name, value in given.items() if value is not None}
    return call(StepSpec(form, "question", body), (text,), kwargs, tuple(options.get("after", ())), depth=3)


def _checked(question: Question, answer: Any) -> Any:
    return question.check(answer)


def _check(question: Question, accept: Accept) -> None:
    """Raise ``ConfigError`` for a question that nobody could answer, and a default that is no answer."""
    what, choices = f"question {question.step!r}", cast("tuple[object, ...]", question.choices)
    if not isinstance(question.text, str):
        raise ConfigError(f"{what}: its text is {question.text!r}; expected a text")
    if question.form == "choose" and not (choices and all(isinstance(one, str) for one in choices)):
        raise ConfigError(f"{what}: choices={list(choices)!r}: expected at least one, all of them texts")
    if question.default is not None:
        try:
            accept(question, question.default)
        except ValueError as error:
            raise ConfigError(f"{what}: default={question.default!r} is no answer to it: {error}") from error
