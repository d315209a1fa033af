"""A run that nothing more is heard of: what is watched is put into the view by hand."""

from __future__ import annotations

from collections.abc import Sequence

from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.watch.sources.base import LogLine, Look, RunState


class SilentSource:
    """Tells of a state and of no events."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    async def look(self) -> Look:
        """The state it was made with."""
        return Look(self._state)

    async def story(self, step: StepId) -> StepStory:
        """Nothing is known of any step."""
        return StepStory(step, (), (), (), (), ())

    async def count(self, find: str = "") -> int:
        """The log is empty."""
        return 0

    async def lines(self, first: int, most: int, find: str = "") -> Sequence[LogLine]:
        """The log is empty."""
        return ()
