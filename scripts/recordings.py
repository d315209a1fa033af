"""Make the recordings anew that the screens are tested and pictured with.

    .venv/bin/python scripts/recordings.py [NAME...]

Each is a real run, by ``agentrt run``, on the embedded engine or on a scripted server that takes its time. What tells
of the machine or the day is replaced afterwards: the run's id, when it began, its owner, and the folder of this
checkout, which is taken out of every path. Nothing else is touched, and the result is opened again to see that it is
whole.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentrt.testing import Asked, Reply, ScriptedServer, call, say

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "tests" / "ui" / "watch" / "recordings"
AGENTRT: Final = (sys.executable, "-m", "agentrt")
WALL: Final = 1_795_169_700.0
"""20 November 2026, 10:15 in UTC: when the first of them began, by what they say."""

LARGEST: Final = 150_000


@dataclass(frozen=True, slots=True)
class Recording:
    """A run to be recorded: ``program`` from the root of the checkout; ``scripted`` on a server without a model."""

    name: str
    program: str
    scripted: bool = False
    options: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Where it is."""
        return FOLDER / f"{self.name}.jsonl"


RECORDINGS: Final = (
    Recording("report", "examples/report.py"),
    Recording("tools", "examples/tool_loop.py"),
    Recording("approve", "examples/approve.py"),
    Recording("mishaps", "tests/ui/watch/recordings/mishaps.py", scripted=True),
    Recording("survey", "tests/ui/watch/recordings/survey.py", scripted=True),
)


def answer(asked: Asked) -> Reply:
    """What the scripted server says to the programs beside the recordings."""
    if asked.tools and asked.messages[-1]["role"] != "tool":
        return call("temperature", city="Bergen")
    if asked.tools:
        fits = asked.last.lstrip("-").isdigit()
        return _slowly("It is -4 degrees there.") if fits else call("temperature", city="Oslo")
    if "Is this good?" in asked.last:
        return _slowly("no")
    return _slowly(asked.last)


def _slowly(text: str) -> Reply:
    """Word by word, as models speak: half a second to the first one."""
    loop = asyncio.get_running_loop()
    pieces: list[str | asyncio.Event] = []
    for number, word in enumerate(text.split(" ")):
        gate = asyncio.Event()
        loop.call_later(0.5 + 0.06 * number, gate.set)
        pieces += [gate, word if not number else f" {word}"]
    return say(*pieces)


def record(recording: Recording, number: int) -> None:
    """Run it and keep what its journal holds."""
    with tempfile.TemporaryDirectory() as folder, _server(recording) as engine:
        journal, raw = Path(folder, "journal.db"), Path(folder, "raw.jsonl")
        words = [recording.program, "--no-ask", "--journal", str(journal), *engine, *recording.options]
        subprocess.run([*AGENTRT, "run", *words], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        export = [*AGENTRT, "export", "last", "--format", "jsonl", "--journal", str(journal), "-o", str(raw)]
        subprocess.run(export, cwd=ROOT, check=True)
        text = cleaned(raw.read_text(), number)
    recording.file.write_text(text)
    if again(recording.file) != text:
        raise SystemExit(f"{recording.file}: opened and exported again it is another")
    if len(text) > LARGEST:
        raise SystemExit(f"{recording.file}: {len(text):,} characters, expected {LARGEST:,} at most")
    print(f"{recording.file.relative_to(ROOT)}: {len(text):,} characters")


@contextmanager
def _server(recording: Recording) -> Iterator[list[str]]:
    if not recording.scripted:
        yield []
        return
    with ScriptedServer.in_thread(answer) as server:
        yield ["--engine", server.url]


def cleaned(text: str, number: int) -> str:
    """A recording without what tells of this machine and this day; its run is the ``number``-th."""
    head, _, rest = text.partition("\n")
    first = json.loads(head)
    run = first["run"]
    old, new = run["id"], f"20261120-101{5 + number}00-{number:06x}"
    run.update(wall=WALL + 60 * number, owner=None)
    text = json.dumps(first, ensure_ascii=False) + "\n" + rest
    return text.replace(old, new).replace(f"{ROOT}/", "").replace(str(ROOT), ".")


def again(file: Path) -> str:
    """A recording, opened and exported again."""
    export = [*AGENTRT, "export", str(file), "--format", "jsonl", "-o", "-"]
    return subprocess.run(export, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    for place, one in enumerate(RECORDINGS):
        if one.name in sys.argv[1:] or not sys.argv[1:]:
            record(one, place)
