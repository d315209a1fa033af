"""Accesses: the file they are kept in, and how a recorder makes them of what a client sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Access, Segment, read, record
from agentrt.kvcache.simulator.recorder import Recorder


def recorded() -> Recorder:
    made = Recorder()
    made.turn("s1", "p", shared=("fixed", 100), start=0, first=0.5, end=1, prompt=130, completion=10, cached=0)
    made.turn("s1", "p", start=2, end=3, prompt=160, completion=5, cached=139, tool="bash", word="pytest")
    return made


def test_a_sequence_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    """What ``record`` writes ``read`` reads, field by field."""
    accesses = recorded().accesses
    record(accesses, tmp_path / "run.jsonl")
    assert read(tmp_path / "run.jsonl") == accesses


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"path": 3}, "path = 3: expected a list"),
        ({"path": [["a"]]}, "expected \\[id, tokens\\]"),
        ({"path": [["a", -1]]}, "number of tokens"),
        ({"reply": [1, 1]}, "expected a text"),
        ({"end": -1}, "seconds in that order"),
        ({"first": "soon"}, "seconds in that order"),
        ({"session": None}, "session = None"),
        ({"cached": "all"}, "cached = 'all'"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_fault(tmp_path: Path, change: dict, complaint: str) -> None:
    """A recording that was edited or cut says where it is broken."""
    good = recorded().accesses[0].to_json()
    file = tmp_path / "run.jsonl"
    file.write_text(json.dumps(good) + "\n" + json.dumps(good | change) + "\n")
    with pytest.raises(ConfigError, match=f"line 2: .*{complaint}"):
        read(file)


def test_a_cut_line_and_a_missing_file_are_said() -> None:
    """Neither is a traceback of the reader's insides."""
    with pytest.raises(ConfigError, match="cannot read the recording"):
        read(Path("no-such-recording.jsonl"))


def test_a_line_without_its_fields_names_them(tmp_path: Path) -> None:
    """An object of another kind of file is refused with what it lacks."""
    (tmp_path / "other").write_text('{"session": "s"}\n[]\n')
    with pytest.raises(ConfigError, match=r"line 1: .*'path'.* missing"):
        read(tmp_path / "other")


def test_a_session_grows_by_its_reply_and_what_came_after() -> None:
    """The second prompt goes on from the first with the first's reply, and only the rest of it is new."""
    first, second = recorded().accesses
    assert first.path == (Segment("fixed", 100), Segment("s1/0p", 30))
    assert second.path == (*first.path, first.reply, Segment("s1/1p", 20))
    assert (second.prompt, second.completion, second.cached, second.served) == (160, 5, 139, 2)


def test_a_prompt_that_shrank_begins_anew_after_the_fixed_part() -> None:
    """A context that was rewritten shares nothing but the fixed prompt with what it was."""
    made = recorded()
    third = made.turn("s1", "p", shared=("fixed", 100), start=4, end=5, prompt=120, completion=1)
    assert third.path == (Segment("fixed", 100), Segment("s1/2p", 20))


def test_a_fixed_prompt_longer_than_the_prompt_is_cut() -> None:
    """Token counts of a client are estimates; the record never holds more than the prompt had."""
    made = Recorder().turn("s", "p", shared=("fixed", 100), start=0, end=1, prompt=90, completion=1)
    assert made.path == (Segment("fixed", 90),)


def test_a_branch_begins_with_the_context_it_was_forked_from() -> None:
    """Two branches share the parent's segments and nothing after."""
    made = recorded()
    made.fork("s1", "left")
    made.fork("s1", "right")
    left = made.turn("left", "p", start=4, end=5, prompt=170, completion=1)
    right = made.turn("right", "p", start=4, end=5, prompt=170, completion=1)
    parent = made.accesses[1]
    assert left.path[:-1] == right.path[:-1] == (*parent.path, parent.reply)
    assert left.path[-1] != right.path[-1]


def test_a_reply_that_is_used_in_part_is_cut_by_the_next_prompt() -> None:
    """A prompt between the last prompt and its reply's end began anew: it is not longer than what was before."""
    made = recorded()
    third = made.turn("s1", "p", start=4, end=5, prompt=164, completion=1)
    assert third.path == (Segment("s1/2p", 164),)


def test_an_access_without_first_token_was_served_at_its_start() -> None:
    """Only a stream tells when the first token came."""
    made = Access(session="s", program="p", start=1, end=2, path=(), reply=Segment("r", 1))
    assert made.served == 1
