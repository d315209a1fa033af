"""What is being watched: a source, and the folds of what it has told so far. Nothing of Textual."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentrt.types import StepId
from agentrt.ui.folds.kv import KvView
from agentrt.ui.model import RunView
from agentrt.ui.watch.sources.base import RunSource, RunState


class Watched:
    """One run on the screens. ``version`` grows with every change; ``wall`` is the time of day in seconds."""

    def __init__(self, source: RunSource, state: RunState, wall: Callable[[], float] = time.time) -> None:
        self.source = source
        self.state = state
        self.view = RunView()
        self.kv = KvView()
        self.selected: StepId | None = None
        self.version = 0
        self._wall = wall
        self._rewound = 0

    @property
    def now(self) -> float:
        """The moment that is shown, in seconds since the run began."""
        if self.state.now is not None:
            return self.state.now if self.state.live else max(self.state.now, self.view.last)
        return max(self.view.last, self._wall() - (self.view.wall or self.state.wall))

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.state.live

    async def look(self) -> bool:
        """Take in a page of what is new; whether there was anything. Raises ``JournalError``."""
        state = await self.source.look()
        events = await self.source.events()
        self._rewind()
        for event in events:
            self.view.apply(event)
            self.kv.apply(event)
        if events or state != self.state:
            self.version += 1
        self.state = state
        return bool(events)

    def _rewind(self) -> None:
        """Begin anew when the source does."""
        rewound: int = getattr(self.source, "rewound", 0)
        if rewound != self._rewound:
            self._rewound = rewound
            self.view, self.kv = RunView(), KvView()
