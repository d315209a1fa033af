"""What the tool calls of a place took: a file for each, so that those of an earlier process are known, too."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agentrt.benchmarks.swebench.texts import shortened
from agentrt.executors.sandbox import Finished

_SHOWN: Final = 200
_TAKEN: Final = ("code", "seconds", "cpu_s", "peak_memory", "killed_by")


@dataclass(frozen=True, slots=True)
class Called:
    """One tool call: what it took, as its sandbox counted it, and how it ended."""

    tool: str
    what: str
    code: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_memory: int = 0
    killed_by: str = ""


class Calls:
    """The calls written down in ``folder``, in the order in which they were made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, key: str, tool: str, what: str, ended: Finished | None = None) -> None:
        """Write down what a call took; of one that runs again, known by its ``key``, the last time counts."""
        self._folder.mkdir(exist_ok=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        there = self._files()
        known = next((one for one in there if one.stem.endswith(digest)), None)
        file = known or self._folder / f"{len(there):05}-{digest}.json"
        took = {} if ended is None else {name: getattr(ended, name) for name in _TAKEN}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(Called(tool, shortened(what, _SHOWN), **took))))
        part.rename(file)

    def told(self) -> list[dict[str, Any]]:
        """All of them as plain JSON."""
        return [json.loads(one.read_text()) for one in self._files()]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))
