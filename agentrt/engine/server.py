"""Start the engine's process, watch it, and end it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agentrt.engine import health, ports, process, records
from agentrt.engine.environment import HERE, Device, Environment, choose_device, environment
from agentrt.engine.model import Model, check_model, model
from agentrt.engine.paths import Home, home, private_folder
from agentrt.engine.plugin import plugin_folder
from agentrt.engine.progress import Progress, Silent
from agentrt.engine.records import EngineInfo
from agentrt.engine.spec import HOST, EngineSpec, engine_environment, server_args
from agentrt.errors import StartError

START_S = {"cpu": 300.0, "cuda": 1800.0}
"""How long a start may take: on a GPU the weights may come from the network first."""
GRACE_S = 10.0
POLL_S = 0.1


class Engine:
    """A started engine and the process behind it. ``stop`` it, or ``release`` it to live on by itself."""

    def __init__(self, info: EngineInfo, child: subprocess.Popen[bytes], where: Home) -> None:
        self.info = info
        self._child = child
        self._where = where

    def __repr__(self) -> str:
        return f"Engine({self.info!r})"

    @property
    def url(self) -> str:
        """Where it answers, without a path: ``http://127.0.0.1:PORT``."""
        return self.info.url

    @property
    def api_key(self) -> str:
        """What requests carry as ``Authorization: Bearer``."""
        return self.info.api_key

    @property
    def model(self) -> str:
        """What requests call its model."""
        return self.info.model

    def exit_story(self) -> str | None:
        """How it ended, with the end of its log; ``None`` while it runs."""
        status = self._child.poll()
        return None if status is None else ended(status, Path(self.info.log))

    def wait_healthy(self, progress: Progress | None = None, *, timeout_s: float | None = None) -> None:
        """Wait until it has generated a token. Raises ``StartError`` if it ends first or takes too long."""
        progress = progress or Silent()
        limit = timeout_s or START_S[self.info.device]
        deadline = time.monotonic() + limit
        why = "it does not listen yet"
        while time.monotonic() < deadline:
            if (story := self.exit_story()) is not None:
                raise StartError(story, log_tail=self._tail())
            progress.tick()
            if not ports.answers(HOST, self.info.port):
                time.sleep(POLL_S)
            elif (answer := health.probe(self.url, self.api_key, self.model)) is None:
                return
            else:
                why = answer
                time.sleep(POLL_S)
        tail = self._tail()
        raise StartError(
            f"the engine generated no token within {limit:.0f} s ({why}); the end of its log {self.info.log}:\n{tail}",
            log_tail=tail,
        )

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """End it and its children; when this returns none is left. Stopping twice does nothing."""
        process.end_session(self.info.pid, grace_s=grace_s, reap=self._child.poll)
        self._child.wait()  # its threads may take a moment longer than itself
        records.forget(self.info, self._where)

    def release(self) -> EngineInfo:
        """Let it live on after this process; return what finds it again."""
        self._child.returncode = 0  # nobody here waits for it any more, and Popen need not warn that it runs
        return self.info

    def _tail(self) -> str:
        return process.tail(self.info.log)


def ended(status: int, log: Path) -> str:
    """Say how an engine ended: ``status`` as ``subprocess`` gives it, negative for a signal."""
    said = process.tail(log)
    if status == -9 and _CHILD_FAILED in said:
        how = "ended, because a process of it failed"
    elif status == -9:
        how = "was killed, by somebody or because memory ran out (then try a smaller --max-total-tokens)"
    elif status < 0:
        how = f"was ended by signal {-status}"
    else:
        how = f"ended by itself with status {status}"
    return f"the engine {how}; the end of its log {log}:\n{said}"


_CHILD_FAILED = "sigquit from a child process"  # SGLang's words, before it kills itself


def launcher(device: Device) -> tuple[str, ...]:
    """What the engine's Python runs: stock processes on a GPU, forked ones, which start sooner, on a CPU."""
    if device == "cuda":
        return ("-m", "agentrt.kvcache.sglang.launch")
    return ("-P", str(HERE / "inside" / "launch_forked.py"))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a start needs beyond the specification; tests put their own in."""

    environment: Callable[..., Environment] = environment
    model: Callable[..., Model] = model
    launcher: Callable[[Device], tuple[str, ...]] = launcher
    start_s: float | None = None
    """How long a start may take, instead of ``START_S``."""
    clock: Callable[[], float] = time.time
    new_key: Callable[[], str] = secrets.token_urlsafe


def start(
    spec: EngineSpec,
    *,
    attached: bool = True,
    progress: Progress | None = None,
    where: Home | None = None,
    parts: Parts = Parts(),
) -> Engine:
    """Install what is missing, start an engine and return it once it generated a token.

    An ``attached`` engine ends with this process, however that ends. Raises ``ConfigError`` for settings that
    cannot work, ``SetupError`` and ``StartError`` for the world's failures; nothing is left running then.
    """
    progress, where = progress or Silent(), where or home()
    device = choose_device(spec.device)
    check_model(spec.model)
    if spec.port:
        ports.check_free(HOST, spec.port)
    env = parts.environment(device, progress=progress, where=where)
    served = parts.model(spec.model, env, progress=progress, where=where)
    progress.step(f"Starting the engine ({served.name} on {device})")
    engine = _launched(spec, env, served, attached, where, parts)
    try:
        engine.wait_healthy(progress, timeout_s=parts.start_s)
    except BaseException:
        engine.stop(grace_s=1.0)
        raise
    return engine


def _launched(spec: EngineSpec, env: Environment, served: Model, attached: bool, where: Home, parts: Parts) -> Engine:
    records.tidy(where)
    port = spec.port or ports.free_port(HOST)
    key = parts.new_key()
    now = parts.clock()
    plugin = plugin_folder(where)
    log = private_folder(where.logs) / f"engine-{port}-{now:.0f}.log"
    order = {"server_args": server_args(spec, env.device, served, port, key), "die_with_parent": attached}
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as out:
        argv = [str(env.python), *parts.launcher(env.device)]
        child = _spawned(argv, out, engine_environment(env.device, served, plugin), plugin)
    try:
        _send(child, order)
        found = process.stat(child.pid)  # a child not waited for keeps its entry, even when it has ended
        info = EngineInfo(
            url=f"http://{HOST}:{port}", port=port, api_key=key, model=served.name, device=env.device, pid=child.pid,
            pid_started=found.started if found else 0, log=str(log), started=now, attached=attached,
        )  # fmt: skip
        records.save(info, where)
    except BaseException:  # without a record nobody would find it to end it
        process.end_session(child.pid, grace_s=1.0, reap=child.poll)
        child.wait()
        raise
    return Engine(info, child, where)


def _spawned(argv: list[str], out: IO[bytes], variables: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.STDOUT,
        env=variables,
        cwd=folder,  # python -m puts it on the path: the user's own folder must not be there
        start_new_session=True,
    )


def _send(child: subprocess.Popen[bytes], order: dict[str, object]) -> None:
    """Give the order; a child that ended before reading it is found out by whoever waits for its health."""
    assert child.stdin is not None
    try:
        with child.stdin as pipe:
            pipe.write(json.dumps(order).encode())
    except BrokenPipeError:
        pass
