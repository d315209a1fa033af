"""``agentrt bench replay``: recorded agent sessions against a real engine.

``sessions``   what every recording is read into: turns, and what each prompt repeats
``readers``    recordings by what they look like: ``claude`` (with ``blocks``), ``swe``, ``requests``, ``dynamo``
``tracing``    the other way round: a run as lines in the vocabulary of Dynamo's agent traces
``play``       sessions scaled and cut to what an engine can take
``program``    the program that takes their turns; ``tokens`` makes its prompts, ``executor`` sends them
``entries``    the options of what is replayed; sessions as entries of the harness
``contest``    policies and stock engines in interleaved rounds
``command``    the command line
"""

from __future__ import annotations

from agentrt.benchmarks.replay.command import add_arguments, run

__all__ = ["add_arguments", "run"]
