"""Programs and helpers for the tests of ``agentrt runs``."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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

HALF = """
    from agentrt import program, step

    @step
    async def half(text: str) -> str:
        return text

    @program
    async def cut() -> str:
        return await half("otters \\ud83e")
"""

TALK = """
    from agentrt import Agent, program

    writer = Agent("writer", system="You write one line.", retries=0)

    @program
    async def talk(topic: str) -> str:
        session = writer.session()
        return f"{await session(topic)} {await session('Go on.')}"
"""


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    """``agentrt`` in a process of its own, in the test's folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "agentrt", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], said: str) -> None:
    """Read a process's standard error up to the line that says so."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if said in line:
            return
    raise AssertionError(f"the process ended without saying {said!r}: {''.join(seen)}")


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code, and the rest of what it wrote, with what was read ahead, which ``communicate`` would lose."""
    assert process.stdout is not None
    assert process.stderr is not None
    with process, ThreadPoolExecutor(1) as reader:
        err = reader.submit(process.stderr.read)  # else one pipe is full while the other is read
        out = process.stdout.read()
        return process.wait(timeout=60), out, err.result()
