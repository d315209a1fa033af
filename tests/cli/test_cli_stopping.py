"""Ctrl-C and SIGTERM on a real process: it ends, and nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrt.testing.script import hang
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import environment

_PROGRAM = """
    import asyncio, sys, threading
    from agentrt import Agent, program, step, tool

    writer = Agent("writer")

    @tool
    async def child() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "1000")
        print("child", process.pid, flush=True)
        try:
            return await process.wait()
        finally:
            process.kill()
            await process.wait()

    @step
    def thread() -> None:
        threading.Event().wait()

    @program
    async def busy() -> list[object]:
        return [child(), thread(), *[writer(f"{n}") for n in range(3)]]
"""
_STUBBORN = """
    import asyncio
    from agentrt import program

    @program
    async def stubborn() -> None:
        print("running", flush=True)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("still here", flush=True)
"""


async def start(folder: Path, *words: str) -> asyncio.subprocess.Process:
    """The command in a process group of its own, so that what it leaves behind can be counted."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentrt", "run", *words),
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def line_with(stream: asyncio.StreamReader | None, word: str) -> str:
    """The next line that has the word."""
    assert stream is not None
    async for line in stream:
        if word in line.decode():
            return line.decode()
    raise AssertionError(f"the process ended without a line with {word!r}")


def group_is_gone(process: asyncio.subprocess.Process) -> bool:
    """Whether no process of its group is alive."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
async def test_the_first_signal_cancels_and_leaves_nothing(
    write: Callable[[str, str], Path], number: signal.Signals, reason: str
) -> None:
    """One signal: every step is cancelled, requests end at the server, children are gone, exit code 130."""
    folder = write("busy.py", _PROGRAM).parent
    async with ScriptedServer(lambda asked: hang("Otters")) as server:
        process = await start(folder, "busy.py:busy", "--engine", server.url, "--json")
        await line_with(process.stderr, "child")
        await server.until(lambda it: it.in_flight == 3)
        process.send_signal(number)
        out, err = await process.communicate()
        await server.until(lambda it: it.in_flight == 0)
        assert len(server.cancelled) == 3
    assert process.returncode == 130
    assert group_is_gone(process)
    run = json.loads(out)
    assert run["status"] == "cancelled"
    assert {step["status"] for step in run["steps"]} == {"cancelled"}
    last = err.decode().splitlines()[-1]
    assert last.startswith("agentrt: run ")
    assert last.endswith(f"was cancelled: {reason}")


async def test_the_second_signal_does_not_wait(write: Callable[[str, str], Path]) -> None:
    """A program that will not be cancelled ends with the second signal, as if it had caught none."""
    process = await start(write("stubborn.py", _STUBBORN).parent, "stubborn.py")
    await line_with(process.stderr, "running")
    process.send_signal(signal.SIGINT)
    await line_with(process.stderr, "still here")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in err
    assert group_is_gone(process)


async def test_a_signal_before_the_run_is_one_line(write: Callable[[str, str], Path]) -> None:
    """Ctrl-C while the program is imported ends the command with one line."""
    text = "import threading\nprint('importing', flush=True)\nthreading.Event().wait()\n"
    process = await start(write("slow.py", text).parent, "slow.py")
    await line_with(process.stderr, "importing")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"agentrt: cancelled\n")
