"""What it costs to watch a run, and how fast the screens answer: ``agentrt bench watch``.

``programs`` is the watched program, ``worker`` runs it in a process of its own, ``terminal`` has the watcher draw into
a pseudo-terminal, ``scene`` is all of these together, ``measures`` takes one figure after another, ``sheet`` shows
them, ``command`` is the command line.
"""

from __future__ import annotations

from agentrt.benchmarks.watch.command import add_arguments, run

__all__ = ["add_arguments", "run"]
