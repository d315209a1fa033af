"""The journal of runs: what is written down, and read again.

``Journal`` is a database of runs. ``codec`` makes text of values, ``rows`` is what tables hold, ``writer`` commits in
groups, ``recording`` is what a run's entries say, ``replay`` how that is used up, ``archive`` what else is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.store.journal import Journal
    from agentrt.store.recording import Recorded, Recording
    from agentrt.store.replay import Replay
    from agentrt.store.rows import Entry, Letter, RunRow

_HOMES = {
    "Entry": "rows",
    "Journal": "journal",
    "Letter": "rows",
    "Recorded": "recording",
    "Recording": "recording",
    "Replay": "replay",
    "RunRow": "rows",
}

__all__ = ["Entry", "Journal", "Letter", "Recorded", "Recording", "Replay", "RunRow"]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
