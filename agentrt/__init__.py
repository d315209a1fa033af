"""agentrt: agent programs in ordinary async Python, run as step graphs on a KV-aware engine.

    from agentrt import Agent, program, run

    writer = Agent("writer", system="You write one paragraph.")

    @program
    async def report(topic: str) -> str:
        return await writer(topic)

    print(run(report, "otters").output)

Names are imported when they are first used: this module itself needs only the standard library, because it is also
imported inside the engine's own environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.sdk import (
        Agent,
        AgentOptions,
        Completed,
        GraphEdit,
        Handle,
        Options,
        Program,
        Question,
        Run,
        RunResult,
        Runtime,
        Session,
        Step,
        StepRecord,
        Tool,
        any_of,
        approve,
        ask,
        attempt,
        choose,
        command,
        each,
        edit,
        fill,
        idempotency_key,
        mcp_tools,
        n_of,
        program,
        run,
        step,
        tool,
        when,
    )

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentOptions",
    "Completed",
    "GraphEdit",
    "Handle",
    "Options",
    "Program",
    "Question",
    "Run",
    "RunResult",
    "Runtime",
    "Session",
    "Step",
    "StepRecord",
    "Tool",
    "__version__",
    "any_of",
    "approve",
    "ask",
    "attempt",
    "choose",
    "command",
    "each",
    "edit",
    "fill",
    "idempotency_key",
    "mcp_tools",
    "n_of",
    "program",
    "run",
    "step",
    "tool",
    "when",
]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, dict.fromkeys(__all__, "sdk"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
