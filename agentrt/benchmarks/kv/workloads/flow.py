"""KVFlow's workload: ten agents with long fixed prompts of their own, called one after the other, round after round."""

from __future__ import annotations

import random
from typing import Any, Final

from agentrt.benchmarks.kv.given import Given, load
from agentrt.benchmarks.kv.texts import MESSAGE_TOKENS, text
from agentrt.benchmarks.kv.workloads.base import Job, Size

AGENTS: Final = (
    "planner", "reader", "searcher", "writer", "critic", "editor", "tester", "fixer", "checker", "teller",
)  # fmt: skip
ROUNDS: Final = 3
NOTE: Final = 24
"""Tokens that change with every call, after the fixed prompt."""
SPREAD_S: Final = 32.0
"""Seconds over which many workflows begin, before scaling."""


class AgentFlow:
    """``programs`` workflows at once that use the same ten fixed prompts: the working set in ten equal parts.

    They begin one after the other, spread over about one round, so that each is at another agent. Their time counts
    from the end of the first round, in which every prompt is new to everybody.
    """

    name = "flow"
    warm = len(AGENTS)
    about = "ten agents with fixed prompts, one after the other, in rounds (KVFlow's)"

    def largest(self, size: Size) -> int:
        """See ``Workload``."""
        return self._fixed(size) + NOTE + 2 * size.reply + 3 * MESSAGE_TOKENS

    def jobs(self, size: Size) -> list[Job]:
        """See ``Workload``."""
        draw = random.Random(size.seed)  # noqa: S311 - prompts, not secrets
        prompts = {agent: text(draw, self._fixed(size) - MESSAGE_TOKENS) for agent in AGENTS}
        program = load("flow", Given(prompts, size.reply)).agent_flow
        apart = SPREAD_S * size.time_scale / size.programs
        return [_job(program, draw, number * apart) for number in range(size.programs)]

    def _fixed(self, size: Size) -> int:
        return size.working_set // len(AGENTS)


def _job(program: Any, draw: random.Random, delay: float) -> Job:
    notes = [text(draw, NOTE) for _ in range(ROUNDS)]
    return Job(lambda runtime: runtime.start(program, notes), delay)
