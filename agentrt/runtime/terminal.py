"""Asking a person in the terminal: lines out, lines in, and nothing of it holds up the event loop."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agentrt.runtime.forms import Field, fields, misfits, read_field
from agentrt.runtime.questions import Answerer, Question

Write = Callable[[str], None]
ReadLine = Callable[[], Awaitable[str | None]]
"""The next line that is typed, without its end; ``None`` when there will be none."""

CONTEXT_LINES: Final = 40
"""Lines of a question's context that are shown; the rest is counted."""


def own_terminal() -> Answerer | None:
    """Asks in this process's terminal, one question after the other; ``None`` when it has none."""
    if not has_terminal():
        return None
    turn = asyncio.Lock()

    async def ask(question: Question) -> Any:
        async with turn:
            return await converse(question, typed_line, _to_stderr)

    return ask


def has_terminal() -> bool:
    """Whether somebody can read what this process asks, and type an answer."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):  # no such stream, or a closed one
        return False


async def converse(question: Question, read: ReadLine, write: Write) -> Any:
    """Ask until what is typed fits; ``None`` when the person leaves it (an end of file, Ctrl-D)."""
    for line in introduction(question):
        write(f"{line}\n")
    while True:
        try:
            return await _answer(question, read, write)
        except EOFError:
            write("\n")
            return None
        except asyncio.CancelledError:  # answered elsewhere, too late, or not asked any more
            write("\n")
            raise
        except ValueError as error:
            write(f"  {_harmless(str(error))}\n")


async def typed_line() -> str | None:
    """The next line that is typed into standard input; ends well when it is cancelled."""
    loop = asyncio.get_running_loop()
    number = sys.stdin.fileno()
    ready = asyncio.Event()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)
    line = os.read(number, 65536)  # a terminal gives one line at a time
    return line.decode(errors="replace").rstrip("\r\n") if line else None


def introduction(question: Question) -> list[str]:
    """What is shown of a question: the problem with the last answer, what is asked, what goes with it, until when."""
    lines = [f"  {question.problem}"] if question.problem else []
    to = f", for {question.who}" if question.who else ""
    lines.append(f"? {question.text}  ({question.step}{to})")
    context = question.context.splitlines()
    lines += [f"  | {line}" for line in context[:CONTEXT_LINES]]
    if len(context) > CONTEXT_LINES:
        lines.append(f"  | ... {len(context) - CONTEXT_LINES} more lines")
    lines += [f"  {number}. {choice}" for number, choice in enumerate(question.choices, start=1)]
    if question.until is not None:
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(question.until))
        lines.append(f"  until {until}" + ("" if question.default is None else f", else {_shown(question)}"))
    return [_harmless(line) for line in lines]


async def _answer(question: Question, read: ReadLine, write: Write) -> Any:
    found = fields(question.schema) if question.form == "fill" and question.schema else []
    if found:
        default = question.default if isinstance(question.default, dict) else {}
        return question.check({one.name: value async for one, value in _fields(found, default, read, write)})
    shown = "" if question.default is None else f" [{_shown(question)}]"
    write(f"  {_wanted(question)}{shown}: ")
    text = await _line(read)
    if not text.strip() and question.default is not None:
        return question.default
    if question.choices and text.strip() not in question.choices and text.strip().isdigit():
        number = int(text)
        if 1 <= number <= len(question.choices):
            return question.choices[number - 1]
    if not text.strip():
        raise ValueError(f"expected {question.expected}")
    return question.read(text)


async def _fields(found: list[Field], given: dict[str, Any], read: ReadLine, write: Write) -> Any:
    """Each field that is filled, with its value; one that may be left out is by an empty line."""
    for one in found:
        default = given.get(one.name, one.default)
        shown = f" [{default}]" if default is not None else "" if one.required else " [leave out]"
        prompt = _harmless(f"{one.name} ({one.hint}){shown}")
        while True:
            write(f"  {prompt}: ")
            text = (await _line(read)).strip()
            if not text and (one.name in given or not one.required):
                break
            value = read_field(one.schema, text)
            problems = misfits(one.schema, value) if text else [f"value: expected {one.hint}"]
            if not problems:
                yield one, value
                break
            write(f"  {_harmless('; '.join(problems).replace('value:', f'{one.name}:'))}\n")
        if not text and one.name in given:
            yield one, given[one.name]


async def _line(read: ReadLine) -> str:
    line = await read()
    if line is None:
        raise EOFError
    return line


def _wanted(question: Question) -> str:
    return {"approve": "yes or no", "choose": "which", "ask": "your answer", "fill": "JSON"}[question.form]


def _shown(question: Question) -> str:
    if question.form == "approve":
        return "yes" if question.default else "no"
    return _harmless(question.default if isinstance(question.default, str) else json.dumps(question.default))


def _harmless(text: str) -> str:
    """Without what would steer a terminal: a question may hold what a model wrote."""
    return "".join(one if one.isprintable() or one == "\t" else "?" for one in text)


def _to_stderr(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
