"""What a person sees of a run: a fold of its events, and the ways to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.ui.model import RunView, StepView
    from agentrt.ui.terminal.display import Display, Quiet

_HOMES = {"Display": "terminal.display", "Quiet": "terminal.display", "RunView": "model", "StepView": "model"}

__all__ = ["Display", "Quiet", "RunView", "StepView"]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
