"""Weights side by side in huge pages: a decoding step reads each of them once and in order, and little else."""

from __future__ import annotations

import ctypes
import mmap

import torch

HUGE_PAGE = 2 << 20
ALIGNMENT = 64
"""Bytes; one cache line, and what PyTorch gives a tensor of its own."""


def settle(model: torch.nn.Module, available: int) -> bool:
    """Move the parameters of ``model`` into one region of huge pages; return whether that was done.

    Parameters stay the objects they are, shared ones stay shared, and each old copy is given back as it is moved.
    Does nothing when the weights are larger than half of ``available`` bytes, or are not in main memory.
    """
    shared: dict[int, list[torch.nn.Parameter]] = {}
    for parameter in model.parameters():
        shared.setdefault(parameter.data_ptr(), []).append(parameter)
    total = sum(room_for(group[0]) for group in shared.values())
    if 2 * total > available or any(group[0].device.type != "cpu" for group in shared.values()):
        return False
    region, offset = huge_region(total)
    for group in shared.values():
        first = group[0]
        place = region[offset : offset + first.nbytes].view(first.dtype).view(first.shape)
        place.copy_(first.data)
        offset += room_for(first)
        for parameter in group:
            parameter.data = place
    return True


def room_for(parameter: torch.Tensor) -> int:
    """The bytes a parameter takes, up to the next aligned address."""
    return -(-int(parameter.nbytes) // ALIGNMENT) * ALIGNMENT


def huge_region(size: int) -> tuple[torch.Tensor, int]:
    """Untouched bytes and the offset of the first huge page; ``size`` bytes from there are asked to be huge.

    A kernel without huge pages says no and gives small ones: slower, and nothing else.
    """
    region = torch.empty(size + HUGE_PAGE, dtype=torch.uint8)
    offset = -region.data_ptr() % HUGE_PAGE
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None:
        start, length = ctypes.c_void_p(region.data_ptr() + offset), ctypes.c_size_t(size)
        ctypes.CDLL(None).madvise(start, length, advice)
    return region, offset
