"""`agentrt bench replay` from end to end on a scripted server, and runs written as agent traces and read again."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt import Runtime
from agentrt.benchmarks.harness import contest
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.replay import readers
from agentrt.benchmarks.replay.entries import chosen_sessions, wanted
from agentrt.benchmarks.replay.executor import ReplayExecutor
from agentrt.benchmarks.replay.play import Pace, Played, played
from agentrt.benchmarks.replay.program import replay
from agentrt.benchmarks.replay.tokens import drawn
from agentrt.cli import main
from agentrt.errors import Unreachable
from agentrt.kvcache.hints import Capability
from agentrt.testing import Asked, Reply, ScriptedServer, break_off, say
from agentrt.types import Message, ModelRequest
from tests.benchmarks.replay.recordings import AZURE, MOONCAKE, claude_session, written
from tests.benchmarks.replay.test_play import recorded
from tests.benchmarks.stands import Stands

TAKES = Capability(protocol=1, version="test", pool=1 << 20, budget=0.9)


def words(asked: Asked) -> Reply:
    """As many words as were asked for."""
    return say(" ".join(["word"] * asked.body["sampling_params"]["max_new_tokens"]))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that takes hints, and answers at the length that is wanted."""
    with ScriptedServer.in_thread(words, takes=TAKES) as running:
        yield running


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Three sessions."""
    return written(tmp_path / "claude.jsonl", [claude_session(f"trace_{number}") for number in range(3)])


def run(*options: str) -> int:
    return main(["bench", "replay", "--speed", "1000", *options])


async def replayed(url: str, plain: dict[str, Any]) -> dict[str, int]:
    async with Runtime(ReplayExecutor(url), kv="none") as runtime:
        result: dict[str, int] = (await runtime.run(replay, plain)).output
    return result


async def test_an_engine_gets_the_prompts_and_lengths_of_the_recording() -> None:
    """Token numbers of each turn, as long as recorded, with a reply of fixed length whatever the model says."""
    plain = played(recorded(), Pace(speed=1000), Played())
    assert plain is not None
    async with ScriptedServer(words) as engine:
        came_to = await replayed(engine.url, plain)
        bodies = [one.body for one in engine.requests]
    assert [len(body["input_ids"]) for body in bodies] == [330, 460, 140, 200, 330, 700, 600]
    assert all(body["sampling_params"]["ignore_eos"] for body in bodies)
    assert [body["sampling_params"]["max_new_tokens"] for body in bodies] == [32] * 7
    assert bodies[1]["session_id"] == bodies[0]["session_id"] != bodies[2]["session_id"]
    assert bodies[0]["input_ids"][:128] == drawn("0/claude 100/28", 128)
    assert came_to["turns"] == 7
    assert came_to["prompt"] == sum(len(body["input_ids"]) for body in bodies)


async def test_what_an_engine_forgot_is_counted_as_regenerated() -> None:
    """With a cache nothing but what the server never generated is; with one that forgets all, all that was kept."""
    plain = played(recorded(), Pace(speed=1000), Played())
    assert plain is not None

    def forgets(asked: Asked) -> Reply:
        engine.forget()
        return words(asked)

    async with ScriptedServer(words) as engine:
        kept = (await replayed(engine.url, plain))["regenerated"]
    async with ScriptedServer(words) as engine:
        engine.forget()
        engine._cache.match = lambda words: 0  # type: ignore[method-assign]
        forgotten = (await replayed(engine.url, plain))["regenerated"]
    assert kept == 3 * 32
    assert forgotten == 362 + 492 + 512 + 232


async def test_hints_name_the_head_by_its_token_numbers(server: ScriptedServer) -> None:
    """What the engine is told of a fixed prompt are the tokens that its sessions begin with."""
    plain = played(recorded(), Pace(speed=1000), Played())
    assert plain is not None
    executor = ReplayExecutor(server.url)
    channel = await executor.hints()
    head = Message("system", plain["turns"][0]["head"])
    assert await channel.prefix((head,), ()) == tuple(drawn("0/claude 100/28", 128))
    assert await channel.prefix((), ()) == ()
    async with Runtime(executor, kv="agentrt") as runtime:
        await runtime.run(replay, plain)
    assert any(hint.ended for hint in server.hints)


async def test_a_reply_that_breaks_off_is_told() -> None:
    """As by any executor."""
    plain = played(recorded(), Pace(speed=1000), Played())
    assert plain is not None
    async with ScriptedServer(lambda asked: break_off("a", "b")) as engine:
        executor = ReplayExecutor(engine.url)
        ask = Message("user", plain["turns"][0]["prompt"])
        with pytest.raises(Unreachable):
            await executor.execute(ModelRequest((Message("system", plain["turns"][0]["head"]), ask)))
        await executor.close()


def test_a_recording_is_replayed_into_a_folder(
    server: ScriptedServer, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every session is an entry with its times; the report says what was played, cut and computed again."""
    out = tmp_path / "out"
    code = run("--trace", str(trace), "--engine", server.url, "--out", str(out), "--closed", "2", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert code == 0
    outcomes = Folder(out).outcomes()
    assert sorted(outcomes) == ["trace_0", "trace_1", "trace_2"]
    assert all(one.output["turns"] == 7 for one in outcomes.values())
    assert server.peak <= 2 * 2  # two sessions, each with one sub-agent at most beside it
    figures = {one["name"].strip(): one for one in printed["figures"]}
    assert figures["replayed"]["value"] == "3 sessions, 21 turns, 3 sub-agents"
    assert "harness cost, at most" in figures
    assert printed["told"]["options"]["kind"] == "claude"


def test_a_folder_is_replayed_again(
    server: ScriptedServer, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was run can be replayed: its journal has lengths, tools and sub-agents."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("--trace", str(trace), "--engine", server.url, "--out", str(first), "--sessions", "1") == 0
    kind, [session] = readers.read(first)
    assert kind == "journal"
    assert [turn.prompt for turn in session.turns] == [330, 460, 140, 700, 600]
    assert [[turn.prompt for turn in helper.turns] for turn in session.turns for helper in turn.helpers] == [[200, 330]]
    assert run("--trace", str(first), "--engine", server.url, "--out", str(second)) == 0
    assert [one.output["turns"] for one in Folder(second).outcomes().values()] == [7]
    assert "journal" in capsys.readouterr().out


def test_sessions_begin_as_they_arrived(server: ScriptedServer, tmp_path: Path) -> None:
    """In the open loop sessions' runs begin at their times, over the speed, and share what they shared."""
    trace = written(tmp_path / "m.jsonl", [MOONCAKE[0], {**MOONCAKE[1], "timestamp": 300_000}])
    out = tmp_path / "out"
    assert run("--trace", str(trace), "--engine", server.url, "--out", str(out), "--open") == 0
    first, second = (one.arrives for one in readers.read(out).sessions)
    assert second - first > 0.25
    assert len(server.requests[1].body["input_ids"]) == 1100
    assert server.requests[1].body["input_ids"][:512] == server.requests[0].body["input_ids"][:512]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--closed", "0"), "--closed 0: expected 1 or more"),
        (("--sessions", "-1"), "--sessions -1: expected 0 or more"),
        (("--max-gap", "nan"), "--max-gap nan: expected 0 or more"),
        (("--window", "20"), "no turn fits a window of 20 tokens"),
        (("--open",), "tells of no arrivals"),
        (("--kv", "lru,agentrt"), "--engine holds one tree and one policy"),
        (("--kv", "agentrt,hicache"), "engines with one tier"),
        (("--kv", "nobody"), "policy 'nobody' is not known"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    server: ScriptedServer,
    trace: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    """The message names the option and the way out."""
    scale = ("--scale", "1")
    assert run("--trace", str(trace), "--engine", server.url, "--out", str(tmp_path / "out"), *scale, *options) == 2
    assert said in capsys.readouterr().err


def test_a_server_that_takes_no_token_numbers_is_refused(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could not share what was shared."""
    with ScriptedServer.in_thread(kind="openai") as running:
        assert run("--trace", str(trace), "--engine", running.url, "--out", str(tmp_path / "out")) == 2
    assert "is no SGLang engine" in capsys.readouterr().err


# -- contests --------------------------------------------------------------------------------------------------------


def test_contestants_take_turns_each_in_a_folder_of_its_own(
    server: ScriptedServer,
    trace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each round begins with another one, each run with an empty cache, and the end puts them side by side."""
    stands = Stands(server)
    monkeypatch.setattr(contest, "served", stands.served)
    out = tmp_path / "out"
    more = ("--rounds", "2", "--pressure", "1", "--closed", "3", "--scale", "1")
    assert run("--trace", str(trace), "--kv", "agentrt,lru", "--out", str(out), *more) == 0
    printed = capsys.readouterr()
    assert [line for line in printed.err.splitlines() if line.startswith("round")] == [
        "round 1 of 2: lru", "round 1 of 2: agentrt", "round 2 of 2: agentrt", "round 2 of 2: lru",
    ]  # fmt: skip
    assert stands.started == [(2, 3 * 732)]
    assert [one.flushes for one in stands.engines.values()] == [2, 2]
    for name in ("lru", "agentrt"):
        assert sorted(Folder(out / name).outcomes()) == [f"trace_{n} r{r}" for n in range(3) for r in (1, 2)]
        assert Folder(out / name).told()["kv"] == name
    assert "agentrt beside lru" in printed.out
    assert "of lru's time" in printed.out


def test_a_contest_is_told_as_one_json_object(
    server: ScriptedServer,
    trace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Reports by contestant and comparisons; `--ids` and `--limit` hold, too."""
    monkeypatch.setattr(contest, "served", Stands(server).served)
    some = ("--trace", str(trace), "--kv", "lru,none", "--rounds", "1", "--scale", "1", "--json")
    assert run(*some, "--out", str(tmp_path / "out"), "--ids", "trace_2,trace_1", "--limit", "1") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["reports"]) == ["lru", "none"]
    assert [one["pairs"] for one in told["comparisons"]] == [1]
    assert run(*some, "--out", str(tmp_path / "other"), "--ids", "nobody") == 2


def test_a_pool_has_room_for_the_longest_context(trace: Path) -> None:
    """Under high pressure it is no smaller than that, and one that is asked for smaller is refused."""
    assert run("--trace", str(trace), "--kv", "lru,agentrt", "--pool", "500", "--scale", "1") == 2
    for odd in (("--pressure", "nan"), ("--pool", "-1"), ("--rounds", "0")):
        assert run("--trace", str(trace), "--kv", "lru,agentrt", "--scale", "1", *odd) == 2


# -- real recordings, where they are -----------------------------------------------------------------------------------

TRACES = os.environ.get("AGENTRT_TRACES")


@pytest.mark.skipif(not TRACES, reason="AGENTRT_TRACES names no folder with public recordings")
@pytest.mark.parametrize(
    ("name", "kind", "sessions", "turns"),
    [
        ("claude_code_sessions.jsonl.gz", "claude", 348, 24_341),
        ("swe_rebench_sessions.jsonl.gz", "swe", 129, 5_228),
        ("mooncake_conversation_trace.jsonl.gz", "mooncake", 12_031, 12_031),
        ("AzureLLMInferenceTrace_code.csv.gz", "azure", 8_819, 8_819),
    ],
)
def test_public_recordings_are_read(name: str, kind: str, sessions: int, turns: int) -> None:
    """As many sessions and turns as they have."""
    found = readers.read(Path(str(TRACES)) / name)
    assert (found.kind, len(found.sessions)) == (kind, sessions)
    assert sum(len(one.turns) for one in found.sessions) == turns


def test_an_azure_trace_is_replayed_at_random_times(server: ScriptedServer, tmp_path: Path) -> None:
    """A rate takes the place of the recorded arrivals."""
    trace = written(tmp_path / "a.csv", AZURE)
    assert run("--trace", str(trace), "--engine", server.url, "--out", str(tmp_path / "out"), "--open", "20") == 0
    assert len(server.requests) == 2


def test_a_rate_is_of_this_clock_whatever_the_speed(tmp_path: Path) -> None:
    """The speed divides recorded times alone."""
    recording = readers.read(written(tmp_path / "m.jsonl", MOONCAKE * 50))
    for speed in (1.0, 1000.0):
        options = argparse.Namespace(sessions=0, turns=0, seed=1, open=2.0, speed=speed, scale=1.0, max_gap=1.0)
        what = wanted("mooncake", chosen_sessions(recording, options), options, 0)
        assert 0.3 < what.entries()[-1].arrives / 99 < 0.7


def test_a_contest_needs_engines_of_its_own() -> None:
    """Several names, or one that no policy has, are a contest."""
    assert contest.is_contest("agentrt,none")
    assert contest.is_contest("lru")
    assert not contest.is_contest("agentrt")
    assert not contest.is_contest("nobody")
