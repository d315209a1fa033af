"""What a benchmark says while it measures."""

from __future__ import annotations

import sys
from collections.abc import Callable


def teller() -> Callable[[str], None]:
    """Progress goes to standard error, and only when somebody watches."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"\x1b[2K\r{text}", end="\r", file=sys.stderr, flush=True)
