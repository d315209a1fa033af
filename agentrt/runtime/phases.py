"""The phases of a model turn, told to those who watch, and when its first text came."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agentrt.events import TurnPhase

if TYPE_CHECKING:
    from agentrt.runtime.gate import Moment
    from agentrt.runtime.handle import Handle


class Phases:
    """One turn of the step ``handle``. It takes the turn's text, as an ``Emit``, and hands it on.

    ``after`` is how many seconds after the request the first text came, ``None`` before that.
    """

    __slots__ = ("_began", "_clock", "_handle", "_phase", "after")

    def __init__(self, handle: Handle[object], clock: Callable[[], float]) -> None:
        self._handle = handle
        self._clock = clock
        self._began = 0.0
        self._phase: TurnPhase | None = None
        self.after: float | None = None

    def at_gate(self, moment: Moment) -> None:
        """It is held back, or goes."""
        if moment != "goes":
            self._enter("queued")

    def sent(self) -> None:
        """The engine has it now."""
        self._began = self._clock()
        self._enter("prefill")

    def __call__(self, text: str) -> None:
        """Take a piece of text and hand it on."""
        if self.after is None:
            self.after = self._clock() - self._began
            self._enter("decode")
        self._handle.emit(text)

    def _enter(self, phase: TurnPhase) -> None:
        if phase != self._phase:
            self._phase = phase
            self._handle.run.moved(self._handle, phase)
