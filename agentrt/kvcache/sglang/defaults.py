"""Server arguments that suit a CPU. Standard library only: read by the SDK's side, used in the engine's."""

from __future__ import annotations


def cpu_server_args(
    *, max_total_tokens: int | None = None, context_length: int | None = None, host_tier_ratio: float | None = None
) -> dict[str, object]:
    """Fields of SGLang's ``ServerArgs`` for our CPU platform.

    ``max_total_tokens`` is the size of the KV pool in tokens, ``context_length`` the longest sequence;
    ``host_tier_ratio`` adds a second KV tier (HiCache) that many times the size of the first.
    """
    args: dict[str, object] = {
        "device": "cpu",
        "attention_backend": "agentrt_cpu",
        "sampling_backend": "pytorch",
        "disable_overlap_schedule": True,
        "skip_server_warmup": True,
        "sleep_on_idle": True,  # else an idle scheduler keeps one core busy
        "enable_cache_report": True,
        "max_total_tokens": max_total_tokens or 65536,
    }
    if context_length is not None:
        args["context_length"] = context_length
    if host_tier_ratio is not None:
        args |= {
            "enable_hierarchical_cache": True,
            "hicache_ratio": host_tier_ratio,
            "hicache_io_backend": "direct",
            "hicache_mem_layout": "layer_first",
        }
    return args
