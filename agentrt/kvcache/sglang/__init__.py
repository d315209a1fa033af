"""What agentrt brings into the engine's own processes, through SGLang's public plugin seams.

Two entry points, both read by an unmodified SGLang in its own environment:

``sglang.srt.platforms``  ``agentrt_cpu`` -> ``cpu_platform``: a platform for machines without a GPU
``sglang.srt.plugins``    ``agentrt``     -> ``register``: names and hooks, in every engine process

Nothing here is imported by the SDK. Importing this package needs the standard library alone.
"""

from __future__ import annotations

__all__ = ["ATTENTION_BACKEND", "TREE_CORE", "cpu_platform", "register"]

ATTENTION_BACKEND = "agentrt_cpu"
"""Name of our attention backend, as SGLang's ``attention_backend`` argument takes it."""

TREE_CORE = "agentrt"
"""Name of our radix tree, as the environment variable ``SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND`` takes it."""


def cpu_platform() -> str:
    """Answer SGLang's platform search with the dotted name of our CPU platform class."""
    return "agentrt.kvcache.sglang.platform.CpuPlatform"


def register() -> None:
    """Declare our names and hooks to SGLang; it calls this in every process before it reads arguments."""
    from agentrt.kvcache.sglang import hooks

    hooks.install()
