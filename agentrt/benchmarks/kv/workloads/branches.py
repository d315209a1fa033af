"""Parallel branches: a long context is read once, forked into branches that look things up, and joined again."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any, Final

from agentrt.benchmarks.kv.given import Given, load
from agentrt.benchmarks.kv.texts import MESSAGE_TOKENS, text
from agentrt.benchmarks.kv.workloads.base import Job, Size

BRANCHES: Final = 3
ROUNDS: Final = 2
BRANCH: Final = 0.08
"""Share of a program's context that one branch adds: half in its question, half in what it looks up."""
PAUSE_S: Final = (0.5, 8.0)
"""Seconds that a look-up takes, before scaling: from, to."""


class Branches:
    """``programs`` documents at once, each read by one session that forks and joins."""

    name = "branches"
    warm = 0
    about = "a shared long context, forked into branches with look-ups of their own, and joined"

    def largest(self, size: Size) -> int:
        """See ``Workload``."""
        return size.working_set // size.programs

    def jobs(self, size: Size) -> list[Job]:
        """See ``Workload``."""
        draw = random.Random(size.seed)  # noqa: S311 - prompts, not secrets
        module = load("branches", Given(reply=size.reply))
        return [_job(module, _matter(module, draw, size)) for _ in range(size.programs)]


def _job(module: ModuleType, matter: Any) -> Job:
    return Job(lambda runtime: runtime.start(module.read_and_ask, matter))


def _matter(module: ModuleType, draw: random.Random, size: Size) -> Any:
    """A document and its questions, with all branches and replies as large as a program's part of the whole."""
    whole = size.working_set // size.programs
    part = max(4, int(BRANCH * whole / 2))
    a_branch = 2 * (part + size.reply + 2 * MESSAGE_TOKENS)
    joined = ROUNDS * (BRANCHES + 1) * (size.reply + MESSAGE_TOKENS)
    document = text(draw, whole - BRANCHES * a_branch - joined)
    rounds = tuple(
        tuple(
            module.Question(text(draw, part), text(draw, part), draw.uniform(*PAUSE_S) * size.time_scale)
            for _ in range(BRANCHES)
        )
        for _ in range(ROUNDS)
    )
    return module.Matter(document, rounds)
