"""Policies in turns over the same entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrt.benchmarks.harness import contest
from agentrt.benchmarks.harness.folder import Folder
from agentrt.cli import main
from agentrt.kvcache.hints import Capability
from agentrt.testing import ScriptedServer
from tests.benchmarks.bfcl.test_bench import fickle, lines
from tests.benchmarks.stands import Stands

pytestmark = [pytest.mark.usefixtures("official_environment"), pytest.mark.timeout(300)]

ENTRIES = ("simple_python_0", "simple_python_1", "multi_turn_base_0")


def run(*options: str) -> int:
    categories = ("--categories", "simple_python,multi_turn_base", "--ids", ",".join(ENTRIES))
    return main(["bench", "bfcl", "--kv", "agentrt,lru", *categories, *options])


def test_each_part_of_the_entries_is_taken_by_all_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every contestant has run and judged all entries in the end, and stands beside stock LRU; done again, nothing is
    asked."""
    with ScriptedServer.in_thread(fickle, takes=Capability(protocol=1, version="test", pool=1 << 20)) as server:
        stands = Stands(server)
        monkeypatch.setattr(contest, "served", stands.served)
        assert run("--rounds", "2", "--pool", "9000", "--out", str(tmp_path / "out")) == 0
        printed = capsys.readouterr()
        asked = len(server.requests)
        assert run("--rounds", "2", "--pool", "9000", "--out", str(tmp_path / "out")) == 0
        assert len(server.requests) == asked
    assert [line for line in printed.err.splitlines() if line.startswith("round")] == [
        "round 1 of 2: lru", "round 1 of 2: agentrt", "round 2 of 2: agentrt", "round 2 of 2: lru",
    ]  # fmt: skip
    assert stands.started[0] == (2, 9000)
    assert [one.flushes for one in stands.engines.values()] == [2, 2]
    for name in ("lru", "agentrt"):
        assert set(Folder(tmp_path / "out" / name).outcomes()) == set(ENTRIES)
        scores = lines(tmp_path / "out" / name, "score")
        assert sum(some[0]["total_count"] for some in scores.values()) == len(ENTRIES)
    assert "agentrt beside lru" in printed.out


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ground truth asks no engine; a server that is named has one tree; there has to be a contestant of that name."""
    for odd, because in (
        (("--oracle",), "--oracle asks no model"),
        (("--engine", "http://127.0.0.1:9"), "--engine holds one tree"),
        (("--kv", "lru,nobody"), "no contestant is called 'nobody'"),
        (("--pool", "0"), "expected a whole number"),
    ):
        assert run("--out", str(tmp_path / "out"), *odd) == 2
        assert because in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
