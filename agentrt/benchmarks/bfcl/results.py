"""What the official package reads and writes: result files, score files, and verdicts made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agentrt.benchmarks.bfcl.official import Official, group_of
from agentrt.benchmarks.harness.entries import Outcome, Verdict
from agentrt.benchmarks.harness.folder import write_whole
from agentrt.errors import ExecutorError, StepTimeout

_PATIENCE_S: Final = 120.0
_MORE_S: Final = 2.0
"""Seconds that the checkers may take: for a start, and for each entry."""

_WHY: Final = 300


def result_lines(outcomes: Iterable[Outcome]) -> dict[str, list[dict[str, Any]]]:
    """The lines of the official result files by category, in the order of the outcomes."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for one in outcomes:
        told = one.output if one.status == "done" else {"result": f"Error during inference: {one.error}"}
        lines.setdefault(one.category, []).append({"id": one.entry, **told})
    return lines


def write_results(folder: Path, model: str, lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write ``result/MODEL/GROUP/BFCL_v4_CATEGORY_result.json``, which ``bfcl evaluate`` grades."""
    for category, found in lines.items():
        _write(_file(folder, "result", model, category), found)


def write_scores(folder: Path, model: str, category: str, total: int, wrong: Sequence[Mapping[str, Any]]) -> None:
    """Write ``score/MODEL/GROUP/BFCL_v4_CATEGORY_score.json`` as the official package does."""
    correct = total - len(wrong)
    header = {"accuracy": correct / total, "correct_count": correct, "total_count": total}
    _write(
        _file(folder, "score", model, category),
        [header, *({**one, **({"model_name": model} if "model_name" in one else {})} for one in wrong)],
    )


async def judge(official: Official, category: str, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The lines of the score file about the entries that are wrong; an entry whose run did not end well is."""
    lines = result_lines(one for one in outcomes if one.status == "done").get(category, [])
    asked = [{"id": line["id"], "result": line["result"]} for line in lines]
    failed = [
        _wrong(one.entry, "run_failed", f"its run {one.status}: {one.error}")
        for one in outcomes
        if one.status != "done"
    ]
    return [*await _judged(official, category, asked), *failed]


async def _judged(official: Official, category: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judge them together; where the checkers fail, in halves, until it is known which entry is to blame."""
    if not lines:
        return []
    try:
        return await official.judge(category, lines, _PATIENCE_S + _MORE_S * len(lines))
    except (ExecutorError, StepTimeout) as error:
        if len(lines) == 1:
            return [_wrong(lines[0]["id"], "checker_failed", str(error))]
    half = len(lines) // 2
    return [
        *await _judged(official, category, lines[:half]),
        *await _judged(official, category, lines[half:]),
    ]


def _wrong(entry: str, kind: str, why: str) -> dict[str, Any]:
    return {"id": entry, "valid": False, "error": [why], "error_type": f"agentrt:{kind}"}


def verdicts(category: str, outcomes: Iterable[Outcome], wrong: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """A verdict for each entry: right unless the score file says what was wrong."""
    whys = {one["id"]: _why(one) for one in wrong}
    return [
        Verdict(one.entry, category, 0.0 if one.entry in whys else 1.0, whys.get(one.entry, "")) for one in outcomes
    ]


def _why(wrong: Mapping[str, Any]) -> str:
    """The checker's words in one line: its kind of error, and what it says."""
    error = wrong["error"]
    if isinstance(error, Mapping):  # of conversations
        kind, said = error.get("error_type", ""), error.get("error_message", "")
    else:
        kind, said = wrong.get("error_type", ""), error
    words = said if isinstance(said, str) else " ".join(str(one) for one in said)
    return f"{kind}: {' '.join(words.split())}"[:_WHY]


def _file(folder: Path, what: str, model: str, category: str) -> Path:
    name = model.replace("/", "_") or "model"
    return folder / what / name / group_of(category) / f"BFCL_v4_{category}_{what}.json"


def _write(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines))
