"""What is being watched: a source, and the folds of what it has told so far. Nothing of Textual."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentrt.types import StepId
from agentrt.ui.folds.kv import KvView
from agentrt.ui.model import RunView
from agentrt.ui.watch.sources.base import Look, RunSource


class Watched:
    """One run on the screens, from the ``first`` look at its source on.

    ``version`` grows with every change; ``wall`` is the time of day in seconds.
    """

    def __init__(self, source: RunSource, first: Look, wall: Callable[[], float] = time.time) -> None:
        self.source = source
        self.state = first.state
        self.view = RunView()
        self.kv = KvView()
        self.selected: StepId | None = None
        self.version = 0
        self._wall = wall
        self._rewound = 0
        self._take(first)

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
        """Take in what is new; whether there is more of it. Raises ``JournalError``."""
        look = await self.source.look()
        self._rewind()
        self._take(look)
        return look.more

    def _take(self, look: Look) -> None:
        for event in look.events:
            self.view.apply(event)
            self.kv.apply(event)
        if look.events or look.state != self.state:
            self.version += 1
        self.state = look.state

    def _rewind(self) -> None:
        """Begin anew when the source does."""
        rewound: int = getattr(self.source, "rewound", 0)
        if rewound != self._rewound:
            self._rewound = rewound
            self.view, self.kv = RunView(), KvView()
