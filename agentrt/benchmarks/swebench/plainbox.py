"""A stand-in for the sandbox with the same signature: a process group, and nothing contained."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str
    seconds: float
    cpu_s: float
    peak_memory: int
    killed_by: str
    truncated: bool


class Sandbox:
    def __init__(
        self,
        workdir: Path,
        *,
        limits: object = None,
        network: bool = False,
        writable: Sequence[Path] = (),
        readonly: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        ways: object = None,
    ) -> None:
        self.workdir, self._env = workdir, dict(env or {})

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, what: Sequence[str] | str, *, timeout: float, stdin: bytes = b"") -> Finished:
        argv = ["bash", "-c", what] if isinstance(what, str) else list(what)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=self.workdir, env=self._env, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        killed = ""
        talk = asyncio.ensure_future(process.communicate(stdin))
        try:
            done, _ = await asyncio.wait({talk}, timeout=timeout)
            if not done:
                killed = "time"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        out, err = await talk
        took = time.monotonic() - began
        return Finished(
            process.returncode or 0,
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            took,
            0.0,
            0,
            killed,
            False,
        )

    async def read(self, path: str) -> bytes:
        return (self.workdir / path).read_bytes()

    async def write(self, path: str, data: bytes) -> None:
        (self.workdir / path).write_bytes(data)
