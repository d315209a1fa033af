"""Attention on a CPU whose cost follows the new tokens, not the whole context.

SGLang's ``torch_native`` backend pads the new queries to the length of the whole sequence and throws most of the
result away, so a cached prefix saves little. This one hands PyTorch's flash kernel the new queries only, against
keys and values gathered from the pool. Heads that share a key head are stacked as extra query rows, so nothing is
repeated. ``docs/design/cpu-attention.md`` tells why each shape was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sglang.srt.layers.attention.attention_registry import register_attention_backend
from sglang.srt.layers.attention.base_attn_backend import AttentionBackend
from sglang.srt.layers.radix_attention import AttentionType, RadixAttention
from sglang.srt.mem_cache.memory_pool import KVWriteLoc
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agentrt.kvcache.sglang import ATTENTION_BACKEND

BLOCK = 512
"""Query rows per kernel call when new tokens follow a prefix: later rows of the block see up to this many keys
more than the first one, so a larger block wastes more, a smaller one pays more calls."""

STACKED_ROWS = 64
"""Up to this many query rows, stacking the heads of a group beats PyTorch's own grouped-query form."""

PADDING = 64
"""Decoding sequences are padded to one call while the longest exceeds the mean by at most this many tokens."""

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Decoding:
    """One new token for each of ``batch`` sequences, all in one call: pool ``slots`` (batch * longest), row after
    row, and the additive ``mask`` (batch, 1, 1, longest) that hides the padding, or None where there is none."""

    batch: int
    slots: Tensor
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Extending:
    """``new`` tokens at the end of one sequence whose context, new tokens included, lies in pool ``slots``."""

    slots: Tensor
    new: int


class CausalMask:
    """Additive masks for a block of new rows after any prefix: windows of one tensor, grown when needed."""

    def __init__(self, dtype: torch.dtype) -> None:
        tail = torch.zeros(BLOCK, BLOCK, dtype=dtype)
        self.tail = tail.masked_fill_(torch.ones(BLOCK, BLOCK, dtype=torch.bool).triu_(1), NEVER)
        self.whole = self.tail

    def window(self, rows: int, before: int) -> Tensor:
        """(rows, before + rows): row r sees the ``before`` keys of the past and new keys 0..r."""
        if before + BLOCK > self.whole.shape[1]:
            room = 1 << (before + BLOCK - 1).bit_length()
            self.whole = torch.cat((self.tail.new_zeros(BLOCK, room), self.tail), dim=1)
        start = self.whole.shape[1] - BLOCK - before
        return self.whole[:rows, start : start + before + rows]


class CpuAttention(AttentionBackend):  # type: ignore[misc]  # SGLang's classes are Any here
    """Causal self-attention over SGLang's paged pool, any grouping of heads, any page size.

    Raises ``ValueError`` at start for models that need more: sliding windows, capped scores, cross-attention,
    latent (MLA) pools, quantised pools.
    """

    def __init__(self, runner: Any) -> None:
        super().__init__()
        refuse_unsupported(runner)
        self.token_to_kv_pool = runner.token_to_kv_pool
        self.req_to_token_pool = runner.req_to_token_pool
        self.masks = CausalMask(runner.dtype)
        self.plan: list[Decoding | Extending] = []

    def support_triton(self) -> bool:
        """Say no: there is no GPU."""
        return False

    def init_forward_metadata(self, forward_batch: Any) -> None:
        """Plan the kernel calls of this forward pass, once for all layers."""
        lengths = forward_batch.seq_lens_cpu.tolist()
        table = self.req_to_token_pool.req_to_token
        if forward_batch.forward_mode.is_decode_or_idle():
            self.plan = plan_decoding(table, forward_batch.req_pool_indices, lengths, self.masks.tail.dtype)
            return
        rows = forward_batch.req_pool_indices.tolist()
        self.plan = [
            Extending(table[row, :length], new)
            for row, length, new in zip(rows, lengths, forward_batch.extend_seq_lens_cpu, strict=True)
        ]

    def forward_decode(
        self, q: Tensor, k: Tensor, v: Tensor, layer: Any, forward_batch: Any, save_kv_cache: bool = True, **_: Any
    ) -> Tensor:
        """Answer SGLang for a batch of single new tokens: (tokens, heads * dim) in, the same shape out."""
        queries = q.view(-1, layer.tp_q_head_num, layer.qk_head_dim)
        return self.attend(queries, k, v, layer, forward_batch, save_kv_cache)

    forward_extend = forward_decode

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layer: Any, forward_batch: Any, save: bool = True) -> Tensor:
        """Write ``k`` and ``v`` to the pool if ``save``, attend ``q`` over the pool, return (tokens, heads * dim).

        All three are (tokens, heads, dim); ``q`` may be a strided view.
        """
        pool = self.token_to_kv_pool
        if save and k is not None:
            pool.set_kv_buffer(layer, KVWriteLoc.for_batch(forward_batch), k, v)
        keys, values = pool.get_key_buffer(layer.layer_id), pool.get_value_buffer(layer.layer_id)
        outputs, start = [], 0
        for part in self.plan:
            if isinstance(part, Decoding):
                outputs.append(decode(part, q[start : start + part.batch], keys, values, layer.scaling))
                start += part.batch
            else:
                outputs.append(extend(part, q[start : start + part.new], keys, values, layer.scaling, self.masks))
                start += part.new
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def plan_decoding(
    table: Tensor, rows: Tensor, lengths: Sequence[int], dtype: torch.dtype
) -> list[Decoding | Extending]:
    """Plan one call for all sequences, or one each where padding to the longest would cost more than the calls.

    ``table`` (requests, context) maps a token's position to its pool slot; ``rows`` picks the batch's requests.
    """
    longest, batch = max(lengths, default=0), len(lengths)
    if batch * (longest - PADDING) > sum(lengths):
        return [Decoding(1, table[row, :length], None) for row, length in zip(rows.tolist(), lengths, strict=True)]
    slots = table[rows, :longest].flatten()
    if longest * batch == sum(lengths):
        return [Decoding(batch, slots, None)]
    beyond = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    mask = torch.zeros(batch, longest, dtype=dtype).masked_fill_(beyond, NEVER)
    return [Decoding(batch, slots, mask[:, None, None, :])]


