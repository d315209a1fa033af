"""The program that a replay runs: turns, the tools between them, and sub-agents side by side."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from agentrt import Agent, Session, program, step, tool
from agentrt.benchmarks.replay.tokens import Told

Plain: TypeAlias = Mapping[str, Any]

replayed = Agent("replayed", temperature=0)


@tool
async def bash(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of a command and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool
async def read(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of reading a file and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool
async def edit(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of changing a file and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool
async def search(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of a search and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool
async def note(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of writing a list and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool(name="tool")
async def other(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of a tool that has no name here and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@tool
async def person(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time until a person has said something and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


@step
async def pause(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Let time pass in which nothing is known to have run, and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


WAITS: Final = {one.name: one for one in (bash, read, edit, search, note, other, person, pause)}
"""What a gap may be, by the name that turns have for it."""


@program
async def replay(session: Plain) -> dict[str, int]:
    """Take the turns of a session (``play.played``), or of a sub-agent of one; what they came to in tokens."""
    contexts: dict[int, Session[str]] = {}
    came_to: Counter[str] = Counter()
    said = ""
    for turn in session["turns"]:
        for helper in [replay(one) for one in turn["helpers"]]:
            came_to += Counter(await helper)
        prompt = turn["prompt"]
        if turn["gap"]:
            prompt = await WAITS[turn["tool"]](turn["word"], turn["gap"], prompt, said)
        context = contexts.get(turn["context"]) or _opened(turn)
        contexts[turn["context"]] = context
        said = await context(prompt)
        came_to += _counted(said)
        if turn["closes"]:
            contexts.pop(turn["context"]).close()
    for helper in [replay(one) for one in session["last"]]:
        came_to += Counter(await helper)
    return dict(came_to)


def _opened(turn: Plain) -> Session[str]:
    """A new context, which begins with the fixed prompt that its first turn names."""
    agent = replayed if not turn["head"] else Agent(turn["agent"], system=turn["head"], temperature=0)
    return agent.session()


def _counted(said: str) -> Counter[str]:
    told = Told.from_text(said)
    return Counter(turns=1, prompt=told.prompt, cached=told.cached, completion=len(told.tokens), regenerated=told.again)
