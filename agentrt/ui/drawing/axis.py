"""Which part of a run's time is shown: all of it, or a part that follows the present, or one that holds still. Pure."""

from __future__ import annotations

from typing import Final

from agentrt.ui.drawing.bars import Window, fitting

CLOSEST: Final = 0.0001
"""Seconds in a column, at the largest magnification."""

_LEAST: Final = 0.001  # seconds that a run is taken to last at least


class Axis:
    """``window`` is what is shown, as of the last ``look``. It shows the whole run, until it is zoomed."""

    def __init__(self) -> None:
        self.window = Window(0.0, 1.0, 1)
        self._scale: float | None = None  # seconds in a column; None: as many as the run needs
        self._start = 0.0
        self._following = True
        self._now = _LEAST
        self._live = False

    def look(self, now: float, width: int, *, live: bool) -> Window:
        """Show it in so many columns, ``now`` seconds after the run began; ``live``: it goes on."""
        self._now, self._live = max(now, _LEAST), live
        if self._scale is None:
            self.window = Window(0.0, fitting(self._now, width) if live else self._now / width, width)
        else:
            if self._following:
                self._start = max(0.0, self._now - self._scale * width)
            self.window = Window(self._start, self._scale, width)
        return self.window

    def zoom(self, factor: float) -> None:
        """Show less of the time, larger; or more of it. The middle stays, or the present, where it is followed."""
        width = self.window.width
        scale = max(CLOSEST, self.window.scale / factor)
        if scale * width >= self._now * 1.001:
            self.whole()
            return
        middle = self.window.start + self.window.scale * width / 2
        self._scale = scale
        if not (self._following and self._live):
            self._move(middle - scale * width / 2)

    def pan(self, way: int) -> None:
        """Show what was earlier (-1) or later (1), by a quarter of what is seen."""
        if self._scale is not None:
            self._move(self.window.start + way * self.window.width * self._scale / 4)

    def whole(self) -> None:
        """Show the whole run."""
        self._scale, self._following = None, True

    def follow(self) -> None:
        """Keep the present at the right edge."""
        self._following = True

    def _move(self, start: float) -> None:
        assert self._scale is not None, "only a part of the time can be moved"
        latest = max(0.0, self._now - self._scale * self.window.width)
        self._start = min(max(0.0, start), latest)
        self._following = self._live and start >= latest
