"""What is being watched: a source, and the folds of what it has told so far. Nothing of Textual."""

from __future__ import annotations

from agentrt.types import StepId
from agentrt.ui.kv import KvView
from agentrt.ui.model import RunView
from agentrt.ui.watch.sources.base import RunSource, RunState


class Watched:
    """One run on the screens. ``version`` grows with every change; ``now`` is in seconds since the run began."""

    def __init__(self, source: RunSource, state: RunState) -> None:
        self.source = source
        self.state = state
        self.view = RunView()
        self.kv = KvView()
        self.selected: StepId | None = None
        self.version = 0

    @property
    def now(self) -> float:
        """The moment that is shown, in seconds since the run began."""
        return max(self.state.now, self.view.last) if self.state.live else self.view.last

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.state.live

    async def look(self) -> bool:
        """Take in a page of what is new; whether there was anything. Raises ``JournalError``."""
        state = await self.source.look()
        events = await self.source.events()
        for event in events:
            self.view.apply(event)
            self.kv.apply(event)
        if events or state != self.state:
            self.version += 1
        self.state = state
        return bool(events)
