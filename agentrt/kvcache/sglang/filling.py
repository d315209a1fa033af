"""How full the tiers of one scheduler process are, and how busy it is: read when somebody asks. Standard library only.

device   locked by running requests | kept by hints | evictable | free
host     used | free                                                    in tokens; each line adds up to its tier
"""

from __future__ import annotations

from typing import Any


def filling(scheduler: Any, core: Any) -> dict[str, Any]:
    """The tiers and the requests of ``scheduler`` as plain JSON; ``core`` is our tree in it.

    ``locked`` is what running requests hold, whether it is in the tree yet or not. ``kept``, ``evictable`` and ``free``
    are the rest: ``kept`` may be evicted too, but after all that is only ``evictable``. Costs a walk over the nodes
    that hints keep, and nothing else that grows.
    """
    pool, cache = core.advisor.ledger.pool, core.cache
    free = int(cache.token_to_kv_pool_allocator.available_size())
    loose = int(core.full_evictable_size())
    kept = min(core.kept(), loose)
    device = {"locked": max(0, pool - free - loose), "kept": kept, "evictable": loose - kept, "free": free}
    return {"tiers": {"device": device, "host": _host(core, cache)}, "requests": _requests(scheduler)}


def _host(core: Any, cache: Any) -> dict[str, int]:
    size = core.advisor.ledger.host
    controller = cache.cache_controller
    free = int(controller.mem_pool_host.available_size()) if size and controller is not None else 0
    return {"used": max(0, size - free), "free": free}


def _requests(scheduler: Any) -> dict[str, int]:
    """Requests that run and that wait. One that was prefilled last joins the running ones a moment later."""
    batches = (scheduler.running_batch, scheduler.last_batch)
    running = {id(one) for batch in batches if batch is not None for one in batch.reqs if not one.finished()}
    return {"running": len(running), "queued": len(scheduler.waiting_queue)}
