"""What is known of started engines: one private file each, read by every command and by later processes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from agentrt.engine import process
from agentrt.engine.environment import Device
from agentrt.engine.paths import Home, home, private_folder

KEPT_LOGS = 20


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """One started engine. ``api_key`` is a secret: it stands in the 0600 file and nowhere else."""

    url: str
    port: int
    api_key: str
    model: str
    device: Device
    pid: int
    pid_started: int
    log: str
    started: float
    """Seconds since the epoch."""
    attached: bool = False
    """It ends with the process that started it."""

    @property
    def alive(self) -> bool:
        """Its first process runs."""
        return process.running(self.pid, self.pid_started)

    def at(self, url: str | None) -> bool:
        """Whether ``url`` names it, with or without ``/v1``; ``None`` names every engine."""
        return url is None or self.url == url.rstrip("/").removesuffix("/v1")

    def exit_story(self) -> str | None:
        """How it ended, with the end of its log; ``None`` while it runs. Only its parent knows its status."""
        if self.alive:
            return None
        return f"the engine's process {self.pid} has ended; the end of its log {self.log}:\n{process.tail(self.log)}"

    def __repr__(self) -> str:
        return f"EngineInfo(url={self.url!r}, model={self.model!r}, device={self.device!r}, pid={self.pid})"


def save(info: EngineInfo, where: Home) -> None:
    """Write the state file, whole or not at all, readable by its owner alone."""
    path = _path(info.port, where)
    half = path.with_suffix(f".{os.getpid()}.half")
    half.unlink(missing_ok=True)
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123  (mode at birth)
        json.dump(asdict(info), file)
    half.rename(path)


def forget(info: EngineInfo, where: Home) -> None:
    """Delete the state file if it still speaks of this engine."""
    path = _path(info.port, where)
    if _read(path) == info:
        path.unlink(missing_ok=True)


def recorded(where: Home | None = None) -> list[EngineInfo]:
    """Every engine there is a file of, newest first; some may have ended by themselves."""
    where = where or home()
    found = (_read(path) for path in where.engines.glob("*.json"))
    return sorted((each for each in found if each), key=lambda each: each.started, reverse=True)


def tidy(where: Home) -> None:
    """Forget attached engines that went away with their owner, and delete all but the newest logs."""
    for each in recorded(where):
        if each.attached and not each.alive:
            forget(each, where)
    kept = {each.log for each in recorded(where)}
    logs = sorted(where.logs.glob("*.log"), key=_written)
    for log in logs[:-KEPT_LOGS]:
        if str(log) not in kept:
            log.unlink(missing_ok=True)


def running(where: Home | None = None) -> list[EngineInfo]:
    """The engines whose process runs, newest first."""
    return [each for each in recorded(where) if each.alive]


def find(url: str | None = None, where: Home | None = None) -> EngineInfo | None:
    """The running engine at ``url``, or without one the newest that was started to stay (detached)."""
    return next((each for each in running(where) if each.at(url) and not (url is None and each.attached)), None)


def _written(log: Path) -> float:
    """When it was last written to, in seconds since the epoch; 0 for one that another process deletes just now."""
    try:
        return log.stat().st_mtime
    except OSError:
        return 0.0


def _path(port: int, where: Home) -> Path:
    return private_folder(where.engines) / f"{port}.json"


def _read(path: Path) -> EngineInfo | None:
    """What the file says; a file of another version or a broken one says nothing."""
    try:
        return EngineInfo(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
