"""``agentrt bench compare``: runs of one benchmark, entry by entry."""

from agentrt.benchmarks.compare.command import add_arguments, run

__all__ = ["add_arguments", "run"]
