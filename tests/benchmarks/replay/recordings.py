"""Tiny recordings of each shape, made up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BLOCK = 64


def request(at: float, blocks: Sequence[int], prompt: int, out: int = 32, stop: str = "tool_use") -> dict[str, Any]:
    """One request of a Claude Code session, answered in a second."""
    return {
        "t": at, "type": "n", "in": prompt, "out": out, "hash_ids": list(blocks), "stop": stop, "api_time": 1.0,
        "think_time": 0.0, "model": "m",
    }  # fmt: skip


def claude_session(name: str = "trace_1") -> dict[str, Any]:
    """Five requests: one that grows, a small one beside it, sub-agents, one more that grows, and one cut back."""
    helper = {
        "t": 12.0, "type": "subagent", "agent_id": "agent_1", "duration_ms": 3000,
        "requests": [request(0.0, range(900, 903), 200), request(2.0, range(900, 905), 330)],
    }  # fmt: skip
    return {
        "id": name,
        "block_size": BLOCK,
        "tool_tokens": 100,
        "system_tokens": 28,
        "requests": [
            request(0.0, range(1, 6), 330),
            request(5.0, range(1, 8), 460, stop="end_turn"),
            request(8.0, range(500, 502), 140, stop=""),
            helper,
            request(20.0, range(1, 11), 700),
            request(25.0, [*range(1, 9), 777], 600),
        ],
    }


def swe_session() -> dict[str, Any]:
    """Three calls, the second with a command that takes two seconds, and a sub-agent's between the last two."""

    def call(first: float, cached: int, chars: int, *, side: bool = False, cmd: str = "") -> dict[str, Any]:
        tool = {"name": "Bash", "t_start": first, "t_end": first + 2, "input_chars": 8, "cmd": cmd}
        return {
            "t_first": first, "t_last": first + 1, "sidechain": side, "input_tokens": 10, "cache_read": cached,
            "cache_creation": 0, "text_chars": chars, "tool_calls": [tool] if cmd else [],
        }  # fmt: skip

    calls = [call(0, 990, 40), call(3, 1090, 40, cmd="pytest -q"), call(6, 200, 40, side=True), call(9, 1300, 40)]
    return {"set": "small", "task": "task", "attempt": "1", "llm_calls": calls}


MOONCAKE = [
    {"timestamp": 0, "input_length": 1000, "output_length": 10, "hash_ids": [0, 1]},
    {"timestamp": 500, "input_length": 1100, "output_length": 12, "hash_ids": [0, 2, 3]},
]

AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
)


def dynamo_record(kind: str, at: int, trajectory: str, parent: str = "", **more: Any) -> dict[str, Any]:
    """One record, at so many milliseconds."""
    context = {"session_type_id": "p", "session_id": "s", "trajectory_id": trajectory}
    return {
        "schema": "dynamo.agent.trace.v1",
        "event_type": kind,
        "event_time_unix_ms": 1_700_000_000_000 + at,
        "event_source": "dynamo",
        "agent_context": context | ({"parent_trajectory_id": parent} if parent else {}),
        **more,
    }


def dynamo_request(
    began: int, ended: int, trajectory: str, prompt: int, hashes: Sequence[int] = (), parent: str = ""
) -> dict[str, Any]:
    """A model turn of that time, 16 tokens long."""
    told: dict[str, Any] = {
        "request_id": f"{trajectory}{began}", "output_tokens": 16, "input_tokens": prompt,
        "request_received_ms": 1_700_000_000_000 + began,
    }  # fmt: skip
    if hashes:
        told["replay"] = {"trace_block_size": 64, "input_length": prompt, "input_sequence_hashes": list(hashes)}
    return dynamo_record("request_end", ended, trajectory, parent, request=told)


def written(path: Path, lines: Sequence[Mapping[str, Any]] | str, *, zipped: bool = False) -> Path:
    """The lines in a file."""
    text = lines if isinstance(lines, str) else "".join(json.dumps(one) + "\n" for one in lines)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    return path
