"""Ports on this machine: find a free one, and say who holds one that is not."""

from __future__ import annotations

import socket
from pathlib import Path

from agentrt.errors import ConfigError

_LISTENING = "0A"


def free_port(host: str) -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_free(host: str, port: int) -> None:
    """Refuse with ``ConfigError`` a port that cannot be listened on, naming its holder where that can be seen."""
    if not 1 <= port <= 65535:
        raise ConfigError(f"port {port} is out of range; use 1 to 65535, or leave --port out to get a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} on {host} is taken{_by(port)} ({error.strerror}); give another --port, leave it out to "
                f"get a free one, or end what uses it"
            ) from error


def answers(host: str, port: int) -> bool:
    """Whether somebody accepts connections at ``port``."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _by(port: int) -> str:
    pid = holder(port)
    if pid is None:
        return ""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        name = "unknown"
    return f" by process {pid} ({name})"


def holder(port: int) -> int | None:
    """The pid that listens on ``port``, or ``None`` when it belongs to another user or to nobody."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for entry in Path("/proc").iterdir():
        if sockets and entry.name.isdigit() and _holds(entry / "fd", sockets):
            return int(entry.name)
    return None


def _listening_inodes(port: int) -> list[str]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        fields = (row.split() for row in rows)
        found += [each[9] for each in fields if each[3] == _LISTENING and int(each[1].split(":")[1], 16) == port]
    return found


def _holds(descriptors: Path, sockets: set[str]) -> bool:
    try:
        for each in descriptors.iterdir():
            if each.readlink().as_posix() in sockets:
                return True
    except OSError:  # it ended, or is not ours to look into
        pass
    return False
