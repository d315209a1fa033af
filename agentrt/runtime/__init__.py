"""Runs programs: the asyncio driver around the pure scheduler core of ``agentrt.graph.machine``."""

from __future__ import annotations

from agentrt.runtime.calls import call, join, outside_a_run
from agentrt.runtime.embedded import EmbeddedExecutor
from agentrt.runtime.handle import Handle, owner
from agentrt.runtime.kv.tracker import Prompt
from agentrt.runtime.limit import off_the_clock
from agentrt.runtime.questions import Question
from agentrt.runtime.result import RunResult, StepRecord, brief, first_cause
from agentrt.runtime.run import Run
from agentrt.runtime.runtime import MODEL_LANE, Runtime, new_run_id
from agentrt.runtime.spec import Siblings, StepSpec, passing

__all__ = [
    "MODEL_LANE",
    "EmbeddedExecutor",
    "Handle",
    "Prompt",
    "Question",
    "Run",
    "RunResult",
    "Runtime",
    "Siblings",
    "StepRecord",
    "StepSpec",
    "brief",
    "call",
    "first_cause",
    "join",
    "new_run_id",
    "off_the_clock",
    "outside_a_run",
    "owner",
    "passing",
]
