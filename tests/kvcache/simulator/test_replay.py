"""Replays worked out by hand, and Bélády's order held against every other choice there is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Access, Segment
from agentrt.kvcache.simulator.orders import ORDERS, Belady, Lru, Slru, order
from agentrt.kvcache.simulator.replay import Outcome, belady, observed, replay


def access(start: float, *path: tuple[str, int], end: float | None = None, reply: int = 0, cached: int = -1) -> Access:
    """A request that is over before the next whole second unless ``end`` says otherwise."""
    return Access(
        session=path[-1][0],
        program="p",
        start=start,
        end=start + 0.5 if end is None else end,
        path=tuple(Segment(*one) for one in path),
        reply=Segment(f"{path[-1][0]}-reply", reply),
        cached=cached,
    )


def names(letters: str, tokens: int = 10) -> list[Access]:
    """One request a second, each for one segment of its letter."""
    return [access(at, (letter, tokens)) for at, letter in enumerate(letters)]


def test_lru_keeps_the_last_used() -> None:
    """a b c in a pool of two: c evicts a, so a again evicts b, and b again evicts c."""
    assert replay(names("abcab"), 20, Lru()) == Outcome("lru", 5, 50, hit=0, regenerated=20, evicted=30)


def test_belady_keeps_the_next_used() -> None:
    """a b c a b in a pool of two: c evicts b, which is needed after a; only b is computed again."""
    assert belady(names("abcab"), 20) == Outcome("belady", 5, 50, hit=10, regenerated=10, evicted=20)


def test_slru_protects_what_was_found_twice() -> None:
    """a, found twice, outlives b and c, although they were used after it; under lru it does not."""
    sequence = names("aaabca")
    assert replay(sequence, 20, Slru()).regenerated == 0
    assert replay(sequence, 20, Lru()).regenerated == 10


def test_a_shared_head_outlives_its_leaves() -> None:
    """Leaves go first, so a shared prompt that is older than they are stays while any of them needs it."""
    sequence = [access(at, ("head", 10), (name, 10)) for at, name in enumerate("xyzx")]
    got = replay(sequence, 30, Lru())
    assert (got.hit, got.regenerated, got.cold) == (30, 10, 40)


def test_a_reply_is_found_by_the_next_turn() -> None:
    """A session's second prompt holds its first reply, which the first request left in the pool."""
    turns = [access(0, ("a", 10), reply=5), access(1, ("a", 10), ("a-reply", 5), ("b", 5))]
    got = replay(turns, 100, Lru())
    assert (got.hit, got.cold, got.regenerated) == (15, 15, 0)


def test_a_reply_found_in_part_counts_in_part() -> None:
    """A later prompt may use only the beginning of a reply; the segment is cut there."""
    turns = [access(0, ("a", 10), reply=5), access(1, ("a", 10), ("a-reply", 3), ("b", 5))]
    assert replay(turns, 100, Lru()).hit == 13


def test_whole_nodes_lose_more_than_single_tokens() -> None:
    """Four tokens short: a whole node of ten goes, or just its last four."""
    sequence = [access(0, ("a", 10)), access(1, ("b", 10)), access(2, ("a", 10))]
    assert replay(sequence, 16, Belady(whole=True)).regenerated == 10
    assert replay(sequence, 16, Belady()).regenerated == 4


def test_a_running_request_is_not_evicted() -> None:
    """a runs all the time, so c can only evict b, which lru would have kept."""
    sequence = [access(0, ("a", 10), end=9), access(1, ("b", 10)), access(2, ("c", 10)), access(3, ("a", 10))]
    assert replay(sequence, 20, Lru()).regenerated == 0


def test_more_running_than_fits_ends_the_earliest() -> None:
    """A client counts waiting as running; of three at once in a pool of two, the one that ends first has ended."""
    sequence = [
        access(0, ("a", 10), end=8),
        access(1, ("b", 10), end=7),
        access(2, ("c", 10), end=9),
        access(3, ("a", 10), end=10),
    ]
    assert replay(sequence, 20, Lru()).hit == 10


def test_a_request_larger_than_the_pool_is_refused() -> None:
    """The message says how much it needs and how much there is."""
    with pytest.raises(ConfigError, match="needs 15 tokens and the pool has 12"):
        replay([access(0, ("a", 10), reply=5)], 12, Lru())


def test_requests_are_served_by_their_first_token() -> None:
    """b was sent first and served last: by then c had come and evicted a."""
    late = Access(session="a", program="p", start=0.6, first=5, end=6, path=(Segment("a", 10),), reply=Segment("r", 0))
    sequence = [access(0, ("a", 10)), late, access(2, ("c", 10)), access(3, ("d", 10))]
    assert replay(sequence, 20, Lru()).regenerated == 10


def test_what_an_engine_did_is_read_off_its_cached_tokens() -> None:
    """Of 15 known tokens the engine found 9: six were computed again; the new ones are not counted."""
    turns = [access(0, ("a", 10), reply=5, cached=0), access(1, ("a", 10), ("a-reply", 5), ("b", 5), cached=9)]
    assert observed(turns) == Outcome("observed", 2, 30, hit=9, regenerated=6)
    assert observed(turns, slack=6).regenerated == 0


