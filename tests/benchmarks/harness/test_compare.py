"""Two runs of one benchmark, entry by entry, and the sentence that comes of it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agentrt.benchmarks.harness.compare import Comparison, compared
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.sittings import Sitting
from agentrt.cli import main
from agentrt.errors import ConfigError
from tests.benchmarks.harness.samples import folder, outcome


def runs(
    path: Path, factor: float, passed: int = 24, size: int = 40, told: dict[str, Any] | None = None, seed: int = 1
) -> Folder:
    """So many entries of a few seconds, each by that factor slower, give or take a tenth; the first ones passed."""
    lengths, chance = random.Random(7), random.Random(seed)
    outcomes = [
        outcome(f"e{number}", lengths.uniform(2, 9) * factor * chance.uniform(0.9, 1.1)) for number in range(size)
    ]
    return folder(path, outcomes, {one.entry: float(at < passed) for at, one in enumerate(outcomes)}, told)


def beside(first: Folder, second: Folder) -> Comparison:
    """The second beside the first."""
    [found] = compared([first, second])
    return found


def test_a_faster_run_is_said_to_be_faster(tmp_path: Path) -> None:
    """By how much, with an interval, and that the scores are the same as far as can be told."""
    found = beside(runs(tmp_path / "lru", 1.0), runs(tmp_path / "ours", 0.8, passed=25, seed=2))
    assert found.times[0].ratio.value == pytest.approx(0.8, abs=0.03)
    assert found.conclusion.startswith("ours takes 0.8")
    assert "of lru's time (0." in found.conclusion
    assert found.conclusion.endswith("; no difference in score can be told (p = 1, 40 entries)")


def test_the_same_twice_is_no_difference(tmp_path: Path) -> None:
    """Noise alone is not told as one, however the means lie."""
    found = beside(runs(tmp_path / "a", 1.0), runs(tmp_path / "b", 1.0, seed=2))
    assert found.conclusion.startswith("no difference in time can be told: b takes ")


def test_a_better_score_is_said_to_be_better(tmp_path: Path) -> None:
    """In points, by McNemar's test: 12 entries of 40 passed that did not before, and none the other way."""
    found = beside(runs(tmp_path / "a", 1.0), runs(tmp_path / "b", 1.0, passed=36, seed=2))
    assert found.scores is not None
    assert found.scores.p == 2 / 4096
    assert "b's score is higher by 30.0 points (p < 0.001, 40 entries)" in found.conclusion
    turned = beside(runs(tmp_path / "c", 1.0, passed=36), runs(tmp_path / "d", 1.0, seed=2))
    assert "d's score is lower by 30.0 points" in turned.conclusion


def test_few_entries_prove_nothing(tmp_path: Path) -> None:
    """Three of three that are faster may be chance."""
    found = beside(runs(tmp_path / "a", 1.0, size=3), runs(tmp_path / "b", 0.5, size=3, seed=2))
    assert found.conclusion.startswith("no difference in time can be told")


def test_only_entries_that_both_have_are_compared(tmp_path: Path) -> None:
    """Those that one lacks are named; those that failed in one count for the score, not for the times."""
    first = runs(tmp_path / "a", 1.0, size=10)
    second = runs(tmp_path / "b", 1.0, size=8)
    second.add(outcome("e0", 600.0, status="cancelled", error="it took longer than 600 s"))
    second.add(outcome("new"))
    found = beside(first, second)
    assert (found.pairs, found.left_out) == (8, 1)
    assert found.missing == {"a": ("e8", "e9"), "b": ("new",)}
    assert found.times[0].paired.pairs == 7
    assert found.scores is not None
    assert found.scores.pairs == 8


def test_different_benchmarks_are_not_compared(tmp_path: Path) -> None:
    """Nor are runs that have no entry in common."""
    with pytest.raises(ConfigError, match="'toy', b of 'other'"):
        beside(runs(tmp_path / "a", 1.0), runs(tmp_path / "b", 1.0, told={"benchmark": "other"}))
    with pytest.raises(ConfigError, match="no finished entry in common"):
        beside(runs(tmp_path / "c", 1.0), folder(tmp_path / "d", [outcome("else")]))


def test_a_folder_is_not_compared_with_itself(tmp_path: Path) -> None:
    """However it is written."""
    first = runs(tmp_path / "a", 1.0)
    with pytest.raises(ConfigError, match=r"/a' is named twice"):
        beside(first, Folder(tmp_path / "a" / ".." / "a"))


