"""The SDK's types, judged by the strict type checker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WRONG = Path(__file__).parent / "wrong.py"


def check(*files: Path) -> str:
    command = [sys.executable, "-m", "mypy", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_programs_as_people_write_them_pass() -> None:
    """Examples and the corpus of right uses have no error, and need no cast or ignore."""
    sources = [*(ROOT / "examples").glob("*.py"), WRONG.parent / "right.py"]
    assert "Success" in check(*sources)
    for source in sources:
        assert not re.search(r"\bcast\(|type: ignore", source.read_text())


def test_every_wrong_use_is_an_error_on_its_line() -> None:
    """The marked lines are refused, and no other line is."""
    marked = {number for number, line in enumerate(WRONG.read_text().splitlines(), 1) if line.endswith("# refused")}
    refused = {int(found) for found in re.findall(r"wrong\.py:(\d+): error", check(WRONG))}
    assert refused == marked
