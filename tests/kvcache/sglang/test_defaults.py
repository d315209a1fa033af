"""The server arguments for a CPU."""

from __future__ import annotations

from agentrt.kvcache.sglang import ATTENTION_BACKEND
from agentrt.kvcache.sglang.defaults import cpu_server_args


def test_our_backend_is_chosen() -> None:
    """The CPU gets our attention backend, by the name the plugin registers."""
    assert cpu_server_args()["attention_backend"] == ATTENTION_BACKEND


def test_a_second_tier_comes_only_when_asked_for() -> None:
    """HiCache is off by default, and on with the layout the CPU's copy understands."""
    assert not any("hi" in name and "cache" in name for name in cpu_server_args() if name != "enable_cache_report")
    args = cpu_server_args(host_tier_ratio=4.0)
    assert args["enable_hierarchical_cache"] is True
    assert (args["hicache_io_backend"], args["hicache_mem_layout"]) == ("direct", "layer_first")
