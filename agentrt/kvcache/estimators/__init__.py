"""What the runtime learns as it goes: how long tools and turns take, what a prompt costs, how long turns queue.

    estimators = Estimators.load(path)
    estimators.durations.observe("bash", first_word("cd repo && pytest -q"), 7.5)
    estimators.durations.of("bash", "pytest").residual(3.0)   # seconds still to go after 3
    estimators.save(path)

Every answer says how sure it is. Standard library only; one thread at a time.
"""

from __future__ import annotations

from agentrt.kvcache.estimators.base import Distribution, Estimate
from agentrt.kvcache.estimators.durations import Durations
from agentrt.kvcache.estimators.holder import Estimators
from agentrt.kvcache.estimators.prefill import Prefill
from agentrt.kvcache.estimators.queueing import Queueing
from agentrt.kvcache.estimators.turns import Turns
from agentrt.kvcache.estimators.words import first_word

__all__ = [
    "Distribution",
    "Durations",
    "Estimate",
    "Estimators",
    "Prefill",
    "Queueing",
    "Turns",
    "first_word",
]
