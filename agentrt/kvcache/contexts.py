"""What a policy is told of a context, what it may look up, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentrt.kvcache.hints import Subject

if TYPE_CHECKING:
    from agentrt.kvcache.estimators import Estimators

Phase: TypeAlias = Literal["waiting", "held", "queued", "acting"]
"""Where a context is while it lives. Policies are not asked about those that have ended: the engine is told anyway.

waiting: nothing of it runs, and no tool of its own either; held: its turn is called, and held back until other
programs have made room; queued: its turn is at the engine and not answered yet; acting: a tool that it asked for runs.
"""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A tool that runs now and whose result goes into the context next. ``word`` is the first word of its command
    line, if it runs one; ``elapsed`` is in seconds."""

    name: str
    word: str = ""
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Context:
    """One session's growing context, or one agent's fixed prompt in one program, as the runtime knows it now.

    ``arrived`` is when its program started, in seconds of the runtime's clock: smaller is earlier. ``tokens`` is its
    size after the last turn, 0 when unknown. ``turns`` counts those done, ``held`` is how many seconds it has been in
    its phase. ``steps`` is its steps to execution in the graph (KVFlow's STE: 0 runs or could start now), ``None``
    when the graph sees no next use. ``wait`` is the expected time to its next turn in seconds, from the graph and the
    estimates, ``None`` when nothing is known.
    """

    subject: Subject
    program: str
    agent: str
    phase: Phase
    arrived: float = 0.0
    tokens: int = 0
    turns: int = 0
    held: float = 0.0
    steps: int | None = None
    wait: float | None = None
    tools: tuple[ToolRun, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What is the same for all contexts at one instant.

    ``now`` is in seconds of the runtime's clock. ``pool`` and ``host`` are the engine's tiers in tokens, 0 when
    unknown or absent. ``pressure`` is the size of all live contexts over the pool: above 1 they do not fit.
    """

    now: float
    pool: int
    host: int
    pressure: float
    estimators: Estimators


@dataclass(frozen=True, slots=True)
class Advice:
    """What a policy wants for a context; the fields are those of ``Hint``.

    Advice that equals the last one sent is not sent again before half of its ``keep`` has gone by.
    """

    keep: float = 60.0
    priority: float = 0.0
    steps: int | None = None
    remaining: float | None = None
    prefetch: bool = False
