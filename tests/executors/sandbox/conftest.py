"""Boxes for tests: each sound way that works on this machine, the others skipped with the reason."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agentrt.executors.sandbox import MIB, SOUND, Finished, Limits, Sandbox, Way, interpreter_folders, why_not

SMALL = Limits(memory=200 * MIB, processes=40, disk=40 * MIB, files=1500, output=4 * MIB, kept=8192, grace=0.3)


@pytest.fixture(params=SOUND)
async def way(request: pytest.FixtureRequest) -> Way:
    """A way that contains what it runs."""
    if reason := await why_not(request.param):
        pytest.skip(f"{request.param} does not work here: {reason}")
    return request.param


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of ours beside the work folder."""
    path = tmp_path / "secret.txt"
    path.write_text("the key")
    return path


@pytest.fixture
async def box(way: Way, work: Path) -> AsyncIterator[Sandbox]:
    """A small box; whatever was done to it, it serves the next command."""
    async with Sandbox(work, limits=SMALL, ways=(way,), readonly=interpreter_folders(sys.executable)) as entered:
        yield entered
        after = await entered.run("echo still here", timeout=30)
        assert (after.code, after.out, after.killed_by) == (0, "still here\n", "")


@pytest.fixture
def python(box: Sandbox) -> Callable[..., object]:
    """Runs a piece of Python in the box."""

    async def run(code: str, *, timeout: float = 30.0) -> Finished:
        return await box.run([sys.executable, "-I", "-c", textwrap.dedent(code)], timeout=timeout)

    return run


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that other processes do; the test's time limit is the bound."""
    while not condition():
        await asyncio.sleep(0.01)


def processes_with(word: str) -> list[int]:
    """Processes of this machine that have ``word`` in their command line, where words are parted by zero bytes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
