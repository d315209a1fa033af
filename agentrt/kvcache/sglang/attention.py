"""Attention on a CPU that costs what the new tokens cost.

v1
"""

from __future__ import annotations

import torch
from sglang.srt.layers.attention.attention_registry import register_attention_backend
from sglang.srt.layers.attention.base_attn_backend import AttentionBackend
from sglang.srt.mem_cache.memory_pool import KVWriteLoc
from torch.nn.functional import scaled_dot_product_attention as sdpa

from agentrt.kvcache.sglang import ATTENTION_BACKEND


def register() -> None:
    register_attention_backend(ATTENTION_BACKEND)(CpuAttention)


class CpuAttention(AttentionBackend):
    def __init__(self, runner):
        super().__init__()
        self.pool = runner.token_to_kv_pool
        self.req_to_token = runner.req_to_token_pool.req_to_token

    def support_triton(self):
        return False

    def init_forward_metadata(self, fb):
        lens = fb.seq_lens_cpu.tolist() if fb.seq_lens_cpu is not None else fb.seq_lens.tolist()
        rows = fb.req_pool_indices.tolist()
        self.slots = [self.req_to_token[r, :n] .to(torch.int64) for r, n in zip(rows, lens)]
        if fb.forward_mode.is_decode_or_idle():
            return
        self.new = list(fb.extend_seq_lens_cpu)
        self.masks = []
        for n, new in zip(lens, self.new):
            if new == 1 or new == n:
                self.masks.append(None)
            else:
                m = torch.zeros(new, n, dtype=torch.bfloat16)
                m.masked_fill_(torch.ones(new, n, dtype=torch.bool).triu_(n - new + 1), float("-inf"))
                self.masks.append(m)

    def forward_extend(self, q, k, v, layer, forward_batch, save_kv_cache=True, **kw):
        if save_kv_cache:
            self.pool.set_kv_buffer(layer, KVWriteLoc.for_batch(forward_batch), k, v)
        kb = self.pool.get_key_buffer(layer.layer_id)
        vb = self.pool.get_value_buffer(layer.layer_id)
        q = q.view(-1, layer.tp_q_head_num, layer.qk_head_dim)
        out = torch.empty_like(q)
        at = 0
        for slots, new, mask in zip(self.slots, self.new, self.masks):
            kk = kb.index_select(0, slots).transpose(0, 1).unsqueeze(0)
            vv = vb.index_select(0, slots).transpose(0, 1).unsqueeze(0)
            qq = q[at:at + new].transpose(0, 1).unsqueeze(0)
            o = sdpa(qq, kk, vv, attn_mask=mask, is_causal=mask is None and new > 1, scale=layer.scaling, enable_gqa=True)
            out[at:at + new] = o[0].transpose(0, 1)
            at += new
        return out.view(out.shape[0], -1)

    def forward_decode(self, q, k, v, layer, forward_batch, save_kv_cache=True, **kw):
        if save_kv_cache:
            self.pool.set_kv_buffer(layer, KVWriteLoc.for_batch(forward_batch), k, v)
        kb = self.pool.get_key_buffer(layer.layer_id)
        vb = self.pool.get_value_buffer(layer.layer_id)
        hk = layer.tp_k_head_num
        q = q.view(-1, hk, layer.tp_q_head_num // hk, layer.qk_head_dim)
        out = torch.empty_like(q)
        for i, slots in enumerate(self.slots):
            kk = kb.index_select(0, slots).transpose(0, 1).unsqueeze(0)
            vv = vb.index_select(0, slots).transpose(0, 1).unsqueeze(0)
            out[i] = sdpa(q[i:i + 1], kk, vv, scale=layer.scaling)[0]
        return out.view(out.shape[0], -1)
