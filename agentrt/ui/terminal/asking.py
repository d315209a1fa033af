"""What programs ask people, asked in the terminal on which the run is shown."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console
from rich.text import Text

from agentrt.runtime import Question
from agentrt.runtime.terminal import converse, typed_line
from agentrt.ui.terminal.display import Display

_STYLES = {"? ": "bold yellow", "  | ": "dim"}


class Asking:
    """An answerer for ``Runtime(answers=...)``: one question after the other, while the display stands aside."""

    def __init__(self, display: Display, console: Console) -> None:
        self._display = display
        self._console = console
        self._turn = asyncio.Lock()

    async def __call__(self, question: Question) -> Any:
        """Ask; ``None`` when the person leaves the question open with Ctrl-D."""
        async with self._turn:
            with self._display.aside():
                return await converse(question, typed_line, self._write)

    def _write(self, text: str) -> None:
        style = next((style for start, style in _STYLES.items() if text.startswith(start)), "")
        self._console.print(Text(text, style=style), end="", soft_wrap=True)
