"""Checks that need torch and SGLang: run by the engine's Python as ``inside.py NAME``, exit 0 when the claim holds.

A check is a function without arguments whose docstring is its claim. ``test_inside.py`` runs each.
"""

from __future__ import annotations

import os
import random
import sys
from itertools import pairwise
from types import SimpleNamespace

os.environ["SGLANG_PLATFORM"] = "agentrt_cpu"

import torch
from sglang.srt.plugins import load_plugins

load_plugins()  # before SGLang's layers are imported, as in the engine

from sglang.srt.layers.radix_attention import RadixAttention  # noqa: E402

from agentrt.kvcache.sglang.attention import (  # noqa: E402
    BLOCK,
    CausalMask,
    CpuAttention,
    Decoding,
    plan_decoding,
)
from agentrt.kvcache.sglang.weights import settle  # noqa: E402

SLOTS = 4096


class Pool:
    """A key and value pool with the four methods the backend calls."""

    def __init__(self, heads, dim):
        self.dtype = torch.float32
        self.keys, self.values = torch.randn(2, SLOTS, heads, dim)

    def get_key_buffer(self, layer_id):
        return self.keys

    def get_value_buffer(self, layer_id):
        return self.values

    def set_kv_buffer(self, layer, where, k, v):
        self.keys[where.loc], self.values[where.loc] = k, v


class Mode:
    def __init__(self, decode):
        self.decode = decode

    def is_decode_or_idle(self):
        return self.decode


def backend_for(shared, dim, layers=()):
    model = torch.nn.ModuleList(layers)
    table = SimpleNamespace(req_to_token=torch.zeros(16, SLOTS, dtype=torch.int32))
    runner = SimpleNamespace(
        model=model, dtype=torch.float32, use_mla_backend=False,
        token_to_kv_pool=Pool(shared, dim), req_to_token_pool=table,
    )  # fmt: skip
    return CpuAttention(runner)


def batch_of(backend, lengths, new, dice, decode):
    """Put sequences of these lengths at random places of the pool; the last ``new`` tokens of each come now."""
    table = backend.req_to_token_pool.req_to_token
    rows = dice.sample(range(16), len(lengths))
    free = torch.randperm(SLOTS - 1).to(torch.int32) + 1
    places = []
    for row, length, fresh in zip(rows, lengths, new, strict=True):
        mine, free = free[:length], free[length:]
        table[row, :length] = mine
        places.append(mine[length - fresh :])
    return SimpleNamespace(
        forward_mode=Mode(decode), seq_lens_cpu=torch.tensor(lengths), req_pool_indices=torch.tensor(rows),
        extend_seq_lens_cpu=list(new), out_cache_loc=torch.cat(places).long(), out_cache_loc_is_physical=False,
    )  # fmt: skip


