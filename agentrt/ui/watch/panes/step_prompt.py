"""What a model was sent, as lines: the part that came from the cache has a rail before it. Nothing of Textual."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.folds.prompts import Prompt, Sent
from agentrt.ui.folds.stories import Call
from agentrt.ui.watch.panes.text_lines import Line
from agentrt.ui.words import clean, counted, lines_of, share

RAIL: Final = "▌"
"""Stands before each line that came from the cache."""

ABOUT: Final = "≈"
_INDENT: Final = 2
_LONG_WORD: Final = 24


def prompt_lines(prompt: Prompt) -> list[Line]:
    """The messages by their roles, and before them what the engine says of its cache."""
    lines = [*_summary(prompt), Line()]
    told = prompt.certain or prompt.usage is None
    for message in prompt.messages:
        if not told and not message.whole:
            told = True
            lines += _broken(message, prompt)
        else:
            lines += _message(message)
        lines.append(Line(rail=_rail(message.whole), look=_look(message.whole)))
    if prompt.schema is not None:
        lines.append(Line("asked for JSON of this schema", look="strong", aside=True))
        lines += _text(json.dumps(prompt.schema, ensure_ascii=False, indent=2))
    return lines


def prompt_text(prompt: Prompt) -> str:
    """The messages as a text for the clipboard, with signs in place of what would steer a terminal."""
    parts = []
    for message in prompt.messages:
        calls = (f"{call.name} {call.arguments}" for call in message.calls)
        said = "\n".join(filter(None, [message.text, *calls]))
        parts.append("\n".join([f"[{_title(message)}]", *lines_of(said)]))
    return "\n\n".join(parts)


def _summary(prompt: Prompt) -> Iterator[Line]:
    usage = prompt.usage
    if usage is None:
        yield Line("How much came from the cache is told when the turn has ended.", look="quiet", aside=True)
        return
    part = f"{usage.cached:,} of {counted(usage.prompt, 'token')} ({share(usage.cached, usage.prompt)})"
    yield Line(f"{part} came from the cache, by the engine's count.", look="strong", aside=True)
    if not usage.cached:
        return
    words = f"{RAIL} marks them"
    if not prompt.certain:
        words += f"; where they end ({ABOUT}) is an estimate: the engine's count laid over the text"
    if prompt.requests > 1:
        words += f". It counted {prompt.requests} requests together; this is the last one"
    yield Line(f"{words}.", look="quiet", aside=True)


def _message(message: Sent) -> Iterator[Line]:
    cached = message.whole
    yield _head(message, cached=cached)
    yield from _text(message.text, cached=cached)
    for call in message.calls:
        yield from call_lines(call, cached=cached)


def _broken(message: Sent, prompt: Prompt) -> Iterator[Line]:
    """The message within which, or before which, the cached part ends."""
    at = _word_end(message.text, message.cached or 0)
    usage = prompt.usage
    count = "" if usage is None else f": {usage.cached:,} of {counted(usage.prompt, 'token')}"
    ruler = Line(f"╌╌╌ about here the cached part ends{count} ╌╌╌", "cached", ABOUT, "cached", aside=True)
    if not at:
        yield ruler
    yield _head(message, cached=bool(at))
    if at:
        yield from _text(message.text[:at], cached=True)
        yield ruler
    if at < len(message.text) or not at:
        yield from _text(message.text[at:])
    for call in message.calls:
        yield from call_lines(call)


def _word_end(text: str, at: int) -> int:
    """The place is an estimate: no word is cut in two for it, unless it is a long one."""
    if at >= len(text):
        return at
    blank = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at)) + 1
    return blank if blank > at - _LONG_WORD else at


def _head(message: Sent, *, cached: bool) -> Line:
    return Line(_title(message), "role", rail=_rail(cached))


def _title(message: Sent) -> str:
    return clean(message.role + (f" · {message.of}" if message.of else ""))


def _text(text: str, *, cached: bool = False) -> Iterator[Line]:
    if text:
        rail, look = _rail(cached), _look(cached)
        yield from (Line(line, look, rail=rail, indent=_INDENT) for line in lines_of(text))


def call_lines(call: Call, *, cached: bool = False) -> Iterator[Line]:
    """A tool call: the tool's name, and its arguments on lines of their own if they need several."""
    first, *more = lines_of(call.arguments)
    name = lines_of(call.name)[0]
    spans: tuple[tuple[int, int, Look], ...] = ((0, 2 + len(name), "tool"),)
    look, rail = _look(cached), _rail(cached)
    yield Line(f"⚒ {name} {first}", look, rail=rail, indent=_INDENT, spans=spans)
    yield from (Line(line, look, rail=rail, indent=2 * _INDENT) for line in more)


def _rail(cached: bool) -> str:
    return RAIL if cached else ""


def _look(cached: bool) -> Look | None:
    return "cached" if cached else None
