"""A question to a person, as data: it can be shown, and its answer read, without the program that asks it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from agentrt.runtime.forms import misfits
from agentrt.types import JsonSchema, RunId, StepId

Form: TypeAlias = Literal["approve", "choose", "ask", "fill"]
"""approve: yes or no; choose: one of some texts; ask: any text; fill: JSON that fits a schema."""

YES: Final = frozenset({"yes", "y", "true"})
NO: Final = frozenset({"no", "n", "false"})


@dataclass(frozen=True, slots=True)
class Question:
    """What a step of a run asks a person.

    ``context`` is text to show with it, ``who`` whom it is for. ``choices`` belong to the form ``choose``, ``schema``
    to ``fill``. ``default`` is the answer, as plain JSON, that counts when there is none by ``until`` (seconds since
    the epoch), ``None`` if there is none. ``problem`` says what was wrong with the last answer.
    """

    run: RunId
    step: StepId
    form: Form
    text: str
    choices: tuple[str, ...] = ()
    schema: JsonSchema | None = None
    context: str = ""
    who: str = ""
    default: Any = None
    until: float | None = None
    problem: str = ""

    @classmethod
    def of(cls, run: RunId, step: StepId, data: Mapping[str, Any], context: str = "") -> Question:
        """The question that a journal keeps as ``data``."""
        return cls(
            run,
            step,
            cast("Form", data["form"]),
            data["text"],
            tuple(data.get("choices", ())),
            data.get("schema"),
            context,
            data.get("who", ""),
            data.get("default"),
            data.get("until"),
            data.get("problem", ""),
        )

    def data(self) -> dict[str, Any]:
        """What a journal keeps of it beside the run, the step and the context: only what says something."""
        all_of_it = {
            "form": self.form,
            "text": self.text,
            "choices": list(self.choices),
            "schema": self.schema,
            "who": self.who,
            "default": self.default,
            "until": self.until,
            "problem": self.problem,
        }
        return {key: value for key, value in all_of_it.items() if value not in (None, "", [])}

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {"run": self.run, "step": self.step, **self.data(), "context": self.context}

    @property
    def expected(self) -> str:
        """What an answer looks like, in a few words."""
        if self.form == "approve":
            return "yes or no"
        if self.form == "choose":
            return " or ".join(map(repr, self.choices))
        return "a text" if self.form == "ask" else f"JSON of the form {(self.schema or {}).get('title', 'asked for')!r}"

    def read(self, text: str) -> Any:
        """What a person typed, as an answer. Raises ``ValueError`` saying what is expected."""
        if self.form == "ask":
            return text
        said = text.strip()
        if self.form == "approve":
            if said.lower() in YES | NO:
                return said.lower() in YES
        elif self.form == "choose":
            same = [one for one in self.choices if one == said] or [
                one for one in self.choices if one.lower() == said.lower()
            ]
            if len(same) == 1:
                return same[0]
        else:
            return self.check(_parsed(said))
        raise ValueError(f"expected {self.expected}, not {said!r}")

    def check(self, answer: Any) -> Any:
        """The answer, if it fits as far as can be told without the program. Raises ``ValueError`` saying what does not.

        What is no JSON is left to the program.
        """
        if self.form == "fill":
            found = misfits(self.schema, answer) if self.schema and isinstance(answer, _PLAIN) else []
            if found:
                raise ValueError("; ".join(found))
        elif (
            (self.form == "approve" and not isinstance(answer, bool))
            or (self.form == "choose" and answer not in self.choices)
            or (self.form == "ask" and not isinstance(answer, str))
        ):
            raise ValueError(f"expected {self.expected}, not {answer!r}")
        return answer


Answerer: TypeAlias = Callable[[Question], Awaitable[Any] | Any]
"""Asks a person, or stands for one: gives the answer as plain JSON or as the value itself, ``None`` for none.

It is called in the event loop, so one that takes its time is a coroutine function. An answer that does not fit is asked
for again, with ``problem`` saying why.
"""

_PLAIN: Final = (dict, list, str, int, float, bool, type(None))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f'expected JSON, such as {{"name": "value"}}, not {text!r}: {error}') from error
