"""Runs in the environment of SWE-bench's official package: reads the instances, tells the recipes, grades the logs."""

from __future__ import annotations

import importlib
import importlib.util
import json
import runpy
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

NEEDED = ("instance_id", "repo", "version", "base_commit", "environment_setup_commit", "problem_statement", "patch",
          "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "eval_script", "log_parser", "eval_type", "image")  # fmt: skip

OWN = ("recipe",)
"""A column that the official datasets have not: how the environment is made, for instances of one's own."""


def instances(file: str) -> list[dict[str, Any]]:
    """The rows of a parquet file, or of JSON lines, as plain JSON, without what is not needed."""
    rows = _rows(Path(file))
    for number, row in enumerate(rows, 1):
        missing = [name for name in NEEDED if not isinstance(row, dict) or name not in row]
        if missing:
            raise ValueError(f"row {number}: no column {', '.join(missing)}: expected a dataset of SWE-bench 5")
    return [{name: row[name] for name in (*NEEDED, *OWN) if name in row} for row in rows]


def recipe(repo: str, version: str, constants: str) -> dict[str, Any] | None:
    """How the environment of that version is made, by the package's last release that told so; ``None`` if unknown."""
    known = _constants(constants)
    found = known["MAP_REPO_VERSION_TO_SPECS_PY"].get(repo, {}).get(version)
    return None if found is None else {**found, "requirements": known["MAP_REPO_TO_REQS_PATHS"].get(repo, [])}


def grade(row: dict[str, Any], patch: str, log: str) -> dict[str, Any]:
    """The official report on one log of a test run."""
    grading, types = _module("harness.grading"), _module("types")
    spec = types.TestSpec(
        instance_id=row["instance_id"],
        image=row["image"],
        eval_script_list=row["eval_script"].split("\n"),
        repo=row["repo"],
        version=row["version"],
        FAIL_TO_PASS=_list(row["FAIL_TO_PASS"]),
        PASS_TO_PASS=_list(row["PASS_TO_PASS"]),
        log_parser=row["log_parser"],
        eval_type=row["eval_type"],
    )
    prediction = {"instance_id": row["instance_id"], "model_name_or_path": "", "model_patch": patch or None}
    report = grading.get_eval_report(spec, prediction, log, include_tests_status=True)
    found: dict[str, Any] = report[row["instance_id"]]
    return found


def _rows(file: Path) -> list[Any]:
    if file.suffix == ".parquet":
        from pyarrow import parquet  # type: ignore[import-not-found, unused-ignore]

        rows: list[Any] = parquet.read_table(file).to_pylist()
        return rows
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


@cache
def _constants(file: str) -> dict[str, Any]:
    return runpy.run_path(file)


def _list(value: str | list[str]) -> list[str]:
    read: list[str] = json.loads(value) if isinstance(value, str) else value
    return read


def _module(name: str) -> Any:
    """A module of the package whose own ``harness`` is left out: that imports Docker, Modal and the datasets library,
    none of which has to do with grading."""
    spec = importlib.util.find_spec("swebench")
    assert spec is not None
    assert spec.origin is not None
    if "swebench.harness" not in sys.modules:
        bare = ModuleType("swebench.harness")
        bare.__path__ = [str(Path(spec.origin).parent / "harness")]
        sys.modules["swebench.harness"] = bare
    return importlib.import_module(f"swebench.{name}")
