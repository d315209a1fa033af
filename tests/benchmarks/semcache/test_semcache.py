"""The benchmark of the semantic cache: tiny sizes through the command line, and what is said of them. No time is
tested."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from agentrt.benchmarks.semcache.cost import Asked, Plan, Score, chosen, measure
from agentrt.benchmarks.semcache.questions import made, several
from agentrt.benchmarks.semcache.sheet import Findings, against, breakeven, sheet
from agentrt.cli import main
from agentrt.errors import ConfigError

pytest.importorskip("wordllama", reason="the embedder comes with the extra semcache")


def test_a_tiny_cache_is_measured_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Misses, hits, break-even, a store and its restart come out as JSON, each question what it was to be."""
    sizes = ["--entries", "60", "--blocks", "2", "--questions", "4", "--large", "40", "--peers", "none"]
    parts = ["--parts", "cost,breakeven,large", "--folder", str(tmp_path), "--json"]
    assert main(["bench", "semcache", *sizes, *parts]) == 0
    found = json.loads(capsys.readouterr().out)
    [ours] = found["scores"]
    assert (ours["name"], ours["entries"], ours["problem"]) == ("agentrt", 60, None)
    assert set(ours["asked"]) == {"miss", "miss, embedded before", "exact hit", "near hit"}
    assert all(kind["asked"] == 8 for kind in ours["asked"].values())
    assert ours["asked"]["exact hit"]["as_expected"] == 8
    assert 0 < ours["breakeven"] < 1
    assert found["large"]["entries"] == 40
    assert found["large"]["more"] == 2
    assert list(tmp_path.iterdir()) == []


def test_pairs_of_questions_are_judged_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of pairs gives hits and errors for each bound, and how far its labels can be trusted."""
    pairs = tmp_path / "pairs.jsonl"
    with pairs.open("w") as stream:
        for one in several(5, 150):
            stream.write(json.dumps({"text_a": one.text, "text_b": one.again, "label": 1}) + "\n")
            stream.write(json.dumps({"text_a": one.text, "text_b": one.other, "label": 0}) + "\n")
    assert main(["bench", "semcache", "--parts", "quality", "--pairs", str(pairs), "--splits", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["bound"] for one in found["quality"]] == [0.02, 0.05, 0.1]
    assert all(one["splits"] == 2 for one in found["quality"])
    assert found["noise"]["equal"] >= 0
    assert found["scores"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--parts", "cost,speed"], "--parts: there is no 'speed'; there are: cost, quality, large, breakeven"),
        (["--peers", "redis"], "--peers: there is no 'redis'; expected all, none or faiss,hnswlib"),
        (["--peer-entries", "0"], "--peer-entries 0: expected 1 or more"),
        (["--parts", "quality"], "quality needs pairs of questions: give a file with --pairs"),
        (["--folder", "/no/such/folder"], "--folder /no/such/folder: expected a folder that is there"),
    ],
)
def test_options_that_cannot_be_used_are_told(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong option is named, with what was expected, before anything is measured."""
    monkeypatch.delenv("AGENTRT_SEMCACHE_PAIRS", raising=False)
    assert main(["bench", "semcache", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_peer_that_cannot_be_installed_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its environment GPTCache has a problem, and our figures are there all the same."""
    monkeypatch.setattr("agentrt.benchmarks.semcache.cost._REQUIREMENTS", ("gptcache",))
    scores = measure(Plan(10, 10, 1, 2, ("faiss",)), str(tmp_path), lambda _: None)
    assert "expected an exact version" in scores[1].problem
    assert len(scores[0].asked("miss")) == 2
    assert any("expected an exact version" in line for line in sheet(Findings(scores, blocks=1), None).remarks)


def test_questions_are_made_up_alike_and_never_twice() -> None:
    """One seed gives the same questions each time, without any twice; all three wordings of one differ."""
    first, again = (list(islice(made(4), 500)) for _ in range(2))
    assert first == again
    assert len({one.text for one in first}) == 500
    assert all(len({one.text, one.again, one.other}) == 3 for one in first)
    assert {one.text for one in first}.isdisjoint(one.text for one in several(5, 500))


def score(name: str, miss: float, hit: float, after: float = 0.0) -> Score:
    """Two blocks, all questions of which took as long."""
    blocks = {
        "miss": [[Asked(miss, after, hit=False)] * 3] * 2,
        "exact hit": [[Asked(hit, 0.0, hit=True)] * 3] * 2,
    }
    return Score(name, 10, {"seconds": 1.0, "mib": 100.0}, blocks)


def test_the_break_even_rate_weighs_misses_against_hits() -> None:
    """Hits save what the model takes less their own cost; at that rate both sides are equal."""
    one = score("agentrt", 0.004, 0.002, after=0.001)
    rate = breakeven(one)
    assert rate is not None
    with_cache = rate * 0.002 + (1 - rate) * (0.5 + 0.005)
    assert with_cache == pytest.approx(0.5)
    assert breakeven(Score("nobody", 1)) is None


def test_a_peer_is_compared_within_a_block() -> None:
    """The ratio is that of blocks, and questions that were no misses count for nothing in the costs."""
    ours, theirs = score("agentrt", 0.001, 0.001), score("GPTCache", 0.012, 0.001)
    compared = against(theirs, ours, "miss")
    assert compared is not None
    assert compared.value == pytest.approx(12.0)
    theirs.blocks["miss"][0] = [Asked(0.012, 0.0, hit=False), Asked(9.0, 0.0, hit=True)]
    theirs.blocks["miss"].append([Asked(9.0, 0.0, hit=True)])
    assert [one.before for one in theirs.right("miss")] == [0.012] * 4
    assert theirs.medians("miss") == [0.012, 0.012, None]
    said = "\n".join(sheet(Findings([ours, theirs], blocks=2), None).remarks)
    assert "GPTCache: 12x ours for a miss, target 10 times at least: met" in said


def test_peers_are_chosen_by_name() -> None:
    """All, none, or those named."""
    assert chosen("all") == ("faiss", "hnswlib")
    assert chosen("none") == ()
    assert chosen("hnswlib") == ("hnswlib",)
    with pytest.raises(ConfigError, match="'milvus'"):
        chosen("milvus")
