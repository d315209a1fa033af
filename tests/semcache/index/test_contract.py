"""What every index does, whatever it is made of."""

from __future__ import annotations

import stat
import subprocess
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import ConfigError, JournalError
from agentrt.semcache.index.files import _END, About
from agentrt.semcache.index.flat import Flat
from agentrt.semcache.index.grown import Grown
from agentrt.semcache.index.hnsw import Hnsw
from tests.semcache.index.vectors import SIZE, nearest, questions

INDEXES: dict[str, Callable[[], Flat | Hnsw | Grown]] = {
    "flat": lambda: Flat("words", SIZE),
    "hnsw": lambda: Hnsw("words", SIZE),
    "grown": lambda: Grown("words", SIZE),
    "growing": lambda: Grown("words", SIZE, many=100),
}
RECALL = 0.98


@pytest.fixture(params=INDEXES)
def make(request):
    """Makes an empty index; each of them meets the contract."""
    return INDEXES[request.param]


def found(index, queries, held, most=5) -> float:
    """The share of the nearest that it finds; what it says of them is right to a thousandth."""
    hits = 0
    for query in queries:
        near = index.search(query, most)
        assert near == sorted(near, key=lambda one: -one.cosine)
        assert len(near) == min(most, len(held))
        for one in near:
            assert one.cosine == pytest.approx(float(held[one.answer] @ query), abs=2e-3)
        hits += len({one.answer for one in near} & {one.answer for one in nearest(held, query, most)})
    return hits / len(queries) / min(most, len(held))


def test_it_finds_what_a_look_at_all_of_them_finds(make):
    """98 of 100 of the nearest are found, with their cosines, and ids count as they are given."""
    index, rows = make(), questions(2_000)
    index.add(range(10, 2_010), rows)
    assert len(index) == 2_000
    assert index.ids().tolist() == list(range(10, 2_010))
    assert found(index, questions(200, seed=2), dict(enumerate(rows, 10))) >= RECALL


def test_one_by_one_is_as_good_as_all_at_once(make):
    """An index that is filled by single additions finds as much."""
    index, rows = make(), questions(600)
    for one, row in enumerate(rows):
        index.add([one], row[None])
    assert len(index) == 600
    assert found(index, questions(100, seed=3), dict(enumerate(rows))) >= RECALL


def test_an_empty_one_finds_nothing(make):
    """Nothing is near where nothing is; removing from it and adding nothing is no mistake."""
    index = make()
    index.remove([1, 2])
    index.add([], np.zeros((0, SIZE), np.float32))
    assert (len(index), index.ids().tolist(), index.search(questions(1)[0], 5)) == (0, [], [])


def test_one_vector_is_found_whatever_is_asked(make):
    """With one vector every search gives it, the same vector with a cosine of 1 and the opposite with -1."""
    index, row = make(), questions(1)[0]
    index.add([7], row[None])
    for query, cosine in ((row, 1.0), (-row, -1.0)):
        (near,) = index.search(query, 3)
        assert near.answer == 7
        assert near.cosine == pytest.approx(cosine, abs=1e-3)
        assert -1 <= near.cosine <= 1


@pytest.mark.parametrize("most", [0, -1])
def test_none_are_given_where_none_are_wanted(make, most):
    """Asking for none gives none."""
    index = make()
    index.add(range(300), questions(300))
    assert index.search(questions(1)[0], most) == []


def test_all_are_given_where_more_are_wanted(make):
    """Asking for more than there are gives each once."""
    index = make()
    index.add(range(200), questions(200))
    assert sorted(one.answer for one in index.search(questions(1, seed=4)[0], 1_000)) == list(range(200))


def test_a_vector_of_zeros_is_near_nothing(make):
    """Zeros find nothing and are not kept; an id that gets them loses what it had."""
    index, rows = make(), questions(300)
    index.add(range(300), rows)
    index.add([5, 1_000], np.zeros((2, SIZE), np.float32))
    assert index.search(np.zeros(SIZE, np.float32), 3) == []
    assert index.ids().tolist() == [one for one in range(300) if one != 5]
    assert 5 not in {one.answer for one in index.search(rows[5], 20)}


