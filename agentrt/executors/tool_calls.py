"""Finds tool calls in a reply's text, for servers that do not parse them out.

A server without a parser for its model hands the model's own notation through as text. Three notations are
read: ``<tool_call>{...}</tool_call>`` (Hermes, Qwen and their kin), a fenced ```` ```json ```` block, and a
reply that is nothing but JSON. In each, a call is an object ``{"name": ..., "arguments": {...}}`` (or
``parameters``), or a list of them. Text counts as a call only when every object in it names a tool that was
offered, so that an answer which merely contains JSON stays an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeAlias

from agentrt.types import ToolCall

Found: TypeAlias = tuple[str, list[tuple[str, str]]]
"""The text outside the calls, and each call's name and arguments (JSON text)."""

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_FENCE = re.compile(r"```(?:json|tool_call|tool_code)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_KEYS = {"name", "arguments", "parameters", "id", "type"}


def find_tool_calls(
    text: str, tools: Collection[str], *, prefix: str = "call", bare: bool = True, cut: bool = False
) -> tuple[str, tuple[ToolCall, ...]]:
    """Split ``text`` into the words around the calls and the calls themselves, in order.

    ``tools`` are the names that may be called; ``prefix`` starts each call's id. ``bare=False`` reads only
    the tagged notation: for replies that were asked to be JSON anyway. ``cut=True`` says that the reply ran
    out of tokens: of a bare list that broke off, the complete calls count. Text without calls comes back as
    it was.
    """
    readers = (_tagged, _fenced, _whole, _broken_list) if bare and cut else (_tagged, _fenced, _whole)
    for reader in readers if bare else readers[:1]:
        rest, calls = reader(text, tools)
        if calls:
            return rest, tuple(ToolCall(f"{prefix}_{n}", name, args) for n, (name, args) in enumerate(calls))
    return text, ()


def _tagged(text: str, tools: Collection[str]) -> Found:
    """``<tool_call>`` blocks; the closing tag may be missing, as when the model's end token took its place."""
    calls: list[tuple[str, str]] = []
    rest: list[str] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        found = _leading_json(text, start + len(_OPEN))
        read = _read(found[0], tools) if found else []
        if not found or not read:
            rest.append(text[at : start + len(_OPEN)])
            at = start + len(_OPEN)
            continue
        calls += read
        rest.append(text[at:start])
        at = _past_close(text, found[1])
    rest.append(text[at:])
    return "".join(rest).strip(), calls


def _leading_json(text: str, at: int) -> tuple[Any, int] | None:
    while at < len(text) and text[at].isspace():
        at += 1
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return value, end


def _past_close(text: str, at: int) -> int:
    close = text.find(_CLOSE, at)
    return close + len(_CLOSE) if close >= 0 and not text[at:close].strip() else at


def _fenced(text: str, tools: Collection[str]) -> Found:
    return _replace(text, _FENCE.finditer(text), lambda match: _parse(match.group(1), tools))


def _replace(
    text: str, matches: Iterator[re.Match[str]], read: Callable[[re.Match[str]], list[tuple[str, str]]]
) -> Found:
    calls: list[tuple[str, str]] = []
    rest: list[str] = []
    at = 0
    for match in matches:
        if found := read(match):
            calls += found
            rest.append(text[at : match.start()])
            at = match.end()
    rest.append(text[at:])
    return "".join(rest).strip(), calls


def _whole(text: str, tools: Collection[str]) -> Found:
    return "", _parse(text, tools)


def _broken_list(text: str, tools: Collection[str]) -> Found:
    """The complete calls at the start of a list whose end is missing."""
    text = text.strip()
    values: list[Any] = []
    at = 1
    while text.startswith("[") and (found := _leading_json(text, at)):
        values.append(found[0])
        at = text.find(",", found[1])
        if at < 0 or text[found[1] : at].strip():
            break
        at += 1
    return "", _read(values, tools)


def _parse(text: str, tools: Collection[str]) -> list[tuple[str, str]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return _read(value, tools)


def _read(value: Any, tools: Collection[str]) -> list[tuple[str, str]]:
    """The calls in one JSON value; none at all when any of it is no call."""
    entries = value if isinstance(value, list) else [value]
    calls = [_call(entry, tools) for entry in entries]
    good = [call for call in calls if call is not None]
    return good if len(good) == len(calls) else []


def _call(entry: Any, tools: Collection[str]) -> tuple[str, str] | None:
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("function"), dict) and not entry.keys() - {"function", "id", "type"}:
        entry = entry["function"]
    name = entry.get("name")
    if not isinstance(name, str) or name not in tools or entry.keys() - _KEYS:
        return None
    arguments = entry.get("arguments", entry.get("parameters"))
    if isinstance(arguments, str):
        return name, arguments
    if isinstance(arguments, dict):
        return name, json.dumps(arguments, ensure_ascii=False)
    return None
