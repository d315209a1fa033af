"""The report of a folder: a table, a page, a JSON object."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.numbers import numbers, of_points, scores
from agentrt.benchmarks.harness.report import DATA, PAGE, TEXT, conclude, report
from agentrt.benchmarks.harness.sittings import Sitting
from agentrt.benchmarks.harness.words import chance, counted, percent, span, took
from agentrt.errors import ConfigError
from tests.benchmarks.harness.samples import folder, outcome

EVIL = "<script>alert(1)</script>&\"'\x1b[2J\u202e"


def made(path: Path) -> Folder:
    """Twenty entries of two categories, one of which failed; 15 passed."""
    outcomes = [
        outcome(f"e{number}", seconds=float(number + 1), category="left" if number < 8 else "right")
        for number in range(19)
    ]
    outcomes.append(outcome("e19", 20.0, category="right", status="failed", error=f"ValueError: {EVIL}\nsecond line"))
    points = {one.entry: float(number < 15) for number, one in enumerate(outcomes)}
    kv = {"prompt": 2000, "cached": 600, "behind": 150}
    sitting = Sitting(0.0, 60.0, own_s=0.6, engine_s=90.0, others=0.05, finished=20, steps=60, kv=kv)
    return folder(path, outcomes, points, sittings=[sitting])


def test_numbers_are_those_of_the_entries(tmp_path: Path) -> None:
    """Means, percentiles, sums and shares, worked out by hand."""
    found = report(made(tmp_path)).numbers
    assert found.entry.mean.value == 10.5
    assert (found.entry.p50, found.entry.p95) == (10.0, 19.0)
    assert (found.first.p50, found.first.p95) == (1.4, 3.6)
    assert (found.steps, found.turns, found.tools) == (60, 40, 20)
    assert (found.prompt, found.cached, found.cached_share) == (2000, 1200, 0.6)
    assert (found.steps_a_minute, found.harness_share, found.behind) == (60.0, 0.01, 0.25)
    assert found.statuses == {"done": 19, "failed": 1}


def test_scores_are_by_category_and_of_all(tmp_path: Path) -> None:
    """Entries that nobody judged count for none; one category is its own whole."""
    found = report(made(tmp_path))
    assert [(one.name, one.of, one.share.value) for one in found.scores] == [
        ("left", 8, 1.0),
        ("right", 12, 7 / 12),
        ("all", 20, 0.75),
    ]
    some = [one for one in found.outcomes if one.category == "left"]
    assert [one.name for one in scores(some, found.verdicts)] == ["left"]
    assert scores(found.outcomes, {}) == []


def test_parts_of_a_point_have_an_interval_too() -> None:
    """Scores between 0 and 1 are averaged as they are."""
    found = of_points([0.5, 1.0, 0.25, 0.5])
    assert found.value == 0.5625
    assert 0.25 <= found.low < 0.5625 < found.high <= 1.0


def test_the_table_has_every_figure(tmp_path: Path) -> None:
    """Score with interval, times, tokens, tiers, costs, engine and seed, and what failed, each on its line."""
    text = report(made(tmp_path)).text()
    for wanted in (
        "75.0% (53.1-88.8)",
        "19 done, 1 failed",
        "10 s, 19 s",
        "60 steps in 1:00",
        "1.4 s, 3.6 s",
        "66.7% and 33.3% of both",
        "60.0%",
        "25.0% from the",
        "1.0%",
        "1.50 cores",
        "e19: failed: ValueError",
        "sglang 0.5",
        "seed 1",
    ):
        assert re.sub(r"\s+", " ", wanted) in re.sub(r"\s+", " ", text)
    assert "\x1b" not in text


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_runs_nothing_of_others(tmp_path: Path) -> None:
    """What models and graders wrote is text; only our own script and style are allowed, by their digests."""
    page = report(made(tmp_path)).page()
    tags = Tags(page).found
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert sum(tag == "script" for tag, _ in tags) == 1
    assert not [
        name for _, attrs in tags for name in attrs if name in ("src", "href", "style") or name.startswith("on")
    ]
    policy = next(str(attrs["content"]) for _, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    for tag in ("script", "style"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert inside is not None
        assert b64encode(sha256(inside[1].encode()).digest()).decode() in policy


def test_the_page_has_a_row_for_each_entry(tmp_path: Path) -> None:
    """Twenty rows that can be sorted by their numbers, and the grader's words."""
    page = report(made(tmp_path)).page()
    body = page[page.index('class="sorts"') :]
    rows = re.findall(r"<tr><td>(e\d+)</td>", body)
    assert rows == [f"e{number}" for number in range(20)]
    assert 'data-n="20.0"' in body
    assert "said so" in body


def test_a_benchmark_is_concluded_by_three_files_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same in each; what is printed names the page."""
    conclude(made(tmp_path), as_json=False)
    printed = capsys.readouterr().out
    assert "75.0% (53.1-88.8)" in printed
    assert str(tmp_path / PAGE) in printed.replace("\n", "")
    assert "75.0% (53.1-88.8)" in (tmp_path / TEXT).read_text()
    data = json.loads((tmp_path / DATA).read_text())
    assert len(data["entries"]) == 20
    assert data["entries"][0]["verdict"]["score"] == 1.0
    assert data["numbers"]["entry"]["mean"]["value"] == 10.5
    conclude(Folder(tmp_path), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["scores"][-1]["value"] == 0.75
    assert "entries" not in told


def test_lines_of_a_benchmark_of_its_own_are_in_the_table(tmp_path: Path) -> None:
    """What only the benchmark knows stands beside the rest."""
    found = made(tmp_path)
    found.tell([("peak memory of a tool", "1.2 GB", "p95 0.3 GB")])
    assert "peak memory of a tool" in report(found).text()
    assert "1.2 GB" in report(found).page()


def test_an_engine_that_others_ask_too_is_told(tmp_path: Path) -> None:
    """When it counted more prompts than ours: twice as many, half of them are of others."""
    found = made(tmp_path)
    assert "others' share of the engine" not in report(found).text()
    [sitting] = found.sittings()
    found.sat([replace(sitting, kv={"prompt": 4000, "cached": 0, "behind": 0})])
    assert "others' share of the engine │ 50.0%" in re.sub(" +", " ", report(found).text())


def test_a_folder_in_which_nothing_is_finished_has_a_report(tmp_path: Path) -> None:
    """Also before the first entry, and before the grader."""
    found = report(folder(tmp_path, []))
    assert "Nothing was judged" in found.page()
    assert found.text()
    assert numbers([], []).steps_a_minute == 0.0


def test_a_folder_of_something_else_has_none(tmp_path: Path) -> None:
    """It is told what to name instead."""
    with pytest.raises(ConfigError, match="agentrt bench"):
        report(Folder(tmp_path))


def test_figures_in_words() -> None:
    """Short, with digits that say something."""
    assert [took(one) for one in (0, 0.00123, 0.0456, 0.9996, 4.567, 99.9, 100, 3725)] == [
        *("0 s", "1.23 ms", "45.6 ms", "1 s", "4.57 s", "99.9 s", "1:40", "1:02:05"),
    ]
    assert [span(one) for one in (0.4, 59.6, 3600)] == ["0 s", "1:00", "1:00:00"]
    assert [percent(one) for one in (0, 0.0012, 0.123, 1)] == ["0.0%", "0.12%", "12.3%", "100.0%"]
    assert [chance(one) for one in (0.0001, 0.034, 1)] == ["p < 0.001", "p = 0.034", "p = 1"]
    assert [counted(one, "entry") for one in (1, 1200)] == ["1 entry", "1,200 entries"]
