"""The engine's side, checked by the engine's own Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agentrt.engine import DEFAULT_MODEL, environment, home, model
from agentrt.engine.plugin import plugin_folder

INSIDE = Path(__file__).with_name("inside.py")
CHECKS = (
    "extend_equals_the_definition",
    "long_extend_equals_the_definition",
    "decode_equals_the_definition",
    "unwritten_slots_are_never_read",
    "uneven_batches_are_not_padded",
    "masks_grow_and_stay_right",
    "unsupported_models_are_refused_by_name",
    "weights_keep_their_values_and_ties",
)


def run_inside(*words: str) -> None:
    variables = {**os.environ, "PYTHONPATH": str(plugin_folder(home())), "HF_HUB_OFFLINE": "1"}
    python = str(environment("cpu").python)
    done = subprocess.run([python, str(INSIDE), *words], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.engine
def test_parts() -> None:
    """Every claim about the parts of the engine's side in ``inside.py`` holds."""
    run_inside("all_of", *CHECKS)


@pytest.mark.engine
def test_straight_line_stack() -> None:
    """The straight-line Llama stack gives the logits of SGLang's own layers on the real model."""
    run_inside("straight_line_equals_stock", model(DEFAULT_MODEL, environment("cpu")).path)
