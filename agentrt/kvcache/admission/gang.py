"""Gangs: of several turns that share a long prefix nobody has computed yet, one goes first and the others follow.

An engine that gets them all at once computes the prefix once for each, as none finds it in the cache. BatchLLM
(2412.03594) groups such requests ahead; here the first to come leads, and the rest follow at its first token, when the
prefix lies in the cache. Pure: no clock, no IO.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple

MOST_WARM: Final = 65536
"""How many prefixes are remembered as warm; the one told longest ago is forgotten first."""


class Link(NamedTuple):
    """A place in a prompt where prefixes can part: ``key`` stands for all up to there, ``size`` for its length, in any
    unit that is the same for all."""

    key: Hashable
    size: int


class Member:
    """One turn in a gang. While ``leader`` is somebody, it waits for that one; ``since`` is when it asked."""

    __slots__ = ("chain", "followers", "leader", "leads", "since")

    def __init__(self, chain: Sequence[Link], since: float) -> None:
        self.chain = chain
        self.since = since
        self.leader: Member | None = None
        self.leads = False
        self.followers: dict[Member, None] = {}

    @property
    def waits(self) -> bool:
        """Whether it has to wait."""
        return self.leader is not None


class Gang:
    """Who leads and who follows.

    A turn follows when a leader computes at least ``least`` of its prompt, in the unit of the links, beyond what is
    known to be warm. It waits ``patience`` seconds at most. A prefix counts as warm for ``warm`` seconds after it was
    computed.
    """

    def __init__(self, *, least: int = 1024, patience: float = 10.0, warm: float = 30.0) -> None:
        self._least = least
        self._patience = patience
        self._ttl = warm
        self._warm: OrderedDict[Hashable, float] = OrderedDict()
        self._leaders: dict[Hashable, Member] = {}
        self._waiting: dict[Member, None] = {}

    def ask(self, chain: Sequence[Link], now: float) -> Member | None:
        """A turn with these prefixes, shortest first, would like to go. It goes unless the answer ``waits``; ``None``
        when there is nothing that others could wait for, so that no more need be said of it."""
        if not chain or chain[-1].size < self._least:
            return None
        member = Member(chain, now)
        self._join(member, now)
        return member if member.leads or member.waits else None

    def warmed(self, member: Member, now: float) -> list[Member]:
        """A leader's first token is there, so its prompt is in the cache. Gives those that go now."""
        for link in reversed(member.chain):
            if self._warm.get(link.key, now) > now + 0.75 * self._ttl:
                break  # just told, and so was all before it
            self._warm[link.key] = now + self._ttl
            self._warm.move_to_end(link.key)
        while len(self._warm) > MOST_WARM:
            self._warm.popitem(last=False)
        return self._disband(member, now)

    def ended(self, member: Member, now: float) -> list[Member]:
        """A turn is over before its first token: failed, refused or cancelled, going or waiting. Another one leads."""
        if member.leader is not None:
            self._part(member)
            return []
        return self._disband(member, now)

    def tick(self, now: float) -> list[Member]:
        """Time has passed. Gives those that have waited long enough and go now."""
        late = [one for one in self._waiting if now - one.since >= self._patience]
        for one in late:
            self._part(one)
        return late

    def due(self) -> float | None:
        """When to ``tick`` next; ``None``: not at all."""
        return min(one.since for one in self._waiting) + self._patience if self._waiting else None

    def forget(self, keys: Iterable[Hashable] | None = None) -> None:
        """These prefixes have been evicted; without ``keys``, all of them."""
        if keys is None:
            self._warm.clear()
        else:
            for key in keys:
                self._warm.pop(key, None)

    @property
    def waiting(self) -> int:
        """How many turns wait."""
        return len(self._waiting)

    # -- decisions -------------------------------------------------------------------------------------------

    def _join(self, member: Member, now: float) -> None:
        warm = self._warm_size(member.chain, now)
        for link in reversed(member.chain):
            if link.size - warm < self._least:
                break
            leader = self._leaders.get(link.key)
            if leader is not None:
                member.leader = leader
                leader.followers[member] = None
                self._waiting[member] = None
                return
        self._lead(member, warm)

    def _lead(self, member: Member, warm: int) -> None:
        for link in member.chain:
            if link.size - warm >= self._least:
                self._leaders.setdefault(link.key, member)
                member.leads = True

    def _warm_size(self, chain: Sequence[Link], now: float) -> int:
        for link in reversed(chain):
            until = self._warm.get(link.key)
            if until is not None and until > now:
                return link.size
        return 0

    def _disband(self, member: Member, now: float) -> list[Member]:
        """Nobody waits for it any more: each follower goes, or finds another to follow."""
        for link in member.chain:
            if self._leaders.get(link.key) is member:
                del self._leaders[link.key]
        member.leads = False
        followers, member.followers = list(member.followers), {}
        for one in followers:
            one.leader = None
            del self._waiting[one]
            self._join(one, now)
        return [one for one in followers if not one.waits]

    def _part(self, member: Member) -> None:
        """It no longer waits, and is nobody's leader."""
        if member.leader is not None:
            del member.leader.followers[member]
            member.leader = None
            del self._waiting[member]
