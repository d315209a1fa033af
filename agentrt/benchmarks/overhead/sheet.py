"""Tables and remarks on paper: as Markdown, or drawn in a terminal."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is printed. The first row of a table is its head; ``where`` is what the figures depend on."""

    settings: str
    tables: Sequence[Sequence[Sequence[str]]]
    remarks: Sequence[str]
    where: dict[str, str]


def environment() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
    }


def with_disk(folder: str | None) -> dict[str, str]:
    """The same of measurements that write into a folder, ``None`` for the system's temporary one.

    Flushing costs something on a disk, and nothing on ``tmpfs``.
    """
    return environment() | {"disk": _filesystem(Path(folder or tempfile.gettempdir()).resolve())}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def _filesystem(place: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    found = [(len(point), kind) for point, kind in mounts if place.is_relative_to(point)]
    return max(found, default=(0, "unknown"))[1]


def markdown(sheet: Sheet) -> str:
    """The tables and the remarks as Markdown."""
    where = ", ".join(f"{name} {value}" for name, value in sheet.where.items())
    said = [*(f"- {line}" for line in sheet.remarks), f"- {where}; {sheet.settings}"]
    return "\n".join([line for table in sheet.tables for line in [*_ruled(table), ""]] + said)


def _ruled(table: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (table[0], ["---"] * len(table[0]), *table[1:])]


def show(sheet: Sheet) -> None:
    """Draw them in the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for number, (head, *rows) in enumerate(sheet.tables):
        table = Table(title=None if number else sheet.settings)
        for name in head:
            table.add_column(name, justify="right" if name not in head[:2] else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in sheet.remarks:
        console.print(line, highlight=False, markup=False)
