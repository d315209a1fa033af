"""A platform for machines without a GPU, built on the seam SGLang keeps for hardware it does not know."""

from __future__ import annotations

from typing import Any

from sglang.srt.platforms.cpu import CpuDeviceMixin
from sglang.srt.platforms.device_mixin import PlatformEnum
from sglang.srt.platforms.interface import SRTPlatform

from agentrt.kvcache.sglang import ATTENTION_BACKEND


class CpuPlatform(CpuDeviceMixin, SRTPlatform):  # type: ignore[misc]  # SGLang's classes are Any here
    """Plain CPU: SGLang's own scheduler, radix cache and HiCache; our attention and host transfers."""

    _enum = PlatformEnum.OOT

    def get_default_attention_backend(self) -> str:
        """Name the backend used when ``attention_backend`` is not given."""
        return ATTENTION_BACKEND

    def get_dispatch_key_name(self) -> str:
        """Let every operator take its plain PyTorch form."""
        return "native"

    def is_pin_memory_available(self, device: object = None) -> bool:
        """Say no: there is no device to pin host memory for."""
        return False

    def init_backend(self) -> None:
        """Bring our parts in, once in each process that runs the model."""
        from agentrt.kvcache.sglang import attention, host_pool

        attention.register()
        host_pool.fill_gaps()

    def post_load_model(self, model: Any) -> None:
        """Settle the weights, then straighten what can be straightened."""
        from agentrt.kvcache.sglang import llama, weights

        available, _ = self.get_available_memory()
        weights.settle(model, available)
        llama.straighten(model)
