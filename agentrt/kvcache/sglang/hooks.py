"""The hooks every engine process gets, whatever its device."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from sglang.srt.arg_groups.choices import add_attention_backend_choices
from sglang.srt.mem_cache.unified_cache.tree_core_registry import register_tree_core_backend
from sglang.srt.plugins.hook_registry import HookRegistry, HookType

from agentrt.kvcache.sglang import ATTENTION_BACKEND, TREE_CORE, control, prefetch

SECRETS = ("api_key", "admin_api_key")
"""Server arguments that must never reach a log."""


def install() -> None:
    """Offer our attention backend and tree, keep keys out of the log, make SIGTERM mean now, open the way for hints."""
    add_attention_backend_choices([ATTENTION_BACKEND])
    HookRegistry.register("sglang.srt.entrypoints.engine._server_args_for_logging", redact, HookType.AFTER)
    HookRegistry.register(
        "sglang.srt.managers.tokenizer_manager.SignalHandler.sigterm_handler", end_now, HookType.REPLACE
    )
    register_tree_core_backend(TREE_CORE, hinted_tree)
    HookRegistry.register(
        "sglang.srt.managers.schedule_policy.PrefillAdder.add_one_req", prefetch.pass_over_loading, HookType.AROUND
    )
    HookRegistry.register("sglang.srt.mem_cache.unified_radix_cache.UnifiedRadixCache._evict", evict, HookType.AROUND)
    control.install()


def hinted_tree(params: Any, components: dict[Any, Any]) -> Any:
    """Make a tree core that knows hints; imported where one is made, in scheduler processes alone."""
    from agentrt.kvcache.sglang import tree

    return tree.build(params, components)


def evict(stock: Callable[..., Any], cache: Any, *args: Any, **named: Any) -> Any:
    """Around the eviction of any tree; only ours, which scheduler processes have imported, is told of it."""
    tree = sys.modules.get("agentrt.kvcache.sglang.tree")
    return stock(cache, *args, **named) if tree is None else tree.towards_goal(stock, cache, *args, **named)


def redact(logged: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
    """The logged server arguments with every secret that is set replaced by stars."""
    return {**logged, **{name: "***" for name in SECRETS if logged.get(name)}}


def end_now(*_: Any, **__: Any) -> None:
    """End this process and its children at once.

    SGLang's own handler waits for running requests, looking every five seconds. Whoever stops an embedded
    engine has no request left that it wants answered.
    """
    from sglang.srt.utils import kill_process_tree

    kill_process_tree(os.getpid())