def naive(backend, batch, q, layer):
    """Attention by its definition, one sequence and one query at a time."""
    pool, outputs, at = backend.token_to_kv_pool, [], 0
    for row, length, new in zip(batch.req_pool_indices, batch.seq_lens_cpu, batch.extend_seq_lens_cpu, strict=True):
        slots = backend.req_to_token_pool.req_to_token[row, :length].long()
        for position in range(int(length) - new, int(length)):
            seen = slots[: position + 1]
            keys = pool.keys[seen].repeat_interleave(layer.tp_q_head_num // layer.tp_k_head_num, dim=1)
            values = pool.values[seen].repeat_interleave(layer.tp_q_head_num // layer.tp_k_head_num, dim=1)
            weights = torch.einsum("hd,thd->ht", q[at], keys).mul(layer.scaling).softmax(-1)
            outputs.append(torch.einsum("ht,thd->hd", weights, values).flatten())
            at += 1
    return torch.stack(outputs)


def compare(dice, decode, longest=300):
    shared, group, dim = dice.choice([1, 2, 3]), dice.choice([1, 3, 4]), dice.choice([16, 64])
    lengths = [dice.randint(1, longest) for _ in range(dice.randint(1, 6))]
    new = [1 if decode else dice.choice([1, length, dice.randint(1, length)]) for length in lengths]
    backend = backend_for(shared, dim)
    layer = RadixAttention(shared * group, dim, dim**-0.5, shared, layer_id=0)
    batch = batch_of(backend, lengths, new, dice, decode)
    q, k, v = (torch.randn(sum(new), heads * dim) for heads in (shared * group, shared, shared))
    backend.init_forward_metadata(batch)
    forward = backend.forward_decode if decode else backend.forward_extend
    out = forward(q, k.view(-1, shared, dim), v.view(-1, shared, dim), layer, batch)
    expected = naive(backend, batch, q.view(-1, shared * group, dim), layer)
    assert out.shape == q.shape
    off = (out - expected).abs().max().item()
    assert off < 1e-5, (off, shared, group, dim, lengths, new)


def extend_equals_the_definition():
    """New tokens after any prefix attend exactly what causal attention says, for any grouping of heads."""
    for seed in range(60):
        torch.manual_seed(seed)
        compare(random.Random(seed), decode=False)


def long_extend_equals_the_definition():
    """New tokens that span several blocks after a prefix still see every earlier token and no later one."""
    for seed in range(3):
        torch.manual_seed(seed)
        dice = random.Random(seed)
        backend, layer = backend_for(2, 16), RadixAttention(4, 16, 0.25, 2, layer_id=0)
        batch = batch_of(backend, [2 * BLOCK + 300], [BLOCK + dice.randint(1, BLOCK)], dice, False)
        new = batch.extend_seq_lens_cpu[0]
        q, k, v = torch.randn(new, 64), torch.randn(new, 2, 16), torch.randn(new, 2, 16)
        backend.init_forward_metadata(batch)
        out = backend.forward_extend(q, k, v, layer, batch)
        assert (out - naive(backend, batch, q.view(-1, 4, 16), layer)).abs().max() < 1e-5


def decode_equals_the_definition():
    """One new token per sequence attends its whole context and nothing of its neighbours, padded or not."""
    for seed in range(80):
        torch.manual_seed(seed)
        compare(random.Random(seed), decode=True, longest=120 if seed % 2 else 600)


def unwritten_slots_are_never_read():
    """Padding reaches only slots that hold numbers: slot 0 and slots of the sequence's own row."""
    backend, dice = backend_for(1, 16), random.Random(1)
    layer = RadixAttention(2, 16, 0.25, 1, layer_id=0)
    batch = batch_of(backend, [3, 60], [1, 1], dice, True)
    backend.init_forward_metadata(batch)
    assert len(backend.plan) == 1
    out = backend.forward_decode(torch.randn(2, 32), torch.randn(2, 1, 16), torch.randn(2, 1, 16), layer, batch)
    assert torch.isfinite(out).all()


def uneven_batches_are_not_padded():
    """Decoding sequences share a call while padding is cheap, and get one each when one of them is far longer."""
    table, rows = torch.zeros(4, 1000, dtype=torch.int32), torch.tensor([0, 1, 2])
    even = plan_decoding(table, rows, [100, 120, 140], torch.float32)
    assert [part.batch for part in even] == [3]
    uneven = plan_decoding(table, rows, [100, 120, 900], torch.float32)
    assert [part.batch for part in uneven] == [1, 1, 1]
    assert all(isinstance(part, Decoding) and part.mask is None for part in uneven)


def masks_grow_and_stay_right():
    """A mask window hides exactly the later rows of its own block, however far the prefix reaches."""
    masks = CausalMask(torch.float32)
    for rows, before in ((1, 0), (5, 3), (BLOCK, 0), (7, 5000), (BLOCK, 700), (3, 1)):
        window = masks.window(rows, before)
        expected = torch.ones(rows, before + rows, dtype=torch.bool).tril(before)
        assert torch.equal(window == 0, expected), (rows, before)
        assert torch.isneginf(window[~expected]).all()


def unsupported_models_are_refused_by_name():
    """A model with sliding windows or capped scores is refused at start, with the way out."""
    for changed, word in (({"sliding_window_size": 128}, "sliding windows"), ({"logit_cap": 30.0}, "capped scores")):
        said = refusal(RadixAttention(2, 16, 0.25, 1, layer_id=7, **changed))
        for needed in (word, "layer 7", "torch_native"):
            assert needed in said, (needed, said)


def refusal(layer):
    try:
        backend_for(1, 16, [layer])
    except ValueError as error:
        return str(error)
    return "nothing: it was accepted"


def weights_keep_their_values_and_ties():
    """Settled weights have the values they had, and parameters that shared memory still do."""
    model = torch.nn.ModuleList([torch.nn.Linear(7, 5), torch.nn.Linear(7, 5, bias=False).bfloat16()])
    model.tied = torch.nn.Parameter(model[0].weight.data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    assert not settle(model, available=100)
    assert settle(model, available=1 << 30)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.tied.data_ptr() == model[0].weight.data_ptr()
    assert all(mine is theirs for mine, theirs in zip(model.parameters(), parameters, strict=True))
    places = sorted((each.data_ptr(), each.nbytes) for each in {p.data_ptr(): p for p in parameters}.values())
    assert all(start + size <= after for (start, size), (after, _) in pairwise(places))


def straight_line_equals_stock():
    """The straight-line Llama stack gives the logits of SGLang's own layers on the real model, prefill and decode."""
    import sglang.benchmark.one_batch as bench
    from sglang.srt.server_args import PortArgs, ServerArgs

    args = ServerArgs(
        model_path=sys.argv[2], device="cpu", attention_backend="agentrt_cpu", sampling_backend="pytorch",
        disable_overlap_schedule=True, max_total_tokens=4096, context_length=2048, dtype="float32",
    )  # fmt: skip
    args.resolve_once()
    ranks = bench.SpawnRanks(world_rank=bench.spawn_world_rank(args, tp_rank=0, pp_rank=0), gpu_id=0)
    bench.publish(args, role="scheduler", ranks=ranks)
    bench._init_process_global_configs()
    runner, _ = bench.load_model(args, PortArgs.init_new(args), 0, 0)
    stack = runner.torch_runner.model.model
    for sequences, tokens in ((1, 64), (8, 40)):
        ours = logits_of(bench, runner, sequences, tokens)
        straight = stack.__dict__.pop("forward")
        stock = logits_of(bench, runner, sequences, tokens)
        stack.forward = straight
        off = (ours - stock).abs().max().item()
        assert off < 1e-3 * stock.abs().max().item(), off


def logits_of(bench, runner, sequences, tokens, steps=4):
    runner.clear()
    bench.np.random.seed(sequences)
    new, logits, batch = runner.extend(bench.prepare_synthetic_inputs_for_latency_test(sequences, tokens))
    found = [logits.clone()]
    for _ in range(steps):
        new, logits = runner.decode(new, batch)
        found.append(logits.clone())
    return torch.stack(found)


def all_of():
    """Every named check holds; one process, because importing takes longer than checking."""
    for name in sys.argv[2:]:
        print(name, flush=True)
        globals()[name]()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
