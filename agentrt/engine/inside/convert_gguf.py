"""Turn a GGUF file into an ordinary model folder; run with the engine's own Python.

    python convert_gguf.py MODEL.gguf FOLDER CHAT_TEMPLATE.jinja

The weights are unpacked to bfloat16 and saved as safetensors beside the tokenizer that the file carries.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(source: Path, folder: Path, template: Path) -> None:
    """Read ``source`` and write the model folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    print("reading the weights", flush=True)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),  # else the weights stay packed and cannot be saved
    )
    print("writing the weights", flush=True)
    model.generation_config.update(do_sample=True, temperature=0.2, top_p=0.9)  # what its makers recommend
    model.save_pretrained(folder)
    print("writing the tokenizer", flush=True)
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.chat_template = template.read_text()
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
