"""LangGraph's functional API with its SQLite saver.

A task's result is written in the background, also with ``durability="sync"``, which only waits for checkpoints.
"""

from __future__ import annotations

from typing import Any

from langgraph.pregel import Pregel

from agentrt.benchmarks.overhead.contract import Job
from agentrt.benchmarks.overhead.entrants.langgraph_sqlite import Saved
from agentrt.benchmarks.overhead.entrants.langgraph_tasks import LangGraphTasks


class DurableLangGraphTasks(Saved, LangGraphTasks):
    """Futures of tasks whose results are written."""

    recorded = "SELECT count(*) FROM writes WHERE channel = '__return__'"

    def job(self, flow: Pregel[Any]) -> Job:
        """Runs of an entrypoint, each a new thread."""
        return lambda: flow.ainvoke(0, self.config(0), durability="sync")


ENTRANT = DurableLangGraphTasks
