"""transformers' ``generate`` as a contender, run by the engine's Python as a script: ``peer.py MODEL_FOLDER``.

Writes one JSON line about itself when the model is loaded. Then, for each line ``{"batch": B, "tokens": N}`` on
standard input, generates N tokens for each of B random prompts and answers ``{"seconds": S}``.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

PROMPT_TOKENS = 32


def main(folder: str) -> None:
    """Load the model in its own type and answer until standard input ends."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    generate(model, 1, 8)
    about = {
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "sglang": version("sglang"),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "type": str(model.dtype).removeprefix("torch."),
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps({"seconds": generate(model, order["batch"], order["tokens"])}), flush=True)


def generate(model: Any, batch: int, tokens: int) -> float:
    """Greedily generate exactly ``tokens`` for each of ``batch`` random prompts; return the seconds it took."""
    import torch

    prompts = torch.randint(300, model.config.vocab_size - 300, (batch, PROMPT_TOKENS))
    start = time.perf_counter()
    with torch.inference_mode():
        model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
        )
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1])
