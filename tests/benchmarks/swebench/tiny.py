"""A benchmark of the same shape as SWE-bench, with one issue: a repository with a bug, its fix, and tests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentrt.benchmarks.swebench.git import ENVIRONMENT

ID = "tiny__counting-1"
BUG = "def last(items):\n    return items[len(items)]\n\n\ndef first(items):\n    return items[0]\n"
FIX = BUG.replace("items[len(items)]", "items[len(items) - 1]")
PROJECT = """\
[project]
name = "counting"
version = "1.0"

[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = ["counting"]
"""
TESTS = "from counting import first\n\n\ndef test_first():\n    assert first([1, 2]) == 1\n"
MORE = TESTS.replace("first\n\n", "first, last\n\n", 1) + "\n\ndef test_last():\n    assert last([1, 2]) == 2\n"
SCRIPT = """\
#!/bin/bash
set -uxo pipefail
cd /testbed
git status
python -m pip install -e .
git checkout {base} tests/test_counting.py
git apply -v - <<'EOF_1'
{test_patch}
EOF_1
: '>>>>> Start Test Output'
python -m pytest -rA tests/test_counting.py
: '>>>>> End Test Output'
git checkout {base} tests/test_counting.py
"""


@dataclass(frozen=True)
class Tiny:
    """``mirrors`` is a folder of mirrors, ``dataset`` the file with the one instance, ``row`` that instance."""

    mirrors: Path
    dataset: Path
    row: dict[str, Any]


def tiny(folder: Path) -> Tiny:
    """Make it. A later commit of the mirror holds the solution, as it does in real ones."""
    work = folder / "work"
    base = commit(work, {"pyproject.toml": PROJECT, "counting/__init__.py": BUG, "tests/test_counting.py": TESTS})
    commit(work, {"counting/__init__.py": FIX})
    patch = git(work, "diff", "HEAD~1", "HEAD")
    commit(work, {"tests/test_counting.py": MORE})
    test_patch = git(work, "diff", "HEAD~1", "HEAD")
    mirrors = folder / "mirrors"
    subprocess.run(["git", "clone", "-q", "--mirror", work, mirrors / "tiny__counting.git"], check=True)
    row = {
        "instance_id": ID,
        "repo": "tiny/counting",
        "version": "1.0",
        "base_commit": base,
        "environment_setup_commit": base,
        "problem_statement": "last([1, 2]) raises IndexError; it should be 2.",
        "patch": patch,
        "test_patch": test_patch,
        "FAIL_TO_PASS": '["tests/test_counting.py::test_last"]',
        "PASS_TO_PASS": '["tests/test_counting.py::test_first"]',
        "eval_script": SCRIPT.format(base=base, test_patch=test_patch),
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
        "image": "tiny/counting-1:latest",
        "recipe": {"python": "{}.{}".format(*sys.version_info), "pip_packages": ["pytest==8.4.2"]},
    }
    dataset = folder / "tiny.jsonl"
    dataset.write_text(json.dumps(row) + "\n")
    return Tiny(mirrors, dataset, row)


def commit(work: Path, files: dict[str, str]) -> str:
    """Commit files; the commit."""
    if not work.exists():
        work.mkdir(parents=True)
        git(work, "init", "-q")
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "more")
    return git(work, "rev-parse", "HEAD").strip()


def git(work: Path, *arguments: str) -> str:
    """What git says there."""
    environment = {**ENVIRONMENT, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    return subprocess.run(
        ["git", *arguments], cwd=work, env=environment, check=True, capture_output=True, text=True
    ).stdout
