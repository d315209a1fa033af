"""What a benchmark ran on, as its folder tells it."""

from __future__ import annotations

import os
from typing import Any


def machine() -> dict[str, Any]:
    """Versions, cores and memory: what times depend on. The machine's name and its owner's are nobody's business."""
    import agentrt
    from agentrt.benchmarks.overhead.sheet import environment

    return {
        "agentrt": agentrt.__version__,
        **environment(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }
