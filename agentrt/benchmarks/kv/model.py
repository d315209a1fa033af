"""A model of a wanted shape without weights, which SGLang fills at random (``--load-format dummy``)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agentrt.engine import DEFAULT_MODEL, Environment, Home, environment, home, model
from agentrt.engine.environment import choose_device
from agentrt.errors import ConfigError

SHAPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
}
"""Sizes of Llama 3.1 8B, its vocabulary apart, which is that of the tokenizer in use: 128 KiB of KV a token in
bfloat16."""

TOKENIZER: Final = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def model_of(shape: str, device: str) -> str:
    """The folder of a model of that shape with the default model's tokenizer, made if needed.

    Raises ``ConfigError`` for a shape there is not, and what setting up the engine raises.
    """
    if shape not in SHAPES:
        raise ConfigError(f"no shape is called {shape!r}; there are: {', '.join(SHAPES)}")
    where = home()
    return str(make(shape, Path(_tokenizer(environment(choose_device(device)), where)), where.models))


def make(shape: str, source: Path, models: Path) -> Path:
    """Write the folder of a shape beside other models, its tokenizer copied from ``source``; return it."""
    folder = models / f"dummy-{shape}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    base = json.loads((source / "config.json").read_text())
    config = base | SHAPES[shape] | {"max_position_embeddings": 131_072, "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def _tokenizer(env: Environment, where: Home) -> str:
    return model(DEFAULT_MODEL, env, where=where).path
