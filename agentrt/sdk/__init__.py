"""What programs are written with."""

from __future__ import annotations

from agentrt.runtime import Handle, Run, RunResult, Runtime, StepRecord
from agentrt.sdk.agent import Agent, AgentOptions, Session
from agentrt.sdk.entry import run
from agentrt.sdk.fanout import each
from agentrt.sdk.step import Options, Program, Step, program, step
from agentrt.sdk.tool import Tool, tool

__all__ = [
    "Agent",
    "AgentOptions",
    "Handle",
    "Options",
    "Program",
    "Run",
    "RunResult",
    "Runtime",
    "Session",
    "Step",
    "StepRecord",
    "Tool",
    "each",
    "program",
    "run",
    "step",
    "tool",
]
