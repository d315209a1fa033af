"""The index of a shelf: what it costs while it is small, and how it grows up."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc

import pytest

from agentrt.errors import ConfigError
from agentrt.semcache import index as indexes
from agentrt.semcache.index.flat import Flat
from agentrt.semcache.index.grown import Grown
from tests.semcache.index.vectors import SIZE, questions


def test_it_goes_over_little_by_little_and_finds_all_on_the_way():
    """From the size that was set on each new vector takes four old ones along; none is lost or found twice."""
    index, rows = Grown("words", SIZE, many=100), questions(150)
    for one, row in enumerate(rows):
        index.add([one], row[None])
        assert len(index._flat) == (one + 1 if one < 100 else max(0, 100 - 4 * (one - 99)))
        assert len(index) == one + 1
        assert {near.answer for near in index.search(row, 200)} == set(range(one + 1))
        assert index.ids().tolist() == list(range(one + 1))


def test_one_that_goes_over_replaces_what_is_there():
    """An id whose old vector is still on the one side and the new one on the other is found once, as the new one."""
    index, rows = Grown("words", SIZE, many=100), questions(200)
    index.add(range(100), rows[:100])
    index.add([3], rows[150:151])
    index.add([101], rows[151:152])
    assert index._graph is not None
    assert [near.answer for near in index.search(rows[150], 200)].count(3) == 1
    assert index.search(rows[150], 1)[0].answer == 3
    index.remove([3, 101])
    assert index.ids().tolist() == [one for one in range(100) if one != 3]


def test_it_becomes_small_again():
    """Far below the size where it became a graph it looks at all of them again, and may grow up once more."""
    index, rows = Grown("words", SIZE, many=100), questions(300)
    for _ in range(2):
        index.add(range(300), rows)
        assert index._graph is not None
        index.remove(range(20, 300))
        assert index._graph is None
        assert [index.search(row, 1)[0].answer for row in rows[:20]] == list(range(20))


def test_small_ones_need_no_graph():
    """A process whose shelves are small never loads usearch."""
    code = (
        "import sys; from agentrt.semcache.index import new\n"
        "assert 'numpy' not in sys.modules\n"
        "import numpy; index = new('words', 8); index.add([1], numpy.ones((1, 8))); assert 'usearch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)


def test_a_thousand_small_shelves_cost_little():
    """With three vectors of 256 numbers each, under 12 kB a shelf."""
    rows = questions(3, size=256)
    tracemalloc.start()
    try:
        shelves = [Grown("words", 256) for _ in range(1_000)]
        for shelf in shelves:
            shelf.add([1, 2, 3], rows)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / len(shelves) < 12_000


def test_room_is_given_back():
    """What grew and was emptied takes as much room as a new one."""
    index = Flat("words", SIZE)
    index.add(range(1_000), questions(1_000))
    index.remove(range(1_000))
    assert len(index._rows) == 8


@pytest.mark.parametrize("many", [5_000, 100])
def test_a_search_takes_one_processor(many):
    """Other threads of the process do nothing for it, whatever the size: they are wanted elsewhere."""
    index, rows = Grown("words", 256, many=many), questions(4_000, size=256)
    index.add(range(4_000), rows)
    whole, own = time.process_time(), time.thread_time()
    for row in rows[:500]:
        index.search(row, 4)
    whole, own = time.process_time() - whole, time.thread_time() - own
    assert whole < 1.3 * own + 0.01


def test_by_name(tmp_path):
    """``new`` and ``load`` are all that a cache needs to know."""
    index = indexes.new("words", SIZE)
    index.add([1], questions(1))
    index.save(tmp_path / "shelf")
    assert indexes.load(tmp_path / "shelf", "words", SIZE).ids().tolist() == [1]
    with pytest.raises(ConfigError, match="built anew"):
        indexes.load(tmp_path / "shelf", "others", SIZE)


def test_what_a_grown_one_needs_is_asked_for_at_once(monkeypatch):
    """Without usearch there is no small index either: it would fail when it has grown."""
    monkeypatch.setattr(indexes, "_GRAPH", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install 'agentrt\[semcache\]'"):
        indexes.new("words", SIZE)


def test_a_missing_extra_is_named(monkeypatch):
    """Without numpy the message says what to install."""
    for one in [one for one in sys.modules if one.startswith("agentrt.semcache.index.")]:
        monkeypatch.delitem(sys.modules, one)
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ConfigError, match=r"pip install 'agentrt\[semcache\]'"):
        indexes.new("words", SIZE)
