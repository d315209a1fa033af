"""What HiCache's host tier misses on a CPU: plain memory instead of pinned, and a copy between two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sglang.srt.mem_cache.pool_host import common, mha


def fill_gaps() -> None:
    """Give HiCache an allocator for device type ``cpu`` and its ``direct`` transfer."""
    common.ALLOC_MEMORY_FUNCS["cpu"] = allocate
    mha.transfer_kv_direct = copy_rows


def allocate(
    dims: tuple[int, ...], dtype: torch.dtype, device: str, pin_memory: bool, allocator: Any, *_: Any, **__: Any
) -> torch.Tensor:
    """An empty tensor from the pool's own ``allocator``, never pinned: there is no device to pin it for."""
    return allocator.allocate(dims, dtype=dtype, device=device)


def copy_rows(
    src_layers: Sequence[torch.Tensor],
    dst_layers: Sequence[torch.Tensor],
    src_indices: torch.Tensor,
    dst_indices: torch.Tensor,
    page_size: int,
) -> None:
    """Copy token rows ``src_indices`` of each source to rows ``dst_indices`` of its destination.

    Layers are (slots, ...) tensors, keys before values; indices are 1-D and one per token at every page size.
    """
    for src, dst in zip(src_layers, dst_layers, strict=True):
        dst.index_copy_(0, dst_indices, src.index_select(0, src_indices))
