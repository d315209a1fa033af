"""``agentrt bench kv``: what hints and admission are worth, on real engines beside stock ones.

``workloads``    agent programs whose contexts do not fit the pool together
``contestants``  engines' settings and what the client does with them; ``faults`` are part of it
``plan``         which workload meets which pool and who takes part
``engines``      started, emptied and asked what they count; ``model`` makes one of an 8B Llama's shape for a GPU
``probe``        what is seen from the client's side
``runs``         one run and what came of it
``contest``      rounds in which all take turns
``verdicts``     what agentrt promises; ``report`` and ``plots`` show it
``given``        what is put into a program file: prompts and lengths; ``programs`` are those files
``meter``        whose CPU time a run took
``thunderagent`` its public proxy as one more contestant
``simulate``     every policy in simulated time
``soak``         random hints, aborts and cancels at full load
``command``      the command line
"""

from __future__ import annotations

from agentrt.benchmarks.kv.command import add_arguments, run

__all__ = ["add_arguments", "run"]
