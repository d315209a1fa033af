"""One growing session that uses a tool after every turn, and waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agentrt import Agent, program, tool
from agentrt.benchmarks.kv.given import prompt, reply


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool: its name, the command line if it has one, its seconds, and the text that it gives."""

    tool: str
    command: str
    seconds: float
    result: str


@dataclass(frozen=True, slots=True)
class Task:
    """What one program does: the first question, then one turn more for each use of a tool."""

    opening: str
    uses: tuple[Use, ...]


@tool
async def bash(command: str, asked: str, seconds: float, result: str) -> str:
    """Run a command."""
    await asyncio.sleep(seconds)
    return result


@tool
async def read(command: str, asked: str, seconds: float, result: str) -> str:
    """Read a file."""
    await asyncio.sleep(seconds)
    return result


@tool
async def edit(command: str, asked: str, seconds: float, result: str) -> str:
    """Change a file."""
    await asyncio.sleep(seconds)
    return result


@tool
async def search(command: str, asked: str, seconds: float, result: str) -> str:
    """Look for a text."""
    await asyncio.sleep(seconds)
    return result


@tool
async def note(command: str, asked: str, seconds: float, result: str) -> str:
    """Keep a list of what is to be done."""
    await asyncio.sleep(seconds)
    return result


TOOLS = {"bash": bash, "read": read, "edit": edit, "search": search, "note": note}

coder = Agent("coder", system=prompt("coder"), max_tokens=reply(), temperature=0)


@program
async def tool_loop(task: Task) -> str:
    """Ask, use the tool that was asked for, tell the result, and so on."""
    session = coder.session()
    said = session(task.opening)
    for use in task.uses:
        result = await TOOLS[use.tool](use.command, said, use.seconds, use.result)
        said = session(result)
    return await said
