"""``agentrt bench bfcl``: BFCL v4's entries as agentrt programs, scored by the official checkers.

``official``  the official package in an environment of its own; ``inside`` is what runs there
``program``   the agent: one reply, or a conversation whose calls are executed; ``talk`` is its growing context
``calls``     the calls in a reply
``results``   result files, score files, verdicts
``truth``     ground truth as replies; ``oracle`` answers with them in place of a model
``command``   the command line
"""

from __future__ import annotations

from agentrt.benchmarks.bfcl.command import add_arguments, run

__all__ = ["add_arguments", "run"]
