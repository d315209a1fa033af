"""Programs and helpers for the tests of ``agentrt runs``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.cli.conftest import environment

PROGRAMS = '''
    import asyncio, os, signal
    from pathlib import Path
    from agentrt import program, step, tool

    @tool
    async def note(text: str) -> str:
        """Write a line into a file, so that it shows how often it ran."""
        with open("notes", "a") as notes:
            notes.write(text + "\\n")
        return text * 3

    @step
    async def inner(text: str) -> str:
        return text.upper()

    @step
    async def outer(text: str) -> str:
        return await inner(text)

    @step
    async def gate(parts: list[str]) -> str:
        """Fail, kill the process, or wait, while there is a file of that name."""
        if Path("fail").exists():
            raise ValueError("the gate is shut \\x1b[31m")
        if Path("kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while Path("wait").exists():
            await asyncio.sleep(0.02)
        return " ".join(parts)

    @program
    async def report(topic: str, *, words: int = 2) -> dict[str, str]:
        notes = [note(f"{topic} {number}") for number in range(words)]
        shouted = outer(topic)
        return {"said": await gate([*notes, shouted])}
'''

TALK = """
    from agentrt import Agent, program

    writer = Agent("writer", system="You write one line.", retries=0)

    @program
    async def talk(topic: str) -> str:
        session = writer.session()
        return f"{await session(topic)} {await session('Go on.')}"
"""


async def begin(folder: Path, *words: str) -> asyncio.subprocess.Process:
    """``agentrt`` in a process of its own, in the test's folder."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentrt", *words),
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def until(process: asyncio.subprocess.Process, said: str) -> None:
    """Read a process's standard error up to the line that says so."""
    assert process.stderr is not None
    seen = []
    async for line in process.stderr:
        seen.append(line.decode())
        if said in seen[-1]:
            return
    raise AssertionError(f"the process ended without saying {said!r}: {''.join(seen)}")


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Its exit code, and the rest of what it wrote."""
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
