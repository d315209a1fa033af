"""The Llama layer stack as straight-line code.

SGLang's layers are written for many devices, parallel layouts and quantisations; on a CPU, walking through those
choices takes a third of a decoding step of a small model. Where none of them is in use, this runs the same
operations on the same weights, one after the other. Everything else runs SGLang's own forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from sglang.srt.layers.activation import SiluAndMul
from sglang.srt.layers.layernorm import RMSNorm
from sglang.srt.layers.quantization.unquant import UnquantizedLinearMethod
from sglang.srt.layers.rotary_embedding import RotaryEmbedding
from sglang.srt.layers.rotary_embedding.rope_variant import Llama3RotaryEmbedding
from sglang.srt.model_executor.forward_context import get_attn_backend
from sglang.srt.models.llama import LlamaAttention, LlamaDecoderLayer, LlamaMLP, LlamaModel
from sglang.srt.runtime_context import get_parallel
from torch import Tensor
from torch.nn.functional import linear, rms_norm, silu

from agentrt.kvcache.sglang.attention import CpuAttention


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: (weight, bias) of each projection, weights of both norms, all by reference."""

    attention_norm: Tensor
    mlp_norm: Tensor
    qkv: tuple[Tensor, Tensor | None]
    out: tuple[Tensor, Tensor | None]
    gate_up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]
    attention: Any


def straighten(model: torch.nn.Module) -> int:
    """Give each plain Llama stack inside ``model`` the straight-line forward; return how many there were."""
    parallel = get_parallel()
    if parallel.tp_size * parallel.pp_size * parallel.dp_size != 1:
        return 0
    stacks = [module for module in model.modules() if type(module) is LlamaModel]
    plain = [stack for stack in stacks if all(is_plain(layer) for layer in stack.layers)]
    for stack in plain:
        stack.forward = partial(forward, stack, [layer_of(layer) for layer in stack.layers], stack.forward)
    return len(plain)


def is_plain(layer: Any) -> bool:
    """Whether a decoder layer does exactly what ``run_layer`` does."""
    if type(layer) is not LlamaDecoderLayer:
        return False
    attention, mlp = layer.self_attn, layer.mlp
    rotary = attention.rotary_emb
    return (
        type(attention) is LlamaAttention
        and type(mlp) is LlamaMLP
        and type(mlp.act_fn) is SiluAndMul
        and type(rotary) in (RotaryEmbedding, Llama3RotaryEmbedding)
        and rotary.is_neox_style
        and rotary.rotary_dim == rotary.head_size
        and all(is_plain_norm(norm) for norm in (layer.input_layernorm, layer.post_attention_layernorm))
        and all(type(part.quant_method) is UnquantizedLinearMethod for part in projections(layer))
    )


def is_plain_norm(norm: Any) -> bool:
    """Whether a norm is RMS over the whole width with a weight."""
    plain = type(norm) is RMSNorm and norm.has_weight and not norm.fp32_residual
    return plain and norm.variance_size_override is None and norm.override_orig_dtype is None


def projections(layer: Any) -> tuple[Any, Any, Any, Any]:
    """The four matrix products of a decoder layer in the order they run."""
    return layer.self_attn.qkv_proj, layer.self_attn.o_proj, layer.mlp.gate_up_proj, layer.mlp.down_proj


def layer_of(layer: Any) -> Layer:
    """Collect a plain decoder layer's weights."""
    qkv, out, gate_up, down = ((part.weight, part.bias) for part in projections(layer))
    norms = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
    return Layer(*norms, qkv, out, gate_up, down, layer.self_attn.attn)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary position embedding of one batch: (tokens, 1, dim) factors for a vector and for its swapped halves."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def at(cls, positions: Tensor, table: Tensor, dtype: torch.dtype) -> Rotation:
        """Look the angles of ``positions`` up in SGLang's ``table`` (positions, dim): cosines, then sines."""
        cos, sin = table.index_select(0, positions).to(dtype)[:, None, :].chunk(2, dim=-1)
        return cls(torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1))

    def turn(self, vectors: Tensor) -> Tensor:
        """Rotate ``vectors`` (tokens, heads, dim) by their positions."""
        swapped = vectors.roll(vectors.shape[-1] // 2, -1)
        return torch.addcmul(vectors * self.cos, swapped, self.sin)


def forward(
    stack: Any,
    layers: list[Layer],
    stock: Callable[..., Any],
    input_ids: Tensor,
    positions: Tensor,
    forward_batch: Any,
    input_embeds: Tensor | None = None,
    pp_proxy_tensors: Any = None,
) -> Any:
    """Take the place of ``LlamaModel.forward``; hand anything out of the ordinary to ``stock``."""
    backend = get_attn_backend()
    mode = forward_batch.forward_mode
    ordinary = type(backend) is CpuAttention and (mode.is_decode() or mode.is_extend_without_speculative())
    if not ordinary or stack.layers_to_capture or any(forward_batch.lora_ids or ()):
        return stock(input_ids, positions, forward_batch, input_embeds, pp_proxy_tensors=pp_proxy_tensors)
    hidden = stack.embed_tokens(input_ids) if input_embeds is None else input_embeds
    rotary, eps = stack.layers[0].self_attn.rotary_emb, stack.norm.variance_epsilon
    rotation = Rotation.at(positions, rotary.cos_sin_cache, hidden.dtype)
    width = hidden.shape[-1:]
    for layer in layers:
        normed = rms_norm(hidden, width, layer.attention_norm, eps)
        hidden = hidden + attend(layer, normed, rotation, backend, forward_batch)
        normed = rms_norm(hidden, width, layer.mlp_norm, eps)
        gate, up = linear(normed, *layer.gate_up).chunk(2, dim=-1)
        hidden += linear(silu(gate) * up, *layer.down)
    return rms_norm(hidden, width, stack.norm.weight, eps)


def attend(layer: Layer, hidden: Tensor, rotation: Rotation, backend: CpuAttention, forward_batch: Any) -> Tensor:
    """Run one layer's attention, projections included, on normalised ``hidden`` (tokens, width)."""
    attention = layer.attention
    queries, shared, dim = attention.tp_q_head_num, attention.tp_k_head_num, attention.qk_head_dim
    heads = linear(hidden, *layer.qkv).view(-1, queries + 2 * shared, dim)
    turned = rotation.turn(heads[:, : queries + shared])
    mixed = backend.attend(
        turned[:, :queries], turned[:, queries:], heads[:, queries + shared :], attention, forward_batch
    )
    return linear(mixed, *layer.out)
