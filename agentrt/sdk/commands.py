"""Other programs, run by tools: they end with the step that started them."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentrt.errors import ConfigError
from agentrt.kvcache.estimators import first_word
from agentrt.runtime import owner

GRACE: Final = 3.0
"""Seconds between asking a program to end (SIGTERM) and making it (SIGKILL)."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended: its exit ``code`` (minus the signal that killed it) and all that it wrote."""

    code: int
    stdout: str
    stderr: str


async def command(
    *argv: str,
    stdin: str | None = None,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program and wait for it; for tools that need one.

    When the step is cancelled or times out, the program and everything that it started end too, before the step does.
    ``env`` adds to the variables it inherits. A program that fails is no error: look at ``code``. Raises
    ``ConfigError`` for a program that cannot be started. Output is read as UTF-8, what is not is replaced.
    """
    if not argv:
        raise ConfigError('command() needs a program: command("git", "status")')
    _tell_word(argv)
    variables = None if env is None else {**os.environ, **env}
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=DEVNULL if stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=cwd,
            env=variables,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot start {argv[0]!r}: {error}; name a program on PATH and a folder that is there"
        ) from error
    try:
        out, err = await process.communicate(None if stdin is None else stdin.encode())
    finally:
        await _uninterrupted(process)
    assert process.returncode is not None, "communicate() waits for the end"
    return Completed(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _tell_word(argv: tuple[str, ...]) -> None:
    """Note on the running step which program it waits for: pytest takes other times than ls."""
    handle = owner.get(None)
    if handle is not None:
        handle.node.word = first_word(shlex.join(argv))


async def _uninterrupted(process: Process) -> None:
    """End what is left of the process's group, even when cancelled meanwhile."""
    ending = asyncio.ensure_future(_end_group(process))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


async def _end_group(process: Process) -> None:
    if process.returncode is None and _signal(process, signal.SIGTERM):
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)
    _signal(process, signal.SIGKILL)  # also what the program left behind
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> bool:
    """Whether there was anybody left to signal."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
