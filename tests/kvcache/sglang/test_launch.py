"""The launcher, without SGLang: what it reads, what it refuses, and how its processes end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import agentrt
from agentrt.kvcache.sglang.launch import read_order

CHILD = """
import os, subprocess, sys, threading
from agentrt.kvcache.sglang import launch
parent = os.getppid()
launch.own_group()
launch.die_with(parent) if sys.argv[1] == "attached" else None
grandchild = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
print(os.getpid(), grandchild.pid, flush=True)
threading.Event().wait()
"""
PARENT = """
import subprocess, sys, threading
subprocess.Popen([sys.executable, "-c", sys.argv[1], "attached"])
threading.Event().wait()
"""
VARIABLES = {**os.environ, "PYTHONPATH": str(Path(agentrt.__file__).parents[1])}


def started(*argv: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start Python with ``argv``; return it and the pidfds of the processes whose ids its first line gives."""
    process = subprocess.Popen([sys.executable, "-c", *argv], stdout=subprocess.PIPE, text=True, env=VARIABLES)
    assert process.stdout is not None
    return process, [os.pidfd_open(int(pid)) for pid in process.stdout.readline().split()]


def all_end(watched: list[int]) -> bool:
    """Wait up to ten seconds for each process to end."""
    ended = [bool(select.select([pidfd], [], [], 10.0)[0]) for pidfd in watched]
    for pidfd in watched:
        os.close(pidfd)
    return all(ended)


def test_a_killed_parent_leaves_no_process() -> None:
    """When the parent is killed with SIGKILL, an attached launcher and what it started end too."""
    parent, watched = started(PARENT, CHILD)
    with parent:
        parent.kill()
        assert len(watched) == 2
        assert all_end(watched)


def test_sigterm_ends_the_whole_group() -> None:
    """SIGTERM to the launcher ends the processes it started as well."""
    launcher, watched = started(CHILD, "detached")
    with launcher:
        launcher.send_signal(signal.SIGTERM)
        assert len(watched) == 2
        assert all_end(watched)


def test_an_order_is_read() -> None:
    """The server arguments arrive as given, and an engine outlives its parent unless told otherwise."""
    order = read_order(json.dumps({"server_args": {"port": 1}}))
    assert order.server_args == {"port": 1}
    assert not order.die_with_parent


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"server_args": 3}', '{"server_args": {}, "api_key": "hidden"}'])
def test_a_wrong_order_is_refused_without_repeating_values(text: str) -> None:
    """What is no order is refused with what an order looks like, and no value of it is said aloud."""
    with pytest.raises(ValueError, match="standard input") as caught:
        read_order(text)
    assert "hidden" not in str(caught.value)


def test_a_wrong_order_is_a_usage_error() -> None:
    """The launcher says in one line what it wanted and exits with status 2."""
    done = subprocess.run(
        [sys.executable, "-m", "agentrt.kvcache.sglang.launch"],
        check=False, input="no json", capture_output=True, text=True, env=VARIABLES, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("agentrt engine: standard input")
    assert done.stderr.count("\n") == 1