def test_scores_that_are_the_same_are_not_sure_to_be(tmp_path: Path) -> None:
    """Of a few entries that all passed twice little is known of the others."""
    found = beside(*(runs(tmp_path / name, 1.0, passed=5, size=5) for name in "ab"))
    assert found.scores is not None
    assert found.scores.difference.low < -0.3 < 0.3 < found.scores.difference.high


def test_only_options_that_differ_are_told(tmp_path: Path) -> None:
    """By name, and of long lists the beginning."""
    first = runs(tmp_path / "a", 1.0, told={"options": {"kind": "fc", "categories": ["x"]}})
    second = runs(tmp_path / "b", 1.0, told={"options": {"kind": "fc", "categories": [*"xyzuvw"]}})
    assert beside(first, second).warnings == (
        "different options: categories x in a, categories x, y, z, u, v and 1 more in b",
    )


def test_what_makes_two_runs_unlike_is_a_warning(tmp_path: Path) -> None:
    """Model, seed, machine, engine and a busy machine are warned of; the KV policy is what one compares."""
    told = {
        "model": "large",
        "seed": 2,
        "kv": "none",
        "environment": {"engine": {"kind": "openai"}, "agentrt": "0.1.0", "cores": 64},
    }
    second = runs(tmp_path / "b", 1.0, told=told)
    second.sat([Sitting(0.0, 10.0, others=0.4)])
    found = " | ".join(beside(runs(tmp_path / "a", 1.0), second).warnings)
    for wanted in (
        "different model: 'tiny' in a, 'large' in b",
        "different seed",
        "cores 64 in b",
        "kind openai, version ? in b",
    ):
        assert wanted in found
    assert "others took 40.0% of the machine while b ran" in found
    assert "kv" not in found
    assert beside(runs(tmp_path / "c", 1.0), runs(tmp_path / "d", 1.0)).warnings == ()


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """By their whole paths."""
    found = beside(runs(tmp_path / "x" / "run", 1.0), runs(tmp_path / "y" / "run", 1.0))
    assert (found.first, found.second) == (str(tmp_path / "x" / "run"), str(tmp_path / "y" / "run"))


def test_entries_that_nobody_judged_leave_times_alone(tmp_path: Path) -> None:
    """Without verdicts there is nothing to say of scores."""
    wanted = [outcome(f"e{number}", 1.0 + number) for number in range(3)]
    found = beside(folder(tmp_path / "a", wanted), folder(tmp_path / "b", wanted))
    assert found.scores is None
    assert "score" not in found.conclusion


def test_the_command_prints_sentence_table_and_remarks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several folders are each put beside the first; a page can be had, too."""
    names = [str(runs(tmp_path / name, factor).path) for name, factor in (("a", 1.0), ("b", 0.5), ("<c>", 1.0))]
    page = tmp_path / "page.html"
    assert main(["bench", "compare", *names, "--page", str(page)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "b takes 0.50 of a's time" in printed
    assert "<c> beside a" in printed
    assert "time to first token" in printed
    assert "40 entries in both" in printed
    assert "&lt;c&gt; beside a" in page.read_text()
    assert 'class="warning"' not in page.read_text()
    assert "<c>" not in page.read_text()


def test_warnings_are_in_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What makes the two unlike stands under the table, and in the page in a box."""
    names = [str(runs(tmp_path / name, 1.0, told={"model": f"<{name}>"}).path) for name in "ab"]
    page = tmp_path / "page.html"
    assert main(["bench", "compare", *names, "--page", str(page)]) == 0
    assert "warning: different model: '<a>' in a, '<b>' in b" in capsys.readouterr().out
    assert '<p class="warning">different model: &#x27;&lt;a&gt;&#x27; in a' in page.read_text()


def test_the_command_gives_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object for each pair, with the sentence."""
    names = [str(runs(tmp_path / name, factor).path) for name, factor in (("a", 1.0), ("b", 0.5))]
    assert main(["bench", "compare", *names, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["times"][0]["ratio"]["value"] == pytest.approx(0.5)
    assert found["conclusion"].startswith("b takes 0.50")


def test_the_command_names_a_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the exit code of a mistake."""
    assert main(["bench", "compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert str(tmp_path / "a") in capsys.readouterr().err
