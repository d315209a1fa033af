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


async def wait(command: str, seconds: float, prompt: str, said: str = "") -> str:
    """Take the time of what went on between two turns, and give the next prompt."""
    await asyncio.sleep(seconds)
    return prompt


TOOLS: Final = ("bash", "read", "edit", "search", "note", "tool", "person")
"""Tools by the names that recordings are told apart by, so that their durations are learned apart; ``tool`` is one
that has no name here, ``person`` the time until somebody has said something."""

WAITS: Final = {name: tool(name=name)(wait) for name in TOOLS} | {"pause": step(name="pause")(wait)}
"""What a gap may be, by the name that turns have for it; in a pause nothing is known to have run."""


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
