"""The way with containers: the official images and scripts, run by Docker or what answers to its command line.

Each candidate gets a container of its own, with limits, that is removed at its end. The network is left on, as in the
official harness: its scripts install the repository anew, which may fetch what building takes.
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from typing import Final

from agentrt.benchmarks.swebench.instances import Instance
from agentrt.errors import SetupError

_LIMITS: Final = ("--memory=4g", "--memory-swap=4g", "--pids-limit=1024", "--cpus=2")
_KEPT: Final = 64 << 20


class Containers:
    """Runs tests in official images. ``engine`` is the command, ``folder`` where what a container reads is put."""

    def __init__(self, folder: Path, engine: str = "docker") -> None:
        self._folder = folder.absolute()
        self._engine = engine

    async def check(self) -> None:
        """Raises ``SetupError`` when no engine answers."""
        try:
            code, said = await self._ran(["version"], 30.0)
        except FileNotFoundError as error:
            raise SetupError(f"there is no {self._engine}; install it, or leave --containers out") from error
        if code:
            raise SetupError(
                f"{self._engine} does not answer: {said.strip()[-300:]}; start it, or leave --containers out"
            )

    async def test(self, instance: Instance, patch: str, within: float) -> str:
        """See ``Way``. Raises ``SetupError`` when the container cannot be run."""
        name = f"agentrt-{secrets.token_hex(6)}"
        given = self._folder / name
        given.mkdir(parents=True)
        (given / "candidate.patch").write_text(patch if patch.endswith("\n") else patch + "\n", encoding="utf-8")
        (given / "run.sh").write_text(instance.contained(GIVEN, patched=bool(patch.strip())), encoding="utf-8")
        try:
            code, said = await self._ran(arguments(name, given, instance.image), within)
        finally:
            await asyncio.shield(self._ran(["rm", "--force", name], 60.0))
            for one in given.iterdir():
                one.unlink()
            given.rmdir()
        if code == _NOT_RUN:
            raise SetupError(f"{self._engine} cannot run {instance.image}: {said.strip()[-300:]}")
        return said if code is not None else f"{said}\n>>>>> Tests Timed Out after {within:g} s\n"

    async def _ran(self, arguments: list[str], within: float) -> tuple[int | None, str]:
        """The exit status, ``None`` when it took longer, and what it wrote to both streams."""
        process = await asyncio.create_subprocess_exec(
            self._engine, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        said = bytearray()
        assert process.stdout is not None
        try:
            async with asyncio.timeout(within):
                while chunk := await process.stdout.read(1 << 16):
                    said += chunk[: max(0, _KEPT - len(said))]
                await process.wait()
        except TimeoutError:
            return None, said.decode(errors="replace")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, said.decode(errors="replace")


GIVEN: Final = "/candidate"
"""Where a container finds the patch and the script."""

_NOT_RUN: Final = 125
"""Docker's own exit status for a container that it could not run."""


def arguments(name: str, given: Path, image: str) -> list[str]:
    """The command line that runs one candidate's tests in a container of that name."""
    mount = f"type=bind,source={given},target={GIVEN},readonly"
    return ["run", "--rm", f"--name={name}", *_LIMITS, f"--mount={mount}", image, "bash", f"{GIVEN}/run.sh"]
