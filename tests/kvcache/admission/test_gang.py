"""Gangs: one turn warms a prefix, the others follow."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.kvcache.admission import Gang, Link, Member


def chain(*keys: str, each: int = 100) -> list[Link]:
    """A prompt of parts: every part is ``each`` long, its key stands for all up to it."""
    return [Link("/".join(keys[: n + 1]), each * (n + 1)) for n in range(len(keys))]


def asked(gang: Gang, *keys: str, now: float = 0.0, each: int = 100) -> Member:
    member = gang.ask(chain(*keys, each=each), now)
    assert member is not None
    return member


def test_the_first_leads_and_the_others_follow_at_its_first_token() -> None:
    """Of three turns with one long prefix the first goes; the other two go when it is warm."""
    gang = Gang(least=100)
    leader, one, two = (asked(gang, "system", name) for name in "abc")
    assert [leader.waits, one.waits, two.waits] == [False, True, True]
    assert gang.warmed(leader, 1.0) == [one, two]
    assert gang.waiting == 0


def test_a_short_prefix_holds_nobody() -> None:
    """Turns that share less than the least go side by side."""
    gang = Gang(least=150)
    members = [asked(gang, "system", name) for name in "ab"]
    assert not any(one.waits for one in members)
    assert gang.ask(chain("hello"), 0.0) is None


def test_a_warm_prefix_holds_nobody() -> None:
    """While the prefix is known to lie in the cache, those that share no more than that go at once."""
    gang = Gang(least=150, warm=10.0)
    gang.warmed(asked(gang, "system", "tools", "a"), 0.0)
    assert gang.ask(chain("system", "tools", "b"), 5.0) is None
    assert not asked(gang, "system", "tools", "b", now=11.0).waits
    assert asked(gang, "system", "tools", "c", now=11.0).waits


def test_an_evicted_prefix_is_led_again() -> None:
    """What has been told to be evicted is no longer warm."""
    gang = Gang(least=100)
    gang.warmed(asked(gang, "system", "a"), 0.0)
    gang.forget(["system"])
    assert not asked(gang, "system", "b").waits
    gang.forget()
    assert asked(gang, "system", "c").waits


def test_a_leader_that_fails_hands_over_to_the_next() -> None:
    """When the leader ends before its first token, one follower leads and the rest follow that one."""
    gang = Gang(least=100)
    leader, one, two = (asked(gang, "system", name) for name in "abc")
    assert gang.ended(leader, 1.0) == [one]
    assert two.waits
    assert gang.warmed(one, 2.0) == [two]


def test_a_follower_that_is_cancelled_leaves_no_trace() -> None:
    """A follower that gives up is neither let go later nor leads."""
    gang = Gang(least=100)
    leader, one, two = (asked(gang, "system", name) for name in "abc")
    assert gang.ended(one, 1.0) == []
    assert gang.warmed(leader, 2.0) == [two]


def test_nobody_waits_longer_than_the_patience() -> None:
    """A follower goes after its patience though its leader has not had a token."""
    gang = Gang(least=100, patience=5.0)
    leader = asked(gang, "system", "a")
    one, late = asked(gang, "system", "b", now=1.0), asked(gang, "system", "c", now=3.0)
    assert gang.due() == 6.0
    assert gang.tick(6.0) == [one]
    assert gang.warmed(leader, 7.0) == [late]
    assert gang.due() is None


def test_followers_that_share_more_form_a_gang_of_their_own() -> None:
    """When a short prefix is warm, followers with a longer one in common still go one after the other."""
    gang = Gang(least=100)
    leader = asked(gang, "system", "a")
    one, two = asked(gang, "system", "long", "b"), asked(gang, "system", "long", "c")
    assert gang.warmed(leader, 1.0) == [one]
    assert two.waits
    assert gang.warmed(one, 2.0) == [two]


@settings(deadline=None)
@given(st.data())
def test_any_history_ends_with_everybody_gone(data: st.DataObject) -> None:
    """However turns come, end, fail and are cancelled: each goes once at most, and nobody is left waiting."""
    gang = Gang(least=100, patience=5.0, warm=8.0)
    now, going, waiting = 0.0, [], []

    def go(members: list[Member]) -> None:
        for one in members:
            waiting.remove(one)  # fails for one that goes twice
            going.append(one)

    for _ in range(data.draw(st.integers(1, 25))):
        now += data.draw(st.sampled_from([0.0, 1.0, 6.0]))
        go(gang.tick(now))
        verb = data.draw(st.sampled_from(["ask", "ask", "warmed", "ended", "cancel"]))
        if verb == "ask":
            member = gang.ask(chain(*data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=4))), now)
            if member is not None:
                (waiting if member.waits else going).append(member)
        elif verb == "cancel" and waiting:
            gang.ended(waiting.pop(data.draw(st.integers(0, len(waiting) - 1))), now)
        elif going:
            one = going.pop(data.draw(st.integers(0, len(going) - 1)))
            go(gang.warmed(one, now) if verb == "warmed" else gang.ended(one, now))
        assert gang.waiting == len(waiting)
        assert all(one.waits for one in waiting)
        assert not any(one.waits for one in going)
        assert not waiting or going, "somebody waits for nobody"
    while going:
        go(gang.ended(going.pop(), now))
    assert not waiting
    assert not gang._leaders
