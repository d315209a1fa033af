"""Which ways to hold a command work here, found out by doing it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agentrt.errors import SandboxError
from agentrt.executors.sandbox.base import SOUND, Limits, Way
from agentrt.executors.sandbox.calling import called
from agentrt.executors.sandbox.inside.cgroups import PREFIX, Group
from agentrt.executors.sandbox.inside.disk import free
from agentrt.executors.sandbox.owners import alive, owner
from agentrt.executors.sandbox.view import mounts

if TYPE_CHECKING:
    from agentrt.executors.sandbox.inside.supervisor import Spec

_WAY_OUT = (
    "install bubblewrap (Debian, Ubuntu, Fedora, Arch: the package bubblewrap), or allow user namespaces; "
    'where what runs is trusted, ways=("plain",) limits it without containing it'
)
_numbers = itertools.count(1)
_found: dict[tuple[Way, str], str] = {}


async def chosen(ways: Sequence[Way] | None) -> tuple[Way, str]:
    """The first of ``ways`` that works (by default of the sound ones), and where control groups can be made.

    Raises ``SandboxError`` with each one's reason when none does.
    """
    parent = group_parent()
    reasons = []
    for way in SOUND if ways is None else ways:
        for where in dict.fromkeys((parent, "")):
            reason = await why_not(way, where)
            if not reason:
                return way, where
        reasons.append(f"{way}: {reason}")
    raise SandboxError(f"no way to contain a command works here ({'; '.join(reasons)}); {_WAY_OUT}")


async def why_not(way: Way, group: str = "") -> str:
    """Why ``way`` does not work here, or nothing when it does; tried once in a process."""
    if (way, group) not in _found:
        _found[way, group] = await _tried(way, group)
    return _found[way, group]


async def _tried(way: Way, group: str) -> str:
    if way == "bwrap" and not shutil.which("bwrap"):
        return "there is no bwrap on PATH"
    with tempfile.TemporaryDirectory(prefix="agentrt-probe-") as folder:
        try:
            report, out, err = await called(trial(way, group, folder), Limits())
        except SandboxError as error:
            return str(error)
    if report["code"] or out.text != "works\n":
        return f"a first command ended with {report['code']}: {err.text.strip()[-200:] or out.text[-200:]!r}"
    return ""


def trial(way: Way, group: str, place: str) -> Spec:
    """A small command that shows whether ``way`` works: it writes where it may."""
    folder = Path(place).resolve()
    for name in ("work", "tmp", "root"):
        (folder / name).mkdir()
    limits = Limits()
    return {
        "way": way,
        "argv": ["/bin/sh", "-c", "echo works > works && cat works"],
        "env": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
        "cwd": str(folder / "work"),
        "mounts": mounts(folder / "work", folder / "tmp"),
        "root": str(folder / "root"),
        "bwrap": shutil.which("bwrap") or "bwrap",
        "network": False,
        "limits": numbers(limits, 20.0),
        "timeout": 20.0,
        "grace": 1.0,
        "group": group_name(group),
        "folders": [str(folder)],
        "disk": {"base": (0, 0), "used": (0, 0), "free": (0, 0), "free_at_first": free([str(folder)])},
    }


def numbers(limits: Limits, timeout: float) -> dict[str, int]:
    """Limits as a supervisor takes them; CPU time is a last resort, should the supervisor itself be gone."""
    return {
        "memory": limits.memory,
        "processes": limits.processes,
        "disk": limits.disk,
        "files": limits.files,
        "open_files": limits.open_files,
        "cpu_percent": round(100 * (limits.cpus or 0)),
        "cpu_s": int(timeout * (os.cpu_count() or 1) + limits.grace) + 10,
    }


def group_name(parent: str) -> str:
    """A fresh control group's path in ``parent``; nothing where there is none."""
    return f"{parent}/{PREFIX}{owner()}-{next(_numbers)}" if parent else ""


@cache
def group_parent() -> str:
    """The control group (version 2) to make ours in, one that bounds memory where there is one; nothing without any."""
    usable = [(full, path) for path in _group_candidates() if (full := _makes_groups(path)) is not None]
    best = next((path for full, path in usable if full), usable[0][1] if usable else "")
    if best:
        for left in Path(best).glob(f"{PREFIX}*"):
            if not alive(left.name.removeprefix(PREFIX)):
                with suppress(OSError):  # somebody else's process has the number, or removed it
                    left.rmdir()
    return best


def _makes_groups(path: str) -> bool | None:
    """Whether groups in ``path`` bound memory and processes; ``None`` where none can be made."""
    trial = f"{path}/{PREFIX}{owner()}-0"
    _take_charge(Path(path))
    try:
        group = Group(trial, numbers(Limits(), 1.0))
    except OSError:
        return None
    group.remove()
    return group.counted


def _take_charge(top: Path) -> None:
    """Switch the controllers on at the root of a hierarchy that nobody manages: a bare machine without systemd."""
    with suppress(OSError):
        if not (top / "cgroup.type").exists() and not (top / "cgroup.subtree_control").read_text().strip():
            (top / "cgroup.subtree_control").write_text("+cpu +memory +pids")


def _group_candidates() -> Iterator[str]:
    """Our own group's place in the version 2 hierarchy, and those above it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        own = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return
    for line in lines:
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            for place in (Path(own), *Path(own).parents):
                yield str(Path(fields[4], *place.parts[1:]))
