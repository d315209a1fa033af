"""The examples, on the real engine, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentrt.engine import Engine

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.engine


def run(engine: Engine, name: str, *inputs: str) -> dict[str, Any]:
    """What ``agentrt run --json`` prints."""
    options = [part for one in inputs for part in ("--input", one)]
    command = [
        sys.executable,
        "-m",
        "agentrt",
        "run",
        f"examples/{name}.py",
        "--engine",
        engine.url,
        "--json",
        *options,
    ]
    environment = {**os.environ, "AGENTRT_API_KEY": engine.api_key}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def names(result: dict[str, Any]) -> list[str]:
    """The names of the steps, in order."""
    return [step["name"] for step in result["steps"]]


def test_report_fans_out_and_joins(engine: Engine) -> None:
    """The search runs beside the planner, there is one writer a section, and the editor comes after all of them."""
    result = run(engine, "report", "topic=sea otters")
    steps = {step["id"]: step for step in result["steps"]}
    assert steps["search#1"]["started"] < steps["planner#1"]["ended"]
    writers = [one for one in steps if one.startswith("writer#")]
    assert len(writers) == names(result).count("pick") >= 1
    into_editor = {before for before, after in result["graph"]["edges"] if after == "editor#1"}
    assert set(writers) <= into_editor
    assert result["output"].count("## ") == len(writers)
    assert 0 < result["critical_path_seconds"] <= result["seconds"]


def test_the_tool_loop_calls_the_tool_and_uses_what_it_says(engine: Engine) -> None:
    """The model asks for the tool, the tool runs as a step, its number is in the answer."""
    result = run(engine, "tool_loop", "city=Cairo")
    assert names(result) == ["guide", "guide.turn", "temperature", "guide.turn"]
    assert "31" in result["output"]


def test_agents_that_share_a_prompt_find_it_in_the_cache(engine: Engine) -> None:
    """Every agent after the first pays for little more than its own question."""
    result = run(engine, "shared_prompt")
    first, *later = result["steps"]
    assert len(later) == 3
    for step in later:
        assert step["cached_tokens"] > 0.8 * step["prompt_tokens"]
    assert result["tokens"]["cached"] >= sum(step["cached_tokens"] for step in later)
    assert first["prompt_tokens"] > 200
