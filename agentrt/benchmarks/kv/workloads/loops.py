"""Tool loops: programs with one growing session each; while its tool runs, a session's context lies idle.

Turns, growth and tool times have the shape of recorded agent runs, scaled to the wanted sizes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, Final

from agentrt.benchmarks.kv.given import Given, load
from agentrt.benchmarks.kv.texts import MESSAGE_TOKENS, text
from agentrt.benchmarks.kv.workloads.base import Job, Size

TURNS: Final = 10
FIRST: Final = 0.5
"""Context of the first turn that is taken over that of the last: agents in full swing. A recorded run has dozens of
turns, most of them with a large context; ten that began with an empty one would be half cold starts."""
SHARED: Final = 0.1
"""Share of a context that all programs have in common: the system prompt."""
LARGEST: Final = 1.5
"""Largest context over the mean one; longer recorded runs are cut to it, so that a quarter of all fits a pool."""
LONGEST_S: Final = 12.0
"""Seconds of the longest tool, before scaling: one in twenty takes longer, and would be all that its program shows."""
TOOL: Final = {
    "read": "read",
    "edit": "edit",
    "write": "edit",
    "grep": "search",
    "glob": "search",
    "search": "search",
    "todowrite": "note",
    "todo": "note",
}
"""What the program calls a recorded tool; all others are ``bash``."""
LEAST_NEW: Final = 8
"""Tokens of the shortest tool result."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One turn of a recorded run: the tokens of its prompt, then the tool it used and the seconds that took."""

    context: int
    tool: str = "Bash"
    command: str = ""
    seconds: float = 0.0


class ToolLoops:
    """``programs`` sessions at once, shaped by ``runs`` in turn."""

    name = "loops"
    warm = 0
    about = "tool loops: one growing session a program, idle while its tools run"

    def __init__(self, runs: Sequence[Sequence[Beat]]) -> None:
        grown = [in_full_swing(growing(run)) for run in runs]
        self._runs = [picked(run) for run in grown if len(run) >= TURNS]

    def largest(self, size: Size) -> int:
        """See ``Workload``."""
        return int(LARGEST * size.working_set / size.programs)

    def jobs(self, size: Size) -> list[Job]:
        """See ``Workload``."""
        draw = random.Random(size.seed)  # noqa: S311 - prompts, not secrets
        runs = scaled(drawn(draw, self._runs, size.programs), size)
        shared = int(SHARED * size.working_set / size.programs)
        module = load("loops", Given({"coder": text(draw, shared)}, size.reply))
        return [_job(module, _task(module, draw, run, shared, size)) for run in runs]


def growing(run: Sequence[Beat]) -> list[Beat]:
    """The beats whose context is larger than any before; in between, an agent failed or compacted its context."""
    kept: list[Beat] = []
    for beat in run:
        if beat.context > (kept[-1].context if kept else 0):
            kept.append(beat)
    return kept


def in_full_swing(run: Sequence[Beat]) -> list[Beat]:
    """The beats from where the context is ``FIRST`` of the last one."""
    return [beat for beat in run if beat.context >= FIRST * run[-1].context]


def drawn(draw: random.Random, runs: Sequence[list[Beat]], count: int) -> list[list[Beat]]:
    """``count`` runs at random, each once before any comes twice."""
    found: list[list[Beat]] = []
    while len(found) < count:
        found += draw.sample(runs, min(len(runs), count - len(found)))
    return found


def picked(run: Sequence[Beat]) -> list[Beat]:
    """``TURNS`` beats spread evenly over a longer run, the first and the last among them."""
    return [run[round(number * (len(run) - 1) / (TURNS - 1))] for number in range(TURNS)]


def scaled(runs: Sequence[Sequence[Beat]], size: Size) -> list[list[Beat]]:
    """The runs with contexts scaled so that the last ones together are the working set, none above ``LARGEST``."""
    mean = size.working_set / len(runs)
    lasts = [float(run[-1].context) for run in runs]
    for _ in range(4):  # cutting the largest leaves room that the others take
        factor = size.working_set / sum(lasts)
        lasts = [min(last * factor, LARGEST * mean) for last in lasts]
    return [
        [Beat(int(one.context * last / run[-1].context), one.tool, one.command, one.seconds) for one in run]
        for run, last in zip(runs, lasts, strict=True)
    ]


def _job(module: ModuleType, task: Any) -> Job:
    return Job(lambda runtime: runtime.start(module.tool_loop, task))


def _task(module: ModuleType, draw: random.Random, run: Sequence[Beat], shared: int, size: Size) -> Any:
    """The texts of one program: each prompt is as long as the run's, less what is in the context already."""
    overhead = size.reply + 2 * MESSAGE_TOKENS
    opening = text(draw, run[0].context - shared - 3 * MESSAGE_TOKENS)
    uses = [
        module.Use(
            TOOL.get(before.tool.lower(), "bash"),
            before.command,
            min(before.seconds, LONGEST_S) * size.time_scale,
            text(draw, max(LEAST_NEW, after.context - before.context - overhead)),
        )
        for before, after in pairwise(run)
    ]
    return module.Task(opening, tuple(uses))
