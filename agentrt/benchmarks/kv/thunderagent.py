"""ThunderAgent's public proxy in front of a stock engine, from a checkout that the user has.

It needs fastapi, httpx and uvicorn, which the environment of the engine holds. Programs are told apart by
``program_id`` in the body of their requests, and released when they have ended.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from agentrt.engine import Device, environment
from agentrt.engine.ports import free_port
from agentrt.engine.shell import own_python
from agentrt.errors import ConfigError, StartError
from agentrt.executors import Emit, SGLangExecutor, ignore
from agentrt.types import ModelReply, ModelRequest

INTERVAL_S: Final = 5.0
"""Seconds between its looks at capacity, before scaling: its own default."""
PATIENCE_S: Final = 30.0
HOST: Final = "127.0.0.1"
MAIN: Final = Path(__file__).with_name("thunderagent_main.py")


def check(checkout: Path) -> Path:
    """The checkout, if it is one. Raises ``ConfigError``."""
    if not (checkout / "ThunderAgent" / "__main__.py").is_file():
        raise ConfigError(
            f"--thunderagent {checkout}: no ThunderAgent/__main__.py there; clone "
            f"https://github.com/ThunderAgent-org/ThunderAgent and give the folder of the checkout"
        )
    return checkout.resolve()


@contextmanager
def proxy(checkout: Path, engine: str, key: str, device: Device, time_scale: float) -> Iterator[str]:
    """Run the proxy in front of the engine at that address for the time of the block; gives the proxy's address."""
    port = free_port(HOST)
    interval = f"{max(0.05, INTERVAL_S * time_scale):g}"
    argv = [
        str(environment(device).python), str(MAIN), "--host", HOST, "--port", str(port),
        "--backends", engine, "--backend-type", "sglang", "--router", "tr", "--metrics", "--metrics-interval", interval,
        "--scheduler-interval", interval, "--use-acting-token-decay", "--log-level", "warning",
    ]  # fmt: skip
    variables = own_python(os.environ) | {"PYTHONPATH": str(checkout), "NO_PROXY": "*"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, env=variables, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, text=True) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(key + "\n")
            process.stdin.flush()
            _wait(f"http://{HOST}:{port}", process)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


def _wait(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False, timeout=1.0).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise StartError(f"ThunderAgent's proxy did not answer within {PATIENCE_S:g} s", log_tail="")


class PerProgram:
    """Sends the turns of each program under its name, and says when a program has ended."""

    name = "ThunderAgent"
    limit = None

    def __init__(self, url: str, model: str, extra: Mapping[str, Any]) -> None:
        self._url = url
        self._model = model
        self._extra = extra
        self._programs: dict[str, SGLangExecutor] = {}

    async def prepare(self) -> None:
        """See ``ModelExecutor``."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """See ``ModelExecutor``."""
        return await self._executor(request.run).execute(request, emit)

    async def release(self, program: str) -> None:
        """The program has ended."""
        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
            (await client.post("/programs/release", json={"program_id": program})).raise_for_status()

    async def close(self) -> None:
        """See ``ModelExecutor``."""
        await asyncio.gather(*(one.close() for one in self._programs.values()))

    def _executor(self, program: str) -> SGLangExecutor:
        if program not in self._programs:
            extra = {**self._extra, "program_id": program}
            self._programs[program] = SGLangExecutor(self._url, model=self._model, extra=extra)
        return self._programs[program]
