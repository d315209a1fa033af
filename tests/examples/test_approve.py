"""The example with people in it, as a user runs it: without a terminal, answered from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentrt.engine import Engine
from agentrt.testing import ScriptedServer, say

ROOT = Path(__file__).parent.parent.parent


class Editor:
    """Runs ``agentrt`` with an engine and a journal."""

    def __init__(self, url: str, key: str, journal: Path) -> None:
        self._environment = {
            **os.environ,
            "AGENTRT_ENGINE": url,
            "AGENTRT_API_KEY": key,
            "AGENTRT_JOURNAL": str(journal),
        }

    def says(self, *words: str, code: int) -> Any:
        """What ``--json`` prints, if the command ends with that code."""
        command = [sys.executable, "-m", "agentrt", *words, "--json"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def publishes(self) -> dict[str, Any]:
        """The run's end, after every question was answered, the first draft refused."""
        self.says("run", "examples/approve.py", code=3)
        asked = self.says("runs", "questions", "last", code=0)
        assert {one["step"] for one in asked} == {"choose#1", "approve#1"}
        self.says("runs", "answer", "last", "choose#1", "newsletter", code=0)
        self.says("runs", "answer", "last", "approve#1", "no", "--resume", code=3)
        self.says("runs", "answer", "last", "Shorter.", "--resume", code=3)
        self.says("runs", "answer", "last", "yes", "--resume", code=3)
        end: dict[str, Any] = self.says("runs", "answer", "last", "-f", "number=7", "--resume", code=0)
        return end


def check(end: dict[str, Any]) -> None:
    """The second draft is published, and nothing was done twice."""
    names = [step["name"] for step in end["steps"]]
    assert names == ["choose", "writer", "approve", "ask", "writer", "approve", "fill", "publish"]
    assert end["output"].startswith("newsletter 7, Nature: ")
    assert end["status"] == "done"


def test_nobody_but_people_holds_it_up(tmp_path: Path) -> None:
    """On a scripted server: every process ends as soon as only people are left to wait for, and no turn is repeated."""
    with ScriptedServer.in_thread(lambda asked: say("Otters float.")) as server:
        check(Editor(server.url, "", tmp_path / "runs.db").publishes())
        assert len(server.requests) == 2


@pytest.mark.engine
def test_people_and_the_real_model(engine: Engine, tmp_path: Path) -> None:
    """On the real engine: the same steps, with the model's own words."""
    check(Editor(engine.url, engine.api_key, tmp_path / "runs.db").publishes())
