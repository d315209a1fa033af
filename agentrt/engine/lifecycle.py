"""What the commands and the runtime do with engines: bring one up, find it, take it down, or have one for a while."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agentrt.engine import health, process, records
from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Abandoned, Cancellable, Progress, Silent
from agentrt.engine.records import EngineInfo
from agentrt.engine.server import GRACE_S, Engine, Parts, start
from agentrt.engine.spec import EngineSpec
from agentrt.errors import ConfigError, EngineError, NotRunning


@dataclass(frozen=True, slots=True)
class Status:
    """How one engine is doing. ``trouble`` is ``None`` when it just generated a token."""

    info: EngineInfo
    trouble: str | None
    uptime_s: float
    memory_bytes: int

    def as_dict(self) -> dict[str, object]:
        """What ``--json`` prints; the key is left out."""
        return {
            "url": self.info.url,
            "model": self.info.model,
            "device": self.info.device,
            "healthy": self.trouble is None,
            "trouble": self.trouble,
            "pid": self.info.pid,
            "attached": self.info.attached,
            "uptime_seconds": round(self.uptime_s, 1),
            "memory_bytes": self.memory_bytes,
            "log": self.info.log,
        }


def up(
    spec: EngineSpec,
    *,
    progress: Progress | None = None,
    where: Home | None = None,
    parts: Parts = Parts(),  # noqa: B008  (frozen)
) -> tuple[EngineInfo, bool]:
    """Bring a detached engine up; return it and whether it was started just now rather than found.

    When two processes ask at once, one starts it and the other waits for it. Raises ``ConfigError`` when an
    engine with another model is up and no port of its own was asked for.
    """
    progress, where = progress or Silent(), where or home()
    with locked(where.engines / "start.lock", "starting the engine", progress):
        if found := _fitting(spec, where):
            return found, False
        for each in records.recorded(where):
            if not each.alive:
                records.forget(each, where)
        return start(spec, attached=False, progress=progress, where=where, parts=parts).release(), True


def _fitting(spec: EngineSpec, where: Home) -> EngineInfo | None:
    """The detached engine that already is what ``spec`` asks for."""
    stay = [each for each in records.running(where) if not each.attached]
    if spec.port:
        stay = [each for each in stay if each.port == spec.port]
    wanted = Path(spec.model).name if Path(spec.model).is_dir() else spec.model
    for each in stay:
        if each.model == wanted:
            return each
    if stay:
        raise ConfigError(
            f"an engine with model {stay[0].model!r} is up at {stay[0].url}, you ask for {spec.model!r}; "
            f"end it first with: agentrt engine down, or give the new one its own --port"
        )
    return None


def down(url: str | None = None, *, grace_s: float = GRACE_S, where: Home | None = None) -> list[EngineInfo]:
    """End the engine at ``url``, or without one every detached engine; return those that were running.

    Raises ``NotRunning`` when ``url`` names none. Files of engines that ended by themselves are cleared away.
    """
    where = where or home()
    known = records.recorded(where)
    chosen = [each for each in known if (each.at(url) if url else not each.attached)]
    if url and not any(each.alive for each in chosen):
        raise NotRunning(f"no engine of yours runs at {url}; see: agentrt engine status")
    ended = [each for each in chosen if each.alive]
    for each in ended:
        process.end_session(each.pid, grace_s=grace_s)
    for each in chosen:
        records.forget(each, where)
    records.tidy(where)
    return ended


def statuses(where: Home | None = None) -> list[Status]:
    """How every running engine is doing, newest first; each is asked for one token."""
    return [_status(each) for each in records.running(where)]


def _status(info: EngineInfo) -> Status:
    found = process.stat(info.pid)
    return Status(
        info,
        trouble=health.probe(info.url, info.api_key, info.model, timeout_s=15.0),
        uptime_s=process.uptime_of(found) if found else 0.0,
        memory_bytes=process.memory_bytes(info.pid),
    )


def discover(where: Home | None = None) -> EngineInfo | None:
    """The newest engine that was brought up to stay and still runs, or ``None``."""
    return records.find(None, where)


@asynccontextmanager
async def embedded(
    model: str | None = None,
    *,
    device: str | None = None,
    spec: EngineSpec | None = None,
    progress: Progress | None = None,
    where: Home | None = None,
    parts: Parts = Parts(),  # noqa: B008  (frozen)
) -> AsyncIterator[Engine]:
    """Have an engine for the time of an ``async with``; it ends with the block, and with this process in any case.

    ``spec`` says what to start; ``model`` and ``device``, where given, win over it. Cancelling while it is set up or
    started ends what was begun. Raises as ``agentrt.engine.start`` does.
    """
    spec = spec or EngineSpec()
    spec = replace(spec, model=model or spec.model, device=device or spec.device)
    engine = await _started(spec, progress or Silent(), partial(start, where=where, parts=parts))
    try:
        yield engine
    finally:
        await _uninterrupted(engine.stop)


async def _started(spec: EngineSpec, progress: Progress, begin: partial[Engine]) -> Engine:
    """Start in a thread; on a cancel tell the thread, wait until it has cleaned up, then pass the cancel on."""
    abandoned = threading.Event()
    work = asyncio.get_running_loop().run_in_executor(
        None, partial(begin, spec, progress=Cancellable(progress, abandoned))
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        abandoned.set()
        with suppress(Abandoned, EngineError):  # that it failed just now is nobody's concern any more
            engine = await work
            await _uninterrupted(engine.stop)
        raise


async def _uninterrupted(action: Callable[[], None]) -> None:
    """Run a blocking action to its end, even when we are cancelled meanwhile."""
    work = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        raise
