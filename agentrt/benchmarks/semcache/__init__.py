"""What the semantic cache costs, and how right its answers are: ``agentrt bench semcache``.

``questions``  made-up ones, each with the same in other words;  ``feedback``, what a judge learns from
``ours``       our side in a process of its own;  ``inside.gpt``, GPTCache in its environment
``cost``       both in turns;  ``large``, a million answers and a restart
``quality``    errors and hits on pairs of questions whose truth is known
``sheet``      shows what was found;  ``command``, the command line
"""

from __future__ import annotations

from agentrt.benchmarks.semcache.command import add_arguments, run

__all__ = ["add_arguments", "run"]
