"""Recordings in both formats, and what is said of those that are broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Segment
from agentrt.kvcache.simulator.jobs import Turn
from agentrt.kvcache.simulator.traces import read_jobs


def tool(name: str, start: float, end: float, cmd: str = "") -> dict[str, Any]:
    return {"name": name, "t_start": start, "t_end": end, "dur": end - start, "input_chars": 40, "cmd": cmd}


def call(tokens: int, *tools: dict[str, Any], read: int | None = None, sidechain: bool = False) -> dict[str, Any]:
    return {
        "input_tokens": tokens,
        "cache_read": read,
        "cache_creation": None,
        "text_chars": 40,
        "tool_calls": list(tools),
        "sidechain": sidechain,
    }


SWE = {
    "set": "local",
    "task": "repo-1",
    "attempt": "attempt_1",
    "llm_calls": [
        call(1000, tool("Read", 1.0, 1.5), tool("Bash", 1.0, 4.0, "cd /repo && pytest -q")),
        call(7, sidechain=True),
        call(100, read=1100),
        call(0),
        call(1202, tool("Edit", 9.0, 9.5)),
        call(1150),
    ],
}
CLAUDE = {
    "id": "trace_1",
    "tool_tokens": 100,
    "system_tokens": 28,
    "requests": [
        {"t": 0, "type": "n", "in": 256, "out": 10, "hash_ids": [1, 2, 3, 4], "stop": "tool_use", "api_time": 2.0},
        {"t": 5, "type": "subagent", "requests": []},
        {"t": 9, "type": "n", "in": 320, "out": 5, "hash_ids": [1, 2, 3, 4, 5], "stop": "end_turn", "api_time": 1.0},
        {"t": 70, "type": "s", "in": 400, "out": None, "hash_ids": [1, 9, 9, 9, 9, 9], "stop": ""},
    ],
}


def write(path: Path, *lines: object, zipped: bool = True) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if zipped else text)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_runs_on_swe_rebench_become_jobs(tmp_path: Path, zipped: bool) -> None:
    """New tokens are what is neither the last prompt nor its reply; the gap is the tools' from first to last."""
    other = SWE | {"llm_calls": [call(900)]}
    job, short = read_jobs(write(tmp_path / "runs", SWE, other, zipped=zipped))
    assert job.name == "repo-1 attempt_1"
    assert job.head == Segment("local prompt", 900)  # the shortest first prompt of the set
    assert job.turns == (
        Turn(new=100, output=30, fresh=True),
        Turn(new=170, output=1, gap=3.0, tool="Bash", word="pytest"),
        Turn(new=1, output=20),
        Turn(new=250, output=10, gap=0.5, tool="Edit", fresh=True),
    )
    assert short.turns == (Turn(new=1, output=10, fresh=True),)


def test_lengths_add_up(tmp_path: Path) -> None:
    """Each prompt of the job is as long as the recorded one, whatever its reply was taken to be."""
    [job] = read_jobs(write(tmp_path / "runs", SWE))
    assert [size - turn.output for size, turn in zip(job.contexts(), job.turns, strict=True)] == [
        1000,
        1200,
        1202,
        1150,
    ]


def test_claude_code_sessions_become_jobs(tmp_path: Path) -> None:
    """Gaps are from reply to request; a prompt that begins otherwise than the last begins anew."""
    [job] = read_jobs(write(tmp_path / "sessions", CLAUDE))
    assert job.head == Segment("claude prompt", 128)
    assert job.turns == (
        Turn(new=128, output=10, fresh=True),
        Turn(new=54, output=5, gap=7.0, tool="tool"),
        Turn(new=272, output=1, gap=60.0, tool="user", fresh=True),
    )


def test_sessions_without_turns_are_left_out(tmp_path: Path) -> None:
    """A run that failed before its first call is nobody's job."""
    assert read_jobs(write(tmp_path / "runs", SWE | {"llm_calls": []})) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "list of llm_calls or requests"),
        ({"requests": 3}, "list of llm_calls or requests"),
        (SWE | {"llm_calls": [{}]}, "'sidechain' missing"),
        (SWE | {"llm_calls": [call(3) | {"input_tokens": "many"}]}, "many"),
        (SWE | {"llm_calls": [7]}, "not subscriptable"),
        ({"id": "x", "requests": [{"type": "n"}]}, "'in' missing"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: object, complaint: str) -> None:
    """The message says which file, which line, and what was expected there."""
    with pytest.raises(ConfigError, match=f"runs, line 2: .*{complaint}"):
        read_jobs(write(tmp_path / "runs", SWE, line))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, cut short, not text: one error each, with the file's name."""
    with pytest.raises(ConfigError, match=r"cannot read the trace .*missing"):
        read_jobs(tmp_path / "missing")
    whole = write(tmp_path / "whole", SWE).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-9])
    (tmp_path / "torn").write_bytes(whole[:40] + b"\0\0\0\0" + whole[44:])
    (tmp_path / "picture").write_bytes(b"\xff\xd8\n")
    for name in ("cut", "torn", "picture"):
        with pytest.raises(ConfigError, match=f"cannot read the trace .*{name}"):
            read_jobs(tmp_path / name)
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_jobs(tmp_path / "text")