def test_the_last_token_of_a_known_prompt_is_not_held_against_an_engine() -> None:
    """An engine always computes one token, for its logits."""
    assert observed([access(0, ("a", 10), cached=0), access(1, ("a", 10), cached=9)]).regenerated == 0


def test_two_that_compute_the_same_at_once_regenerate_nothing() -> None:
    """Nobody had the prompt when the second was sent."""
    both = [access(0, ("a", 10), end=3, cached=0), access(1, ("a", 10), end=3, cached=0)]
    both = [Access(**{n: getattr(one, n) for n in one.__slots__} | {"first": 2.0}) for one in both]
    assert observed(both).regenerated == 0


def test_an_engine_that_reports_no_cache_is_said() -> None:
    """Without the report there is nothing to compare."""
    with pytest.raises(ConfigError, match="must report its cache hits"):
        observed([access(0, ("a", 10))])


def test_orders_are_found_by_name() -> None:
    """An unknown name lists the known ones."""
    assert [order(name).name for name in (*ORDERS, "belady-nodes")] == ["lru", "slru", "belady", "belady-nodes"]
    with pytest.raises(ConfigError, match="lru, slru, belady"):
        order("fifo")


# -- random sequences ----------------------------------------------------------------------------------------


def _one(draw: st.DrawFn, at: int, size: st.SearchStrategy[int], lasting: int) -> Access:
    chain = draw(st.sampled_from("abc"))
    depth = draw(st.integers(1, 3))
    path = [("head", 1)] * draw(st.booleans()) + [(f"{chain}{level}", 1 + level % 2) for level in range(depth)]
    return access(at, *path, end=at + 0.5 + draw(st.integers(0, lasting)), reply=draw(size))


@st.composite
def sequences(draw: st.DrawFn, longest: int = 30, lasting: int = 0) -> list[Access]:
    return [_one(draw, at, st.integers(0, 1), lasting) for at in range(draw(st.integers(1, longest)))]


@settings(deadline=None)
@given(sequences(lasting=4), st.integers(7, 14))
def test_tokens_are_conserved(sequence: list[Access], pool: int) -> None:
    """Every prompt token is hit, cold or regenerated; what is cold does not depend on the order of eviction."""
    results = [replay(sequence, pool, order(name)) for name in (*ORDERS, "belady-nodes")]
    for got in results:
        assert got.prompt == sum(one.prompt for one in sequence) == got.hit + got.cold + got.regenerated
        assert min(got.hit, got.cold, got.regenerated, got.evicted) >= 0
    assert len({got.cold for got in results}) == 1


@settings(deadline=None)
@given(sequences(lasting=4), st.integers(7, 14))
def test_belady_is_never_worse_than_another_order(sequence: list[Access], pool: int) -> None:
    """With single tokens evicted it regenerates at most what any other does; and a larger pool never hurts it."""
    best = belady(sequence, pool).regenerated
    assert all(best <= replay(sequence, pool, order(name)).regenerated for name in ("lru", "slru", "belady-nodes"))


@settings(max_examples=60, deadline=None)
@given(sequences(longest=7, lasting=1), st.integers(6, 8))
@example(names("abcab", 2), 5)
def test_belady_is_as_good_as_the_best_of_all_choices(sequence: list[Access], pool: int) -> None:
    """An exhaustive search over every token that could have been evicted finds nothing better."""
    assert belady(sequence, pool).regenerated == _least(sequence, pool)


def _least(sequence: Sequence[Access], pool: int) -> int:
    """The fewest tokens that any choice of evictions computes again; tokens are names, holes are allowed."""
    prompts = [_tokens(one.path) for one in sequence]
    needs = [_tokens((*one.path, one.reply), reply=True) for one in sequence]
    locks = [
        frozenset().union(*(needs[j] for j in range(i) if sequence[j].end > sequence[i].start), frozenset())
        for i in range(len(sequence))
    ]
    assume(all(len(locks[i] | needs[i]) <= pool for i in range(len(sequence))))

    @cache
    def cost(i: int, held: frozenset[str], ever: frozenset[str]) -> int:
        if i == len(sequence):
            return 0
        again = len((prompts[i] & ever) - held)
        wanted = held | needs[i]
        free = sorted(wanted - needs[i] - locks[i])
        short = max(0, len(wanted) - pool)
        return again + min(cost(i + 1, wanted - set(gone), ever | needs[i]) for gone in combinations(free, short))

    return cost(0, frozenset(), frozenset())


def _tokens(path: Sequence[Segment], reply: bool = False) -> frozenset[str]:
    """Each token of a path by where it stands: its segment, its place there, and all that came before."""
    found, before = set(), ""
    for name, tokens in path:
        before += f"/{name}"
        found |= {f"{before}@{place}" for place in range(tokens)}
    return frozenset(found)
