"""The workloads, as ordinary agent programs: ``ToolLoops``, ``AgentFlow``, ``Branches``."""

from __future__ import annotations

from agentrt.benchmarks.kv.workloads.base import Job, Size, Workload
from agentrt.benchmarks.kv.workloads.branches import Branches
from agentrt.benchmarks.kv.workloads.flow import AgentFlow
from agentrt.benchmarks.kv.workloads.loops import Beat, ToolLoops
from agentrt.benchmarks.kv.workloads.recorded import recorded_runs

__all__ = ["AgentFlow", "Beat", "Branches", "Job", "Size", "ToolLoops", "Workload", "recorded_runs"]
