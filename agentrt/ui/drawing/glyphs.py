"""The sign and the look of every state: no colour carries a meaning that no sign carries."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from agentrt.types import StepKind, StepStatus
from agentrt.ui.folds.timeline import Stage

Look: TypeAlias = Literal[
    "done",
    "running",
    "failed",
    "waiting",
    "stopped",
    "asking",
    "queued",
    "prefill",
    "decode",
    "tool",
    "code",
    "critical",
    "cached",
    "fresh",
    "held",
    "evictable",
    "gone",
    "quiet",
    "strong",
    "cursor",
    "accent",
    "warning",
    "role",
]
"""The name of a style; the themes say what it looks like."""

STATUS_GLYPH: Final[dict[str, str]] = {
    "done": "✓",
    "failed": "✗",
    "running": "▶",
    "pending": "·",
    "ready": "…",
    "skipped": "↷",
    "cancelled": "⊘",
    "waiting": "?",
    "interrupted": "‖",
}
"""The sign of a status of a step or a run. Each is one column wide."""

STATUS_LOOK: Final[dict[str, Look]] = {
    "done": "done",
    "failed": "failed",
    "running": "running",
    "pending": "waiting",
    "ready": "waiting",
    "skipped": "stopped",
    "cancelled": "stopped",
    "waiting": "asking",
    "interrupted": "warning",
}

KIND_GLYPH: Final[dict[StepKind, str]] = {
    "llm": "◆",
    "tool": "⚒",
    "python": "λ",
    "question": "?",
    "agent": "◎",
    "program": "▣",
    "join": "⋈",
}
"""The sign of what a step does."""

STAGE_FILL: Final[dict[Stage, str]] = {
    "waiting": "·",
    "queued": "░",
    "prefill": "▒",
    "decode": "█",
    "tool": "▓",
    "code": "▬",
    "asking": "?",
    "pause": "↻",
    "holding": "─",
}
"""What a stretch of time is drawn with, also where there is no colour."""

STAGE_LOOK: Final[dict[Stage, Look]] = {
    "waiting": "waiting",
    "queued": "queued",
    "prefill": "prefill",
    "decode": "decode",
    "tool": "tool",
    "code": "code",
    "asking": "asking",
    "pause": "warning",
    "holding": "quiet",
}


def status_sign(status: StepStatus | str, kind: StepKind | str = "python") -> str:
    """The sign of a step's status; a question that runs is waiting for a person."""
    return "?" if status == "running" and kind == "question" else STATUS_GLYPH[status]


def status_look(status: StepStatus | str, kind: StepKind | str = "python") -> Look:
    """The look of a step's status."""
    return "asking" if status == "running" and kind == "question" else STATUS_LOOK[status]
