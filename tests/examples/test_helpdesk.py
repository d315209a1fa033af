"""The example of a cache, on a scripted server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from agentrt.testing import Asked, Reply, ScriptedServer, calls, say

FILE = Path(__file__).parent.parent.parent / "examples" / "helpdesk.py"


def shop(asked: Asked) -> Reply:
    """Calls the tool where there is one, then says what it was told."""
    if asked.tools and asked.messages[-1]["role"] != "tool":
        return calls(("places_left", {}))
    return say(f"You asked: {asked.last}")


def told(server: ScriptedServer, journal: Path, *more: str) -> Any:
    """What one run prints."""
    command = [sys.executable, "-m", "agentrt", "run", str(FILE), "--engine", server.url, "--journal", str(journal)]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True, env=os.environ, timeout=60)
    return json.loads(done.stdout)


def test_half_the_questions_are_asked_and_every_place_is_counted(tmp_path: Path) -> None:
    """Three of six, in the next run none; the tool is called each time, and its words are those of now."""
    with ScriptedServer.in_thread(shop) as server:
        plain = told(server, tmp_path / "plain.db")
        without = len(server.requests)
        first = told(server, tmp_path / "runs.db", "--cache", "static")
        cached = len(server.requests) - without
        again = told(server, tmp_path / "runs.db", "--cache", "static")
        later = len(server.requests) - without - cached
    assert plain == first == again
    assert "12 places are left." in first["places"][0]
    assert "11 places are left." in first["places"][1]
    assert (without, cached, later) == (6 + 4, 3 + 4, 4)
