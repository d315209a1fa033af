"""The hinted tree inside SGLang's own cache, checked by the engine's own Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agentrt.engine import environment, home
from agentrt.engine.plugin import plugin_folder

INSIDE = Path(__file__).with_name("inside_hints.py")


@pytest.mark.engine
def test_inside() -> None:
    """Every claim in ``inside_hints.py`` holds."""
    variables = {**os.environ, "PYTHONPATH": str(plugin_folder(home())), "HF_HUB_OFFLINE": "1"}
    python = str(environment("cpu").python)
    done = subprocess.run([python, str(INSIDE)], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
