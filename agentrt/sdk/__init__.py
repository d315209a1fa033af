"""What programs are written with."""

from __future__ import annotations

from agentrt.runtime import Handle, Question, Run, RunResult, Runtime, StepRecord
from agentrt.sdk.agents import Agent, AgentOptions, Session
from agentrt.sdk.attempts import attempt, idempotency_key
from agentrt.sdk.commands import Completed, command
from agentrt.sdk.edits import GraphEdit, edit
from agentrt.sdk.entry import run
from agentrt.sdk.fanout import each
from agentrt.sdk.joins import any_of, n_of, when
from agentrt.sdk.mcp import mcp_tools
from agentrt.sdk.people import approve, ask, choose, fill
from agentrt.sdk.steps import Options, Program, Step, program, step
from agentrt.sdk.tools import Tool, tool

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
