"""The pool under any order of operations: never too full, never torn, never without what is locked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.kvcache.simulator.pool import Node, Pool

PATHS = [
    [("a", 3)],
    [("a", 3), ("b", 2)],
    [("a", 3), ("b", 2), ("c", 4)],
    [("a", 3), ("d", 5)],
    [("e", 1), ("b", 2)],
    [("e", 1), ("z", 0), ("g", 6)],
]


def check(pool: Pool, held: list[list[Node]]) -> None:
    """What must be true of every pool at every moment."""
    nodes = list(pool.nodes())
    assert pool.used == sum(one.have for one in nodes) <= pool.size
    assert pool.locked == sum(one.have for one in nodes if one.locks)
    assert all(one.have == one.size for path in held for one in path)
    for one in nodes:
        children = [kid for kid in one.kids.values() if kid.have]
        assert 0 <= one.have <= one.best <= one.size
        assert one.resident == len(children)
        assert not children or one.have == one.size
        assert (one in pool.leaves) == bool(one.have and not one.locks and not children)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.booleans(), st.booleans()), max_size=30), st.integers(9, 16))
def test_a_pool_stays_whole(steps: list[tuple[list[tuple[str, int]], bool, bool]], size: int) -> None:
    """Paths come and go, evicted whole or in part: counts agree, locks hold, and no node outlives its parent."""
    pool, held = Pool(size), list[list[Node]]()
    for path, whole, let_go in steps:
        if held and let_go:
            pool.unlock(held.pop(0))
        nodes = pool.walk(path)
        pool.lock(nodes)
        need = sum(one.size - one.have for one in nodes)
        if need > pool.room:
            pool.unlock(nodes)
        else:
            pool.free(need, lambda one: one.serial, whole=whole)
            for one in nodes:
                pool.fill(one, one.size)
            held.append(nodes)
        check(pool, held)


def test_a_path_is_found_up_to_its_first_gap() -> None:
    """Half of a node is found as half; what hangs beneath is not there."""
    pool = Pool(10)
    nodes = pool.walk([("a", 4), ("b", 4)])
    pool.lock(nodes)
    pool.fill(nodes[0], 4)
    pool.fill(nodes[1], 1)
    assert pool.hit(nodes) == 5
    assert pool.hit(pool.walk([("a", 4), ("other", 4)])) == 4
    assert pool.hit(pool.walk([("b", 4)])) == 0


def test_eviction_goes_by_rank_and_climbs_to_what_becomes_a_leaf() -> None:
    """The leaf of smallest rank goes first; its parent has its turn when it has become a leaf."""
    pool = Pool(9)
    for path in ([("a", 3), ("b", 3)], [("c", 3)]):
        nodes = pool.walk(path)
        pool.lock(nodes)
        for one in nodes:
            pool.fill(one, 3)
        pool.unlock(nodes)
    a, b = pool.walk([("a", 3), ("b", 3)])
    [c] = pool.walk([("c", 3)])
    assert pool.free(4, {a: 0, b: 1, c: 2}.__getitem__) == 6
    assert (a.have, b.have, c.have) == (0, 0, 3)
    assert pool.evicted == 6


def test_what_is_free_is_taken_first() -> None:
    """Nothing is evicted while there is room."""
    pool = Pool(9)
    nodes = pool.walk([("a", 3)])
    pool.lock(nodes)
    pool.fill(nodes[0], 3)
    pool.unlock(nodes)
    assert pool.free(6, lambda one: one.serial) == 0
    assert nodes[0].have == 3
