"""Answers that are there already, in front of any model: the same contract, and the model asked only when it has to be.

``executor``  the wrapper of one model;  ``cache``, what all of them share
``keeper``    replies in memory and in the store, which is written to beside what goes on
"""

from agentrt.executors.cached.cache import Compare, SemanticCache, equal
from agentrt.executors.cached.executor import CachedExecutor

__all__ = ["CachedExecutor", "Compare", "SemanticCache", "equal"]
