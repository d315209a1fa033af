"""What a scripted server is told to answer, and what it was asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agentrt.testing.samples import sample
from agentrt.types import FinishReason, ToolCall

Piece: TypeAlias = str | asyncio.Event
"""A piece of text to stream, or a gate: streaming goes on when the event is set."""

Ending: TypeAlias = Literal["well", "hangs", "breaks off", "garbage", "empty"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a scripted server; made by ``say``, ``call``, ``refuse`` and the rest below.

    A ``status`` other than 200 answers with an error and ``message`` at once. Otherwise ``pieces`` are
    streamed, then ``tool_calls``, and ``ending`` says what comes after. ``finish`` is worked out when
    ``None``.
    """

    pieces: tuple[Piece, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason | None = None
    ending: Ending = "well"
    status: int = 200
    message: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server saw it. ``prompt`` is the prompt as it would reach a model, one word a token."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    prompt: tuple[str, ...] = ()
    messages: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = field(default=None)

    @property
    def last(self) -> str:
        """The text of the last message; empty when there is none."""
        return str(self.messages[-1].get("content") or "") if self.messages else ""


Script: TypeAlias = Callable[[Asked], Reply | Awaitable[Reply]]


def say(*pieces: Piece, finish: FinishReason | None = None) -> Reply:
    """Text. One string is streamed word by word, several as given; events among them are gates."""
    return Reply(_words(pieces), finish=finish)


def say_json(value: Any) -> Reply:
    """A JSON value as text."""
    return say(json.dumps(value))


def call(tool: str, /, **arguments: Any) -> Reply:
    """One tool call."""
    return calls((tool, arguments))


def calls(*wanted: tuple[str, Mapping[str, Any] | str], text: str = "") -> Reply:
    """Several tool calls; arguments given as a string are sent as they are, valid JSON or not."""
    made = tuple(
        ToolCall(f"scripted_{n}", name, given if isinstance(given, str) else json.dumps(given))
        for n, (name, given) in enumerate(wanted)
    )
    return Reply(_words((text,)) if text else (), made)


def refuse(status: int, message: str) -> Reply:
    """An HTTP error."""
    return Reply(status=status, message=message)


def hang(*pieces: Piece) -> Reply:
    """The pieces, then silence until the client leaves."""
    return Reply(_words(pieces), ending="hangs")


def break_off(*pieces: Piece) -> Reply:
    """The pieces, then a closed connection."""
    return Reply(_words(pieces), ending="breaks off")


def garbage(*pieces: Piece) -> Reply:
    """The pieces, then an event that is no JSON."""
    return Reply(_words(pieces), ending="garbage")


def empty() -> Reply:
    """Status 200 and an event stream with nothing in it."""
    return Reply(ending="empty")


def echo(asked: Asked) -> Reply:
    """The default script: the last message back.

    Where a schema is asked for, a small value that fits it; where a tool call is required, a call of the
    first tool with arguments that fit.
    """
    if asked.body.get("tool_choice") == "required" and asked.tools:
        tool = asked.tools[0].get("function", {})
        return call(tool["name"], **sample(tool.get("parameters") or {"type": "object"}))
    if asked.schema is not None:
        return say_json(sample(asked.schema))
    return say(asked.last)


def in_order(replies: Sequence[Reply]) -> Script:
    """A script that gives each reply once, in order; more requests than replies get an error that says so."""
    left = iter(replies)

    def answer(asked: Asked) -> Reply:
        done = refuse(500, f"the script holds {len(replies)} replies and this request came after them")
        return next(left, done)

    return answer


def _words(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    if len(pieces) == 1 and isinstance(pieces[0], str):
        return tuple(re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", pieces[0]))
    return pieces
