"""The official format of what is handed in, so that anybody can grade it with the official tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from agentrt.benchmarks.harness.entries import Outcome


def patch_of(outcome: Outcome) -> str:
    """The patch that an entry came to; empty when it came to none."""
    output = outcome.output if isinstance(outcome.output, dict) else {}
    return str(output.get("patch") or "")


def write(file: Path, model: str, patches: Mapping[str, str]) -> None:
    """Write one JSON line for each instance: ``instance_id``, ``model_name_or_path``, ``model_patch``."""
    lines = (
        {"instance_id": name, "model_name_or_path": model, "model_patch": patch} for name, patch in patches.items()
    )
    part = file.with_name(f".{file.name}.part")
    part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    part.replace(file)