def decode(part: Decoding, q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """Attend one query (batch, heads, dim) per sequence; return (batch, heads * dim)."""
    gathered = (part.batch, -1, *keys.shape[1:])
    k = keys.index_select(0, part.slots).view(gathered).transpose(1, 2)
    v = values.index_select(0, part.slots).view(gathered).transpose(1, 2)
    stacked = q.reshape(part.batch, keys.shape[1], -1, q.shape[-1])
    out = scaled_dot_product_attention(stacked, k, v, attn_mask=part.mask, scale=scale)
    return out.reshape(part.batch, -1)


def extend(part: Extending, q: Tensor, keys: Tensor, values: Tensor, scale: float, masks: CausalMask) -> Tensor:
    """Attend the new queries (new, heads, dim) of one sequence over its whole context; return (new, heads * dim)."""
    k = keys.index_select(0, part.slots).transpose(0, 1)[None]
    v = values.index_select(0, part.slots).transpose(0, 1)[None]
    if part.new * (q.shape[1] // keys.shape[1]) <= STACKED_ROWS:
        return extend_stacked(q, k, v, scale, masks)
    past = k.shape[2] - part.new
    queries = q.transpose(0, 1)[None]
    if past == 0:
        out = scaled_dot_product_attention(queries, k, v, is_causal=True, scale=scale, enable_gqa=True)
        return out[0].transpose(0, 1).reshape(part.new, -1)
    blocks = []
    for first in range(0, part.new, BLOCK):
        last = min(first + BLOCK, part.new)
        seen = past + last
        mask = masks.window(last - first, past + first)
        blocks.append(
            scaled_dot_product_attention(
                queries[:, :, first:last], k[:, :, :seen], v[:, :, :seen], attn_mask=mask, scale=scale, enable_gqa=True
            )
        )
    return torch.cat(blocks, dim=2)[0].transpose(0, 1).reshape(part.new, -1)


def extend_stacked(q: Tensor, k: Tensor, v: Tensor, scale: float, masks: CausalMask) -> Tensor:
    """Attend a few queries (new, heads, dim) with the heads of each group as extra rows; return (new, heads * dim)."""
    new, heads, dim = q.shape
    shared = k.shape[1]
    group = heads // shared
    stacked = q.reshape(new, shared, group, dim).permute(1, 2, 0, 3).reshape(1, shared, group * new, dim)
    mask = None if new == 1 else masks.window(new, k.shape[2] - new).repeat(group, 1)
    out = scaled_dot_product_attention(stacked, k, v, attn_mask=mask, scale=scale)
    return out.view(shared, group, new, dim).permute(2, 0, 1, 3).reshape(new, -1)


def refuse_unsupported(runner: Any) -> None:
    """Raise ``ValueError`` naming the first thing in the runner's model that this backend does not compute."""
    for layer in (module for module in runner.model.modules() if isinstance(module, RadixAttention)):
        reason = unsupported(layer)
        if reason:
            raise ValueError(
                f"attention backend {ATTENTION_BACKEND!r} does not compute {reason} (layer {layer.layer_id} of "
                f"{type(runner.model).__name__}); start the engine with attention_backend='torch_native'"
            )
    if runner.use_mla_backend or runner.token_to_kv_pool.dtype != runner.dtype:
        raise ValueError(
            f"attention backend {ATTENTION_BACKEND!r} needs a plain key and value pool of type {runner.dtype}; "
            "start the engine with attention_backend='torch_native' and kv_cache_dtype='auto'"
        )


def unsupported(layer: Any) -> str | None:
    """Name what this attention layer needs and this backend lacks, or return None."""
    checks = {
        "sliding windows": layer.sliding_window_size > 0,
        "capped scores": layer.logit_cap > 0,
        "cross-attention": layer.is_cross_attention,
        "attention that looks ahead": layer.attn_type != AttentionType.DECODER,
        "values of another width than keys": layer.qk_head_dim != layer.v_head_dim,
    }
    return next((name for name, found in checks.items() if found), None)


def register() -> None:
    """Offer this backend to SGLang under its name."""
    register_attention_backend(ATTENTION_BACKEND)(CpuAttention)
