"""Recordings: each kind is known by what is in it, and prompts repeat what they repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.benchmarks.replay import blocks, claude, readers
from agentrt.benchmarks.replay.sessions import Head, Run, Session, grown, left, runs_of, size, taken
from agentrt.errors import ConfigError
from tests.benchmarks.replay.recordings import (
    AZURE,
    MOONCAKE,
    claude_session,
    dynamo_record,
    dynamo_request,
    request,
    swe_session,
    written,
)

DEEP = '{"input_length": ' + "[" * 100_000


def one_request(prompt: float, at: float) -> str:
    """A line of Mooncake's."""
    return json.dumps({"hash_ids": [1], "output_length": 1, "input_length": prompt, "timestamp": at}) + "\n"


def one_session(**more: int) -> str:
    """A line with a Claude Code session."""
    return json.dumps({"requests": [request(0.0, range(1, 6), 330)], "id": "x", **more}) + "\n"


NUMBERS = st.lists(st.integers(0, 40), max_size=30)


def numbers(runs: tuple[Run, ...]) -> list[int]:
    return [number for first, many in runs for number in range(first, first + many)]


@given(NUMBERS, st.integers(0, 40))
@settings(deadline=None)
def test_runs_are_the_numbers_they_were_made_of(some: list[int], count: int) -> None:
    """Runs, the first of them and the rest say what the list and its slices say."""
    runs = runs_of(some)
    assert numbers(runs) == some
    assert numbers(taken(runs, count)) == some[:count]
    assert numbers(left(runs, count)) == some[count:]
    assert size(runs) == len(some)


@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([",", ", "]))
@settings(deadline=None)
def test_a_prompt_is_read_beside_any_other(same: list[int], old: list[int], new: list[int], comma: str) -> None:
    """What is read of a text does not depend on the prompt before; what both begin with is counted in blocks."""
    first, second = (comma.join(map(str, [*same, *rest])) for rest in (old, new))
    before = blocks.read(blocks.NOTHING, first)
    found = blocks.read(before, second)
    assert numbers(found.runs) == [*same, *new]
    shared, one, other = 0, [*same, *old], [*same, *new]
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    assert blocks.common(before, second)[0] == shared


def test_a_claude_session_keeps_what_its_prompts_begin_with() -> None:
    """Growth keeps prompt and reply, a cut keeps whole blocks, a small prompt is a context of its own."""
    session = claude.session_of(json.dumps(claude_session()))
    assert session is not None
    assert session.head == Head("claude 100/28", 128)
    assert [turn.context for turn in session.turns] == [0, 0, 1, 0, 0]
    assert [turn.kept for turn in session.turns] == [128, 330 + 32, 0, 460 + 32, 8 * 64]
    assert [turn.gap for turn in session.turns] == [0.0, 4.0, 2.0, 5.0, 4.0]
    assert [turn.tool for turn in session.turns] == ["", "tool", "person", "person", "tool"]


def test_sub_agents_stand_before_the_turn_that_waited_for_them() -> None:
    """They begin after the reply before, and the gap counts from the end of the last of them."""
    session = claude.session_of(json.dumps(claude_session()))
    assert session is not None
    [helper] = session.turns[3].helpers
    assert [(turn.prompt, turn.kept, turn.gap) for turn in helper.turns] == [(200, 0, 3.0), (330, 232, 1.0)]
    assert helper.scope == session.scope
    assert not session.last


def test_a_swe_rebench_run_has_its_tools(tmp_path: Path) -> None:
    """Gaps are the tools' times, replies are as long as their text, what all runs of a set begin with is their head."""
    kind, sessions = readers.read(written(tmp_path / "swe.jsonl.gz", [swe_session()], zipped=True))
    [session] = sessions
    assert kind == "swe"
    assert session.head == Head("small", 999)
    assert [(turn.prompt, turn.output, turn.kept) for turn in session.turns] == [
        (1000, 10, 999), (1100, 12, 1010), (1310, 10, 1112),
    ]  # fmt: skip
    assert [(turn.tool, turn.word, turn.gap) for turn in session.turns[2:]] == [("Bash", "pytest", 1.0)]
    assert [len(turn.helpers) for turn in session.turns] == [0, 0, 1]


