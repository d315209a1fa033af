"""One session reads a long document, forks into branches that look something up each, and joins their answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agentrt import Agent, program, tool
from agentrt.benchmarks.kv.given import prompt, reply


@dataclass(frozen=True, slots=True)
class Question:
    """What one branch asks, looks up, and how long that takes in seconds."""

    asked: str
    found: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Matter:
    """A document, and rounds of questions that are asked side by side."""

    document: str
    rounds: tuple[tuple[Question, ...], ...]


@tool
async def look_up(asked: str, seconds: float, found: str) -> str:
    """Take its time and give the text."""
    await asyncio.sleep(seconds)
    return found


reader = Agent("reader", system=prompt("reader"), max_tokens=reply(), temperature=0)


@program
async def read_and_ask(matter: Matter) -> str:
    """Read; then, in each round, fork, ask and look up side by side, and tell the session the answers."""
    session = reader.session()
    said = session(matter.document)
    for questions in matter.rounds:
        answers = []
        for question in questions:
            branch = await session.fork()
            looked = look_up(branch(question.asked), question.seconds, question.found)
            answers.append(branch(looked))
        said = session("Join these answers.", answers)
    return await said
