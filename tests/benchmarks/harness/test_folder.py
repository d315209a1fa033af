"""The folder of a run: begun, gone on with, held, and read after a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrt.benchmarks.harness.entries import Verdict
from agentrt.benchmarks.harness.folder import BENCH, EXTRA, RESULTS, SITTINGS, VERDICTS, Folder
from agentrt.benchmarks.harness.report import report
from agentrt.benchmarks.harness.sittings import Sitting
from agentrt.errors import ConfigError
from tests.benchmarks.harness.samples import TOLD, folder, outcome


def test_the_same_goes_on_whatever_the_machine(tmp_path: Path) -> None:
    """How many at once, on what and when may differ; the last is what is told."""
    made = folder(tmp_path, [])
    made.begin({**TOLD, "at_once": 64, "environment": {"cores": 128}, "began": "later"})
    assert made.told()["at_once"] == 64


@pytest.mark.parametrize(
    ("name", "value"), [("benchmark", "other"), ("model", "m"), ("seed", 2), ("options", {"a": 1})]
)
def test_something_else_is_refused(tmp_path: Path, name: str, value: object) -> None:
    """The message has what it was, what it is now, and the way out."""
    made = folder(tmp_path, [outcome("a")])
    with pytest.raises(ConfigError) as refused:
        made.begin({**TOLD, name: value})
    assert f"{name}: {TOLD[name]!r}, now {value!r}" in str(refused.value)
    assert "--out" in str(refused.value)
    assert made.told() == dict(TOLD)


def test_where_nothing_was_run_something_else_begins(tmp_path: Path) -> None:
    """A mistake in the options does not use a folder up."""
    made = folder(tmp_path, [])
    made.begin({**TOLD, "seed": 2})
    assert made.told()["seed"] == 2


def test_lists_and_tuples_are_the_same_options(tmp_path: Path) -> None:
    """What is told is compared as it is written down."""
    made = Folder(tmp_path)
    made.begin({"categories": ("a", "b")})
    assert made.differs({"categories": ["a", "b"]}) == []


@pytest.mark.parametrize(("text", "says"), [("{", "damaged"), ("[]", "JSON object"), (None, f"no {BENCH}")])
def test_what_is_no_folder_of_a_benchmark_is_told(tmp_path: Path, text: str | None, says: str) -> None:
    """Damaged or missing, the file is named."""
    if text is not None:
        (tmp_path / BENCH).write_text(text)
    with pytest.raises(ConfigError, match=says):
        Folder(tmp_path).told()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in the way is no traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another one"):
        Folder(tmp_path / "file" / "x").begin(TOLD)
    with pytest.raises(ConfigError, match="choose another one"), Folder(tmp_path / "file" / "x").held():
        pass


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    """A second one is refused while it is held, and not afterwards."""
    with Folder(tmp_path).held(), pytest.raises(ConfigError, match="works on"), Folder(tmp_path).held():
        pass
    with Folder(tmp_path).held():
        pass


def test_lines_come_back_as_they_went(tmp_path: Path) -> None:
    """Outcomes with all that JSON can hold, in order; the last line of an entry counts."""
    wanted = [outcome("a", output={"x": [1, "ü", None]}), outcome("b", status="failed", error="E: no\nway")]
    made = folder(tmp_path, [*wanted, outcome("a", seconds=2.0)])
    assert [*made.outcomes()] == ["a", "b"]
    assert made.outcomes()["a"].measures.seconds == 2.0
    assert made.outcomes()["b"] == wanted[1]


@pytest.mark.parametrize("name", [RESULTS, VERDICTS, SITTINGS, EXTRA])
@pytest.mark.parametrize("line", ["x", '{"a": 1}', "[1]", "null"])
def test_what_is_damaged_is_named(tmp_path: Path, name: str, line: str) -> None:
    """With the file and the way out; so is what another version wrote."""
    made = folder(tmp_path, [outcome("a")], {"a": 1.0}, sittings=[Sitting(1.0)])
    (tmp_path / name).write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=rf"{name}.*is damaged, or of another version.*delete it"):
        report(made)


def test_halves_of_characters_come_back(tmp_path: Path) -> None:
    """Models write them, and no entry is lost for it."""
    wanted = outcome("a", output="\ud83d and \udc00", error="E: \ud83d")
    made = folder(tmp_path, [wanted])
    made.judged([Verdict("a", "plain", 0.0, "\ud83d")])
    assert made.outcomes() == {"a": wanted}
    assert made.verdicts()["a"].why == "\ud83d"
    report(made).write()


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_line_gives_way_to_the_next(tmp_path: Path, cut: int) -> None:
    """However much of it is there, it is none, and the line that comes then is whole."""
    made = folder(tmp_path, [outcome("a"), outcome("b")])
    file = tmp_path / RESULTS
    whole = file.read_bytes()
    second = whole.index(b"\n") + 1
    file.write_bytes(whole[: second + cut])
    assert [*made.outcomes()] == ["a"]
    made.add(outcome("c"))
    assert [*made.outcomes()] == ["a", "c"]
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_torn_line_longer_than_a_block_is_cut_off_whole(tmp_path: Path) -> None:
    """What was written whole before it stays, however long the torn one is."""
    made = folder(tmp_path, [outcome("a")])
    with (tmp_path / RESULTS).open("ab") as stream:
        stream.write(b'{"entry":"' + b"x" * (3 << 20))
    made.add(outcome("b"))
    assert [*made.outcomes()] == ["a", "b"]


def test_verdicts_sittings_and_extra_lines_come_back(tmp_path: Path) -> None:
    """What is written beside the results is read as it was; nothing where nothing was written."""
    made = folder(tmp_path, [])
    assert (made.verdicts(), made.sittings(), made.extra()) == ({}, [], [])
    verdict, sitting = Verdict("a", "c", 0.5, "half"), Sitting(1.0, 2.0, 0.1, finished=3, kv={"cached": 4})
    made.judged([verdict])
    made.sat([sitting])
    made.tell([("peak memory", "1 GB", "of a tool")])
    assert made.verdicts() == {"a": verdict}
    assert made.sittings() == [sitting]
    assert made.extra() == [("peak memory", "1 GB", "of a tool")]
