"""When a model's first text came."""

from __future__ import annotations

from collections.abc import Callable

from agentrt.executors.base import Emit


class FirstToken:
    """An ``Emit`` that notes how many seconds after the request the first text came, ``None`` before that."""

    __slots__ = ("_began", "_clock", "_emit", "after")

    def __init__(self, emit: Emit, clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._began = 0.0
        self.after: float | None = None

    def wait(self) -> None:
        """The request is sent now."""
        self._began = self._clock()

    def __call__(self, text: str) -> None:
        """Take a piece of text and hand it on."""
        if self.after is None:
            self.after = self._clock() - self._began
        self._emit(text)
