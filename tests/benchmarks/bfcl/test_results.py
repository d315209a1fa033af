"""Result files, score files and verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from agentrt.benchmarks.bfcl import results
from agentrt.benchmarks.bfcl.official import Official
from agentrt.benchmarks.harness.entries import Measures, Outcome
from agentrt.errors import ExecutorError
from agentrt.types import RunStatus


class Fragile:
    """Judges as the official package does, and fails as a whole when one entry is ``poison``."""

    async def judge(self, category: str, lines: list[dict[str, Any]], within: float) -> list[dict[str, Any]]:
        """The wrong ones."""
        if any(one["result"] == "poison" for one in lines):
            raise ExecutorError("grader: judge: the process that was to answer died")
        wrong = [one["id"] for one in lines if one["result"] != "right"]
        return [{"id": one, "valid": False, "error": ["It is\nwrong."], "error_type": "some:kind"} for one in wrong]


def outcome(entry: str, result: Any, status: RunStatus = "done") -> Outcome:
    output = {"result": result, "input_token_count": 3, "output_token_count": 2, "latency": 0.5}
    error = None if status == "done" else "PromptTooLong: no"
    return Outcome(entry, "simple_python", entry, status, output if status == "done" else None, error, Measures(1.0))


async def judged(outcomes: list[Outcome]) -> dict[str, tuple[float, str]]:
    wrong = await results.judge(cast("Official", Fragile()), "simple_python", outcomes)
    return {one.entry: (one.score, one.why) for one in results.verdicts("simple_python", outcomes, wrong)}


async def test_an_entry_is_right_unless_the_checkers_say_what_is_wrong() -> None:
    """The verdict has the checker's kind of error and its words, in one line."""
    found = await judged([outcome("a", "right"), outcome("b", "other")])
    assert found == {"a": (1.0, ""), "b": (0.0, "some:kind: It is wrong.")}


async def test_an_entry_that_breaks_the_checkers_fails_alone() -> None:
    """The others are judged as ever."""
    some = [outcome(name, "poison" if name == "d" else "right") for name in "abcdefg"]
    found = await judged(some)
    assert [name for name, (score, _) in found.items() if score == 0] == ["d"]
    assert "died" in found["d"][1]


async def test_a_run_that_failed_is_wrong_whatever_the_category() -> None:
    """Saying nothing because of a failure is no right answer, also where nothing was to be called."""
    found = await judged([outcome("a", None, "failed"), outcome("b", "right")])
    assert found == {"a": (0.0, "agentrt:run_failed: its run failed: PromptTooLong: no"), "b": (1.0, "")}


def test_files_lie_where_the_official_package_looks(tmp_path: Path) -> None:
    """By model, group and category; the first line of a score file has the sums."""
    outcomes = [outcome("simple_python_0", "right"), outcome("simple_python_1", None, "failed")]
    results.write_results(tmp_path, "some/model", results.result_lines(outcomes))
    results.write_scores(tmp_path, "some/model", "simple_python", 2, [{"id": "simple_python_1", "model_name": "fc"}])
    lines = _read(tmp_path / "result/some_model/non_live/BFCL_v4_simple_python_result.json")
    assert lines[0] == {
        "id": "simple_python_0", "result": "right", "input_token_count": 3, "output_token_count": 2, "latency": 0.5,
    }  # fmt: skip
    assert lines[1] == {"id": "simple_python_1", "result": "Error during inference: PromptTooLong: no"}
    assert _read(tmp_path / "score/some_model/non_live/BFCL_v4_simple_python_score.json") == [
        {"accuracy": 0.5, "correct_count": 1, "total_count": 2},
        {"id": "simple_python_1", "model_name": "some/model"},
    ]


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
