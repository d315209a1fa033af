"""What a person sees of a run: a fold of its events, and the ways to show it."""

from __future__ import annotations

from agentrt.ui.display import Display, Quiet
from agentrt.ui.model import RunView, StepView

__all__ = ["Display", "Quiet", "RunView", "StepView"]