def test_an_id_that_comes_again_is_replaced(make):
    """The newer vector counts, of those in one call the last."""
    index, old, new = make(), questions(300), questions(300, seed=5)
    index.add(range(300), old)
    index.add(range(300), new)
    assert len(index) == 300
    assert found(index, new[:50], dict(enumerate(new))) >= RECALL
    index.add([1, 1, 2, 2], np.stack([new[1], old[1], old[2], np.zeros(SIZE, np.float32)]))
    assert index.search(old[1], 1)[0].answer == 1
    assert len(index) == 299


def test_equal_vectors_are_all_found(make):
    """Many answers to the same question lie beside each other and hide nobody else."""
    index, rows = make(), questions(400)
    rows[:60] = rows[0]
    index.add(range(400), rows)
    near = index.search(rows[0], 60)
    assert {one.answer for one in near} == set(range(60))
    assert found(index, rows[100:150], dict(enumerate(rows)), most=1) >= RECALL


def test_what_is_removed_is_not_found(make):
    """After nine of ten are gone the rest is found, and what comes then too."""
    index, rows = make(), questions(1_500)
    index.add(range(1_500), rows)
    gone = [one for one in range(1_500) if one % 10]
    index.remove([*gone, *gone[:5], 99_999])
    held = {one: rows[one] for one in range(0, 1_500, 10)}
    assert index.ids().tolist() == list(held)
    assert found(index, questions(100, seed=6), held) >= RECALL
    again = questions(1_000, seed=7)
    index.add(range(5_000, 6_000), again)
    assert found(index, questions(100, seed=8), held | dict(enumerate(again, 5_000))) >= RECALL


def test_all_can_go_and_others_come(make):
    """An index that was emptied is as good as a new one."""
    index = make()
    for seed in range(3):
        rows = questions(300, seed=seed)
        index.add(range(300), rows)
        assert found(index, rows[:30], dict(enumerate(rows))) >= RECALL
        index.remove(range(300))
        assert (len(index), index.search(rows[0], 3)) == (0, [])


def test_it_stays_good_while_old_ones_go_and_new_ones_come(make):
    """A shelf with a quota lets one go for each that comes: after ten times its size it still finds them."""
    index, rows = make(), questions(4_400)
    index.add(range(400), rows[:400])
    for first in range(400, 4_400, 40):
        index.remove(range(first - 400, first - 360))
        index.add(range(first, first + 40), rows[first : first + 40])
    held = {one: rows[one] for one in range(4_000, 4_400)}
    assert index.ids().tolist() == list(held)
    assert found(index, questions(100, seed=9), held) >= RECALL


def test_ids_may_be_as_high_as_a_database_counts(make):
    """Ids around 2**63 are told apart, and come back from the file."""
    index, rows, ids = make(), questions(3), [2**63, 2**63 - 1, 0]
    index.add(ids, rows)
    assert [index.search(row, 1)[0].answer for row in rows] == ids
    index.remove([2**63])
    assert index.ids().tolist() == [0, 2**63 - 1]