def test_requests_are_sessions_of_one_turn(tmp_path: Path) -> None:
    """Mooncake's and Azure's requests arrive when they did; only the first share blocks."""
    mooncake = readers.read(written(tmp_path / "m.jsonl", MOONCAKE))
    azure = readers.read(written(tmp_path / "a.csv", AZURE))
    assert (mooncake.kind, azure.kind) == ("mooncake", "azure")
    assert [one.arrives for one in mooncake.sessions] == [0.0, 0.5]
    assert [one.turns[0].blocks for one in mooncake.sessions] == [(Run(0, 2),), (Run(0, 1), Run(2, 2))]
    assert {one.scope for one in mooncake.sessions} == {"mooncake"}
    assert [round(one.arrives, 3) for one in azure.sessions] == [0.0, 4.315]
    assert len({one.scope for one in azure.sessions}) == 2


def dynamo_session(tmp_path: Path) -> Session:
    tool = {"tool_call_id": "c", "tool_class": "Bash", "started_at_unix_ms": 1_700_000_001_000, "duration_ms": 800.0}
    lines = [
        dynamo_request(0, 1000, "main", 128, (7, 8)),
        {"timestamp": 1, "event": dynamo_record("tool_end", 1800, "main", tool=tool)},
        dynamo_request(2000, 3000, "main", 256, (7, 8, 9, 5)),
        dynamo_request(3200, 3400, "child", 100, parent="main"),
        dynamo_request(5000, 6000, "main", 192, (7, 8, 4)),
    ]
    [session] = readers.read(written(tmp_path / "d.jsonl", lines)).sessions
    return session


def test_dynamos_traces_are_read_with_their_tools_and_children(tmp_path: Path) -> None:
    """Hashes say what a prompt keeps, tools what a gap was, parents whose sub-agent a trajectory is."""
    session = dynamo_session(tmp_path)
    assert [turn.kept for turn in session.turns] == [0, 144, 128]
    assert [(turn.tool, round(turn.gap, 3)) for turn in session.turns] == [("", 0.0), ("Bash", 1.0), ("pause", 1.6)]
    [helper] = session.turns[2].helpers
    assert (helper.turns[0].prompt, round(helper.turns[0].gap, 1)) == (100, 0.2)


def test_requests_without_context_are_sessions_of_their_own(tmp_path: Path) -> None:
    """A trace whose requests carry no identity has as many sessions as requests."""
    lines = [dynamo_request(0, 10, "x", 64), dynamo_request(5, 20, "x", 64)]
    for line in lines:
        del line["agent_context"]
    assert len(readers.read(written(tmp_path / "d.jsonl", lines)).sessions) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither Azure's CSV nor JSON lines"),
        ("hello\n", "neither Azure's CSV nor JSON lines"),
        ('{"other": []}\n', "neither Azure's CSV nor JSON lines"),
        ('{"requests": [{"type": "n"}], "id": "x", "block_size": 64}\n', r"line 1: .*'in' missing"),
        ('{"llm_calls": []}\n', "'task' missing|'set' missing"),
        ('{"requests": [], "id": "x", "block_size": 64}\n', "no session with a turn"),
        (one_request(-10, 0), "line 1: .*a prompt of -10 tokens"),
        (one_request(math.inf, 0), "line 1: .*infinity"),
        (one_request(10, math.nan), "line 1: .*arrives at nan"),
        (one_request(10, 0) + DEEP, "line 2: .*recursion"),
        (DEEP, "neither Azure's CSV nor JSON lines"),
        (one_session(block_size=0, tool_tokens=9), "line 1: .*zero"),
        (one_session(block_size=-1), "line 1: .*blocks of -1"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file, the line, and what was expected."""
    with pytest.raises(ConfigError, match=said):
        readers.read(written(tmp_path / "odd", text))


def test_a_file_that_is_not_there_and_a_folder_without_runs_are_refused(tmp_path: Path) -> None:
    """Both are named."""
    with pytest.raises(ConfigError, match="cannot read the recording"):
        readers.read(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"has no runs\.db"):
        readers.read(tmp_path)


def test_a_context_that_only_grows_keeps_the_reply_where_there_is_room() -> None:
    """Prompt and reply when the next prompt is longer than both, the prompt alone when it is not, nothing when less."""
    session = claude.session_of(json.dumps(claude_session()))
    assert session is not None
    first = session.turns[0]
    assert [grown(first, prompt) for prompt in (400, 362, 331, 330)] == [362, 330, 330, 0]
    assert grown(None, 100) == 0
