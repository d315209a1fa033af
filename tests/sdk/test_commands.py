"""Programs that tools run."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from agentrt import Completed, Runtime, command, program, tool
from agentrt.errors import ConfigError

TREE = """
import os, sys
if os.fork() == 0:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
fifo = os.open(sys.argv[1], os.O_WRONLY)  # both hold it open until they end
os.write(fifo, b"x")
import signal
signal.pause()
"""


async def test_output_code_and_input() -> None:
    """What the program wrote and how it ended comes back, and text goes in."""
    code = "import sys; print(sys.stdin.read().upper(), end=''); print('careful', file=sys.stderr); sys.exit(3)"
    assert await command(sys.executable, "-c", code, stdin="héllo") == Completed(3, "HÉLLO", "careful\n")


async def test_folder_and_variables(tmp_path: Path) -> None:
    """It runs where it is told, with variables added to those there are."""
    code = "import os; print(os.getcwd(), os.environ['COLOUR'], 'PATH' in os.environ)"
    done = await command(sys.executable, "-c", code, cwd=tmp_path, env={"COLOUR": "blue"})
    assert done.stdout.split() == [str(tmp_path), "blue", "True"]


async def test_a_cancelled_step_ends_the_program_and_all_it_started(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is gone too: nobody holds the pipe open any more."""
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)

    @tool
    async def hang() -> Completed:
        return await command(sys.executable, "-c", TREE, str(fifo))

    @program
    async def main() -> Completed:
        return await hang()

    async with Runtime({}) as runtime:
        run = runtime.start(main)
        reader = await asyncio.to_thread(os.open, fifo, os.O_RDONLY)  # waits for a writer
        said = b""
        while len(said) < 2:
            said += await asyncio.to_thread(os.read, reader, 10)
        run.cancel()
        assert (await run).status == "cancelled"
    assert await asyncio.to_thread(os.read, reader, 10) == b""  # end of file: every writer has ended
    os.close(reader)


async def test_a_program_that_is_not_there_is_named() -> None:
    """The error names what could not be started."""
    with pytest.raises(ConfigError, match="cannot start 'no-such-program'"):
        await command("no-such-program")
    with pytest.raises(ConfigError, match="needs a program"):
        await command()
