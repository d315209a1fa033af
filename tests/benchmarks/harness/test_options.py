"""The options that all benchmarks share, and what they open."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from agentrt.benchmarks.harness.options import RESULTS, add_arguments, opened
from agentrt.errors import ConfigError, Refused
from agentrt.testing import ScriptedServer
from tests.benchmarks.harness.toy import answer, entries, replies


def parsed(*words: str) -> argparse.Namespace:
    """The options of these words."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, name="toy")
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at-once", "0"), "expected a whole number, 1 or more"),
        (("--at-once", "many"), "expected a whole number, 1 or more"),
        (("--limit", "-1"), "expected a whole number, 1 or more"),
        (("--timeout", "0"), "expected seconds above 0"),
        (("--timeout", "inf"), "expected seconds above 0"),
        (("--timeout", "soon"), "expected seconds above 0"),
        (("--seed", "x"), "invalid int value"),
        (("--engine", ""), "leave the option out"),
        (("--model", " "), "leave the option out"),
        (("--out", ""), "leave the option out"),
        (("--ids", ","), "leave the option out"),
    ],
)
def test_options_that_cannot_be_are_refused(
    words: tuple[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything begins; a variable that is not set chooses no other engine, folder or entries."""
    with pytest.raises(SystemExit):
        parsed(*words)
    assert says in capsys.readouterr().err


async def test_what_was_run_on_what_is_written_down(tmp_path: Path) -> None:
    """Versions, engine, model as it says itself, policy, seed, options, machine and time."""
    async with ScriptedServer(model="tiny-1b") as server:
        options = parsed("--engine", server.url, "--out", str(tmp_path), "--seed", "3", "--kv", "saga", "--limit", "2")
        async with opened(options, "toy", {"size": 4}) as bench:
            assert bench.told["model"] == "tiny-1b"
            assert (bench.settings.kv, bench.limit) == ("saga", 2)
    told = json.loads((tmp_path / "bench.json").read_text())
    assert (told["benchmark"], told["model"], told["seed"], told["options"]) == ("toy", "tiny-1b", 3, {"size": 4})
    around = told["environment"]
    assert around["engine"] == {"kind": "sglang", "model": "tiny-1b", "url": server.url, "version": "scripted"}
    assert {"agentrt", "python", "cpu", "cores", "memory_gb"} <= around.keys()


async def test_any_server_of_openais_protocol_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key that the environment has, and the model that was named; the key is nowhere in the folder."""
    monkeypatch.setenv("AGENTRT_API_KEY", "sesame")
    async with ScriptedServer(replies, kind="openai", api_key="sesame") as server:
        options = parsed("--engine", f"{server.url}/v1", "--model", "other", "--out", str(tmp_path / "a"))
        async with opened(options, "toy", {}) as bench:
            [found] = await bench.run(entries(1, tmp_path / "ledger"), answer)
            assert bench.told["environment"]["engine"]["kind"] == "openai"
        assert found.status == "done"
        assert server.requests[0].body["model"] == "other"
    assert not [path for path in (tmp_path / "a").iterdir() if b"sesame" in path.read_bytes()]


async def test_a_wrong_key_is_told_before_a_folder_is_made(tmp_path: Path) -> None:
    """The server's refusal, with the way out."""
    async with ScriptedServer(api_key="sesame") as server:
        options = parsed("--engine", server.url, "--out", str(tmp_path / "a"))
        with pytest.raises(Refused, match="AGENTRT_API_KEY"):
            async with opened(options, "toy", {}):
                pass
    assert not (tmp_path / "a").exists()


async def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Before an engine is looked for."""
    with pytest.raises(ConfigError, match="'lru'"):
        async with opened(parsed("--kv", "lru", "--out", str(tmp_path)), "toy", {}):
            pass


async def test_what_asks_no_model_needs_no_engine(tmp_path: Path) -> None:
    """Ground truth runs without one, and that is what is told."""
    async with opened(parsed("--out", str(tmp_path)), "toy", {}, asks=False) as bench:
        assert (bench.models, bench.told["model"]) == ({}, "")


async def test_folders_that_are_not_named_are_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same options go on in the same; others take the next one."""
    monkeypatch.chdir(tmp_path)
    places = []
    for seed in ("1", "2", "1"):
        async with opened(parsed("--seed", seed), "toy", {}, asks=False) as bench:
            places.append(bench.folder.path)
    assert places[0] == places[2]
    assert places[0].parent == RESULTS
    assert places[0].name.startswith("toy-20")
    assert places[1] == places[0].with_name(f"{places[0].name}-2")


async def test_entries_are_chosen_by_id_and_number(tmp_path: Path) -> None:
    """In the benchmark's own order; ids that are none are named."""
    there = entries(5, tmp_path)
    options = parsed("--out", str(tmp_path), "--ids", "toy-3,toy-1,toy-2", "--limit", "2")
    async with opened(options, "toy", {}, asks=False) as bench:
        assert [one.id for one in bench.chosen(there)] == ["toy-1", "toy-2"]
        with pytest.raises(ConfigError, match="'toy-3'"):
            bench.chosen(there[:3])
    async with opened(parsed("--out", str(tmp_path / "all")), "toy", {}, asks=False) as bench:
        assert bench.chosen(there) == there
