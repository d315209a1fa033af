"""How people name a program on the command line."""

from __future__ import annotations

from pathlib import Path

from agentrt.errors import ProgramError


def split_target(target: str) -> tuple[str, str | None]:
    """``FILE.py:name`` or ``package.module:name`` in its two parts; ``None`` where there is no name.

    Raises ``ProgramError`` for a name without a file.
    """
    where, colon, name = target.rpartition(":")
    if not colon or "/" in name or Path(target).exists():
        return target, None
    if not where:
        raise ProgramError(f"{target!r} names no file; write FILE.py:{name or 'NAME'}")
    return where, name or None
