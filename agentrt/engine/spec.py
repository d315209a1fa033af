"""What to start, and how it is said to SGLang."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentrt.engine.environment import Device
from agentrt.engine.model import DEFAULT_MODEL, Model
from agentrt.engine.shell import own_python
from agentrt.errors import ConfigError
from agentrt.kvcache.sglang import TREE_CORE
from agentrt.kvcache.sglang.defaults import cpu_server_args

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine to start.

    ``device`` is auto, cpu or cuda; ``port`` 0 takes a free one; ``max_total_tokens`` is the size of the KV cache and
    ``context_length`` the longest sequence, both in tokens; ``host_tier_ratio`` adds a second KV tier in main memory,
    that many times the first; ``extra`` are further fields of SGLang's ``ServerArgs``, which win over ours.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    port: int = 0
    max_total_tokens: int | None = None
    context_length: int | None = None
    host_tier_ratio: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def server_args(spec: EngineSpec, device: Device, model: Model, port: int, api_key: str) -> dict[str, object]:
    """The fields of SGLang's ``ServerArgs`` for ``spec``."""
    sizes = {"max_total_tokens": spec.max_total_tokens, "context_length": spec.context_length}
    if device == "cpu":
        args = cpu_server_args(
            max_total_tokens=spec.max_total_tokens,
            context_length=spec.context_length,
            host_tier_ratio=spec.host_tier_ratio,
        )
    else:
        args = {"device": "cuda", "enable_cache_report": True, "skip_server_warmup": True}
        args |= {name: value for name, value in sizes.items() if value is not None}
        if spec.host_tier_ratio is not None:
            args |= {"enable_hierarchical_cache": True, "hicache_ratio": spec.host_tier_ratio}
    args |= {"model_path": model.path, "served_model_name": model.name, **model.server_args}
    args["uvicorn_access_log_exclude_prefixes"] = ["/agentrt/"]  # hints come many times a second
    return {**args, **spec.extra, "host": HOST, "port": port, "api_key": api_key}


def engine_environment(device: Device, model: Model, plugin: Path) -> dict[str, str]:
    """The environment variables of the engine's process: ours, less what is meant for the user's Python."""
    kept = own_python(os.environ)
    kept |= {
        "PYTHONPATH": str(plugin),
        "PYTHONUNBUFFERED": "1",  # a crash must not swallow the end of the log
        "PYTHONUTF8": "1",  # SGLang reads its own files in the locale's encoding
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    for diagnosis in ("PYSPY_DUMP", "CUDA_COREDUMP"):  # after a crash they take a minute, in which runs would hang
        kept.setdefault(f"SGLANG_{diagnosis}_BEFORE_CRASH", "0")
    kept.setdefault("SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND", TREE_CORE)  # stock: rust or python
    if device == "cpu":
        kept["SGLANG_PLATFORM"] = "agentrt_cpu"
    if not model.online:
        kept["HF_HUB_OFFLINE"] = "1"
    return kept


def extra_args(words: Sequence[str]) -> dict[str, object]:
    """Read ``--some-option value --flag`` as fields of ``ServerArgs``; a value that reads as JSON is taken as such."""
    fields: dict[str, object] = {}
    name = None
    for word in words:
        if option := re.fullmatch(r"--([a-z][\w-]*)(?:=(.*))?", word, re.DOTALL):
            name = option[1].replace("-", "_")
            fields[name] = True if option[2] is None else _value(option[2])
        elif name is None or fields[name] is not True:
            raise ConfigError(f"{word!r} after -- is no option; write --option value as SGLang's launcher takes them")
        else:
            fields[name] = _value(word)
    taken = fields.keys() & {"host", "port", "api_key"}
    if taken:
        raise ConfigError(f"{', '.join(sorted(taken))} after -- cannot be set there; the engine stays on this machine")
    return fields


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
