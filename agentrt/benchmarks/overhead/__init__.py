"""How much a step costs when it does nothing: ``agentrt bench overhead``.

``contract`` says what every entrant builds and runs, ``entrants`` holds one file for each, ``worker`` measures one in a
process of its own, ``contest`` runs them in rounds, ``table`` shows what came out, ``command`` is the command line.
"""

from __future__ import annotations

from agentrt.benchmarks.overhead.command import add_arguments, run

__all__ = ["add_arguments", "run"]
