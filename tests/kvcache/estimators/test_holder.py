"""All estimators in one file: kept between runs, and never in the way of one."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.estimators.durations import NAMES
from agentrt.kvcache.estimators.reservoir import SIZE


def taught() -> Estimators:
    """Something of everything."""
    made = Estimators()
    for number in range(40):
        made.durations.observe("bash", "pytest", 5.0 + number % 7)
        made.prefill.observe(100 + number, 50, 0.1 + number / 1000)
        made.queueing.observe(0.5)
        made.turns.observe("coder", 5 + number % 3)
    return made


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A later process answers as the earlier one did."""
    first = taught()
    first.save(tmp_path / "deep" / "estimates.json")
    second = Estimators.load(tmp_path / "deep" / "estimates.json")
    assert second.durations.of("bash", "pytest").mean == pytest.approx(first.durations.of("bash", "pytest").mean)
    assert second.prefill.seconds(500, 10).value == pytest.approx(first.prefill.seconds(500, 10).value, rel=0.01)
    assert second.queueing.seconds().value == pytest.approx(0.5)
    assert second.turns.left("coder", 2) == first.turns.left("coder", 2)


def test_no_file_is_no_knowledge(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first run starts empty, without a word."""
    assert Estimators.load(tmp_path / "none.json").turns.left("coder", 0).samples == 0
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\x00\xff",
        "[" * 100_000,
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "durations": [["a", "b", 1, ["x"]]], "prefill": {}, "queueing": [], "turns": []}',
        '{"version": 1, "durations": [["a", "b", 1, [NaN]]], "prefill": {}, "queueing": [], "turns": []}',
        '{"version": 1, "durations": [["a", "b", Infinity, [1]]], "prefill": {}, "queueing": [], "turns": []}',
        '{"version": 1, "durations": 5, "prefill": {}, "queueing": [], "turns": []}',
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Damaged, or of a newer version: it is renamed and told of, and the run starts without."""
    path = tmp_path / "estimates.json"
    path.write_text(text, encoding="latin-1")
    assert Estimators.load(path).durations.of("bash").samples == 0
    assert not path.exists()
    assert (tmp_path / "estimates.json.aside").read_text(encoding="latin-1") == text
    assert str(path) in caplog.text


def test_part_of_a_bad_file_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file whose end is wrong teaches nothing from its beginning."""
    path = tmp_path / "estimates.json"
    taught().save(path)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "turns": 7}))
    assert Estimators.load(path).durations.of("bash").samples == 0
    assert "set aside" in caplog.text


def test_a_place_that_cannot_be_written_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Saving below a file that is no folder fails with a warning, not with an error."""
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        taught().save(tmp_path / "file" / "estimates.json")
    assert "not saved" in caplog.text


def test_a_folder_in_the_file_s_place_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is no file at all is told of and stays where it is; saving fails softly and leaves no half behind."""
    path = tmp_path / "estimates.json"
    path.mkdir()
    (path / "something").write_text("")
    assert Estimators.load(path).turns.left("coder", 0).samples == 0
    taught().save(path)
    assert (path / "something").exists()
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".half")] == []
    assert len(caplog.records) >= 2


def test_two_savers_leave_one_whole_file(tmp_path: Path) -> None:
    """While two save again and again, whoever loads finds a whole file of one of them."""
    path = tmp_path / "estimates.json"
    savers = [taught(), taught()]
    savers[0].save(path)
    threads = [threading.Thread(target=lambda one=one: [one.save(path) for _ in range(30)]) for one in savers]
    for thread in threads:
        thread.start()
    for _ in range(30):
        assert Estimators.load(path).durations.of("bash", "pytest").samples == 40
    for thread in threads:
        thread.join()


def test_the_file_is_bounded(tmp_path: Path) -> None:
    """Full to the brim it has about a megabyte."""
    full = Estimators()
    full.durations.fill([["bash", f"word-{number}", SIZE, [1234.5678] * SIZE] for number in range(3 * NAMES)])
    assert len(full.durations) == NAMES
    full.save(tmp_path / "estimates.json")
    assert (tmp_path / "estimates.json").stat().st_size < 1.5e6