def test_a_vector_of_any_length_counts_by_its_direction(make):
    """What is not of length 1 is brought to it, on both sides."""
    index, rows = make(), questions(200)
    index.add(range(200), rows * 30)
    near = index.search(rows[3] * 0.01, 1)[0]
    assert near.answer == 3
    assert near.cosine == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.ones((2, SIZE + 1), np.float32), "another embedder needs another index"),
        (np.ones((3, SIZE), np.float32), "where"),
        (np.full((2, SIZE), np.nan, np.float32), "not finite"),
        (np.full((2, SIZE), np.inf, np.float32), "not finite"),
    ],
)
def test_what_is_no_vector_is_refused(make, vectors, words):
    """A wrong size, another number of rows and what is no number are told, and change nothing."""
    index, rows = make(), questions(2)
    index.add([1, 2], rows)
    with pytest.raises(ConfigError, match=words):
        index.add([1, 2], vectors)
    assert index.search(rows[0], 1)[0].answer == 1


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 50, 500])
def test_what_was_saved_comes_back(make, tmp_path, count):
    """A new index that loads the file answers as the one that wrote it, and goes on from there."""
    index, rows, path = make(), questions(1_000), tmp_path / "shelf"
    index.add(range(1_000), rows)
    index.remove(range(count, 1_000))
    index.save(path)
    again = make()
    again.add([3, 4_000], questions(2, seed=10))
    again.load(path)
    assert again.ids().tolist() == list(range(count))
    for query in questions(20, seed=11):
        assert [one.answer for one in again.search(query, 5)] == [one.answer for one in index.search(query, 5)]
    again.add(range(2_000, 2_300), rows[700:])
    again.remove(range(0, count, 2))
    held = {one: rows[one] for one in range(1, count, 2)} | dict(enumerate(rows[700:], 2_000))
    assert again.ids().tolist() == sorted(held)
    assert found(again, questions(100, seed=12), held) >= RECALL


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(make, tmp_path):
    """A second save takes the place of the first; the file is its owner's alone."""
    index, path = make(), tmp_path / "shelf"
    for count in (300, 20):
        index.remove(range(300))
        index.add(range(count), questions(count))
        index.save(path)
    again = make()
    again.load(path)
    assert len(again) == 20
    assert [one.name for one in tmp_path.iterdir()] == ["shelf"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_leaves_the_old_one(make, tmp_path):
    """A folder that is not there is a JournalError that names the file."""
    index = make()
    index.add(range(200), questions(200))
    with pytest.raises(JournalError, match="nowhere"):
        index.save(tmp_path / "nowhere" / "shelf")


def damaged(good: bytes) -> dict[str, bytes]:
    """Files that are not what they were, or never were an index."""
    middle = len(good) // 2
    return {
        "empty": b"",
        "short": good[:10],
        "half": good[:middle],
        "cut": good[:-1],
        "longer": good + b"\0",
        "twice": good + good,
        "a bit": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "first bit": bytes([good[0] ^ 1]) + good[1:],
        "in the end": good[:-30] + bytes([good[-30] ^ 1]) + good[-29:],
        "foreign": b"SQLite format 3\0" * 100,
        "another version": good[:-3] + b"2" + good[-2:],
        "zeros": bytes(len(good)),
    }


@pytest.mark.parametrize("damage", damaged(bytes(100)))
def test_a_damaged_file_is_told_from_a_good_one(make, tmp_path, damage):
    """Whatever happened to it, it is refused with its name and what to do, and the index stays as it was."""
    index, path, rows = make(), tmp_path / "shelf", questions(300)
    index.add(range(300), rows)
    index.save(path)
    path.write_bytes(damaged(path.read_bytes())[damage])
    with pytest.raises(ConfigError, match=r"shelf'.*built anew"):
        index.load(path)
    assert index.search(rows[3], 1)[0].answer == 3


def test_a_file_that_is_missing_is_told(make, tmp_path):
    """So is one that never was."""
    with pytest.raises(ConfigError, match="No such file"):
        make().load(tmp_path / "none")


@pytest.mark.parametrize("kind", [Flat, Hnsw, Grown])
def test_a_file_for_other_vectors_is_refused(make, tmp_path, kind):
    """Another embedder or size is another index, and the message names both."""
    index, path = make(), tmp_path / "shelf"
    index.add([1], questions(1))
    index.save(path)
    with pytest.raises(ConfigError, match=rf"{SIZE} numbers by words; expected .* {SIZE} by others"):
        kind("others", SIZE).load(path)
    with pytest.raises(ConfigError, match=r"expected .* 8 by words"):
        kind("words", 8).load(path)


def test_a_line_that_is_no_description_is_refused(tmp_path):
    """A file with a right checksum over something else is damaged too."""
    path = tmp_path / "shelf"
    for line in (b"[]", b"{}", b"\xff", b'{"kind": 1}'):
        path.write_bytes(line + _END.pack(0, len(line), zlib.crc32(line), b"agentrt index 1\n"))
        with pytest.raises(ConfigError, match="built anew"):
            Flat("words", SIZE).load(path)
    assert About._fields == ("kind", "embedder", "size", "vectors")


_FULL = """
import resource, signal, sys
from pathlib import Path
from agentrt.errors import JournalError
from tests.semcache.index.test_contract import INDEXES, questions
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
index = INDEXES[sys.argv[1]]()
index.add(range(500), questions(500))
for room in (0, 100, 5_000, 50_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        index.save(Path(sys.argv[2]))
    except JournalError as error:
        print("told", error)
"""


@pytest.mark.parametrize("kind", INDEXES)
def test_a_disk_that_is_full_is_told_and_the_old_file_stays(kind, tmp_path):
    """Wherever the room ends while it is written, it is a JournalError, no part is left, and the old file is whole."""
    index, path = INDEXES[kind](), tmp_path / "shelf"
    index.add(range(300), questions(300))
    index.save(path)
    before = path.read_bytes()
    child = subprocess.run([sys.executable, "-c", _FULL, kind, str(path)], capture_output=True, text=True, check=True)
    assert child.stdout.count("told the index of the semantic cache cannot be written to") == 4, child.stdout
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["shelf"]


_SAVING = """
import sys
from pathlib import Path
from tests.semcache.index.test_contract import INDEXES, questions
index = INDEXES[sys.argv[1]]()
index.add(range(2_000), questions(2_000))
while True:
    index.save(Path(sys.argv[2]))
    print("saved", flush=True)
"""


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_file(kind, tmp_path):
    """Whenever kill -9 comes the file is whole, and the next save throws out what was left beside it."""
    path = tmp_path / "[shelf]"
    for saves in (1, 2, 5, 9):
        with subprocess.Popen([sys.executable, "-c", _SAVING, kind, str(path)], stdout=subprocess.PIPE) as child:
            for _ in range(saves):
                assert child.stdout.readline() == b"saved\n"
            child.kill()
        index = INDEXES[kind]()
        index.load(path)
        assert len(index) == 2_000
    (tmp_path / ".[shelf].left.part").touch()
    index.save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["[shelf]"]


# -- against a plain model -------------------------------------------------------------------------------------------

ROWS = questions(40, seed=13)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 39)), max_size=12)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 60), max_size=12)),
        st.tuples(st.just("again"), st.none()),
    ),
    max_size=20,
)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "growing"])
@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_it_holds_what_a_dict_would_hold(kind, tmp_path_factory, steps):
    """After any additions, removals and restarts it has a dict's ids, and gives none that is gone, nor an old cosine.

    That all are found is promised by the exact one alone: in a graph a vector can lose the last way to it.
    """
    index = Grown("words", SIZE, many=10) if kind == "growing" else INDEXES[kind]()
    path, held = tmp_path_factory.getbasetemp() / f"model-{kind}", {}
    for what, values in steps:
        if what == "add":
            rows = np.stack([ROWS[row] if row >= 0 else np.zeros(SIZE, np.float32) for _, row in values] or [ROWS[0]])
            index.add([one for one, _ in values], rows[: len(values)])
            for one, row in values:
                held.pop(one, None)
                if row >= 0:
                    held[one] = ROWS[row]
        elif what == "remove":
            index.remove(values)
            for one in values:
                held.pop(one, None)
        else:
            index.save(path)
            index.load(path)
        assert index.ids().tolist() == sorted(held)
        assert len(index) == len(held)
    for row in held.values():
        near = index.search(row, len(held))
        answers = [one.answer for one in near]
        assert set(answers) <= set(held)
        assert len(set(answers)) == len(answers)
        assert all(one.cosine == pytest.approx(float(held[one.answer] @ row), abs=2e-3) for one in near)
        if kind == "flat":
            assert set(answers) == set(held)
