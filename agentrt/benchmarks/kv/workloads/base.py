"""What a workload is: programs whose contexts together are as large as wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agentrt.runtime import Run, Runtime


@dataclass(frozen=True, slots=True)
class Size:
    """How large a workload is made.

    ``working_set`` is the sum of all contexts at their largest, in tokens. ``reply`` is the tokens of every reply.
    ``time_scale`` stretches the tools' times; 0 makes every tool answer at once.
    """

    working_set: int
    programs: int
    reply: int = 4
    time_scale: float = 0.25
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """One program of a workload: ``start`` it on a runtime, ``delay`` seconds after the first."""

    start: Callable[[Runtime], Run[Any]]
    delay: float = 0.0


class Workload(Protocol):
    """Makes the same programs again for the same size, so that every contestant gets the same work.

    ``warm`` is how many turns of each program pass before its time counts.
    """

    name: str
    about: str
    warm: int

    def largest(self, size: Size) -> int:
        """The tokens of the largest context; a pool must hold more than this."""
        ...

    def jobs(self, size: Size) -> list[Job]:
        """The programs, in the order in which they arrive."""
        ...
