"""SWE-bench: issues of real repositories, solved by an agent program and graded by the official package."""

from agentrt.benchmarks.swebench.command import add_arguments, run

__all__ = ["add_arguments", "run"]
