"""Runs written as agent traces, and read again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agentrt import Agent, Runtime, program, tool
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.replay import readers
from agentrt.benchmarks.replay.dynamo import journal_records
from agentrt.cli import main
from agentrt.executors import SGLangExecutor
from agentrt.testing import ScriptedServer, say
from agentrt.types import RunId
from tests.benchmarks.replay.test_replay import run, words

coder = Agent("coder")


@tool
async def look(what: str) -> str:
    """Look."""
    return what


@program
async def inner(what: str) -> str:
    """A sub-program with a context of its own."""
    return await coder(what)


@program
async def outer() -> str:
    """A session, a tool, a sub-program, and the session again."""
    session = coder.session()
    said = await session("begin")
    found = await look(said)
    told = await inner(found)
    return await session(told)


async def _run(url: str, journal: Path) -> None:
    ids = iter([RunId("one")])
    async with Runtime(SGLangExecutor(url), kv="none", journal=journal, new_id=lambda: next(ids)) as runtime:
        _ = (await runtime.run(outer)).output


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The journal of a run of ``outer``."""
    with ScriptedServer.in_thread(lambda asked: say("some words")) as running:
        asyncio.run(_run(running.url, tmp_path / "runs.db"))
    return tmp_path / "runs.db"


def test_a_run_is_told_in_the_words_of_agent_traces(journal: Path) -> None:
    """Turns with lengths and times, tools with theirs, and whose sub-program a context works in."""
    records = journal_records(journal)
    assert [one["event_type"] for one in records] == ["request_end", "tool_end", "request_end", "request_end"]
    assert {one["schema"] for one in records} == {"dynamo.agent.trace.v1"}
    contexts = [one["agent_context"] for one in records]
    assert {(one["session_type_id"], one["session_id"]) for one in contexts} == {("outer", "one")}
    assert contexts[2]["parent_trajectory_id"] == contexts[0]["trajectory_id"] == contexts[3]["trajectory_id"]
    assert "parent_trajectory_id" not in contexts[0]
    assert records[1]["tool"]["tool_class"] == "look"
    assert records[1]["tool"]["status"] == "succeeded"
    assert records[0]["request"]["output_tokens"] == 2
    assert records[0]["request"]["total_time_ms"] >= records[0]["request"]["ttft_ms"] >= 0
    assert "some words" not in json.dumps(records)


def test_an_exported_run_can_be_replayed(journal: Path, tmp_path: Path) -> None:
    """`agentrt export --format dynamo` writes lines with envelopes, which are a recording like any other."""
    file = tmp_path / "run.dynamo.jsonl"
    assert main(["export", "one", "--journal", str(journal), "-o", str(file)]) == 0
    assert {"timestamp", "event"} == set(json.loads(file.read_text().splitlines()[0]))
    kind, [session] = readers.read(file)
    assert kind == "dynamo"
    assert [len(turn.helpers) for turn in session.turns] == [0, 1]
    with ScriptedServer.in_thread(words) as server:
        assert run("--trace", str(file), "--engine", server.url, "--out", str(tmp_path / "out")) == 0
    assert [one.output["turns"] for one in Folder(tmp_path / "out").outcomes().values()] == [3]
