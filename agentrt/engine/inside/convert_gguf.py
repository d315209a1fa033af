"""Turn a GGUF file into an ordinary model folder; run with the engine's own Python.

    python convert_gguf.py MODEL.gguf FOLDER CHAT_TEMPLATE.jinja|"" SAMPLING

The weights are unpacked to bfloat16 and saved as safetensors beside the tokenizer that the file carries. Without a
template the file's own is kept. ``SAMPLING`` is a JSON object of what its makers recommend.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(source: Path, folder: Path, template: str, sampling: str) -> None:
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
    model.generation_config.update(do_sample=True, **json.loads(sampling))
    model.save_pretrained(folder)
    print("writing the tokenizer", flush=True)
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if template:
        tokenizer.chat_template = Path(template).read_text()
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5])
