"""In which order programs may hold the pool. Each is one function: a program's rank, the smallest goes first.

The first that fits is resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from agentrt.kvcache.admission.claims import Program

Order: TypeAlias = Callable[[Program], float]


def arrival(program: Program) -> float:
    """Who came first (FCFS over programs, as Continuum)."""
    return program.arrived


def smallest(program: Program) -> float:
    """Whose contexts need the least room."""
    asked = {ticket.session: ticket.need for ticket in program.tickets}
    held = sum(one.tokens for name, one in program.sessions.items() if name not in asked)
    return float(held + sum(asked.values()))


def progress(program: Program) -> float:
    """Who has taken the most turns."""
    return -float(program.turns)


def attained(program: Program) -> float:
    """Who has taken the fewest turns (Autellix: least attained service)."""
    return float(program.turns)


def remaining(program: Program) -> float:
    """Who has the least work left, as far as that is known; the others after those, by arrival."""
    return float("inf") if program.remaining is None else program.remaining


ORDERS: Final[Mapping[str, Order]] = MappingProxyType(
    {one.__name__: one for one in (arrival, smallest, progress, attained, remaining)}
)
