"""Admission: who goes, who is held, in which order, and that nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentrt.errors import ConfigError
from agentrt.kvcache.admission import ORDERS, Admission, Decay, Fixed, Ticket
from agentrt.kvcache.admission.claims import Load

LONG = 10_000.0
"""Seconds after which every claim that does not run has faded."""


def tight(pool: int = 100, **settings: object) -> Admission:
    """An admission without headroom, so that sizes in tests add up."""
    return Admission(pool, headroom=0.0, **settings)  # type: ignore[arg-type]


def ids(tickets: Iterable[Ticket]) -> list[str]:
    return [ticket.program.id for ticket in tickets]


def held(admission: Admission, program: str, need: int, now: float = 0.0, session: str = "s") -> Ticket:
    """Ask, and see that it is held."""
    ticket = admission.ask(program, session, need, now)
    assert ticket is not None
    assert ticket.state == "held"
    return ticket


# -- without pressure ------------------------------------------------------------------------------------------


def test_everything_goes_while_all_contexts_fit() -> None:
    """Programs that fit together are never held, whatever they do."""
    admission = tight(100)
    for turn in range(3):
        for program in "abcd":
            assert admission.ask(program, "s", 10 + turn * 5, turn) is None
        for program in "abcd":
            assert admission.done(program, "s", 10 + turn * 5, turn) == []
    assert admission.due(9.0) is None


def test_an_unknown_pool_holds_nobody() -> None:
    """With pool 0 every turn goes; once the size is known, what does not fit is held."""
    admission = tight(0)
    assert admission.ask("a", "s", 10**9, 0.0) is None
    admission.resize(100, 0.0)
    waits = held(admission, "b", 10)
    assert admission.resize(0, 0.0) == [waits]


def test_a_shared_prompt_counts_once() -> None:
    """Ten contexts of 50 tokens with 45 in common fit a pool of 100; without it two would."""
    admission = tight(100)
    for one in range(10):
        assert admission.ask(f"p{one}", "s", 50, 0.0, fixed=Fixed("prompt", 45)) is None
    held(admission, "other", 50)


def test_a_context_that_no_longer_shares_counts_in_full() -> None:
    """When a session goes on without the prompt that it shared, all of it counts."""
    admission = tight(90)
    for program in "ab":
        assert admission.ask(program, "s", 50, 0.0, fixed=Fixed("prompt", 45)) is None
    admission.done("a", "s", 50, 0.0)
    held(admission, "a", 50)


def test_a_session_that_ended_leaves_its_fixed_prompt_for_a_while() -> None:
    """One-shot calls hold nothing when they are over but the prompt they share with the next ones, until it fades."""
    admission = tight(100)
    assert admission.ask("a", "call-1", 60, 0.0, fixed=Fixed("prompt", 40)) is None
    admission.done("a", "call-1", 0, 0.0)
    assert admission.size("a", "call-1") == 0
    waits = held(admission, "b", 70)
    assert admission.tick(LONG) == [waits]


# -- pressure --------------------------------------------------------------------------------------------------


def test_what_does_not_fit_waits_until_a_program_leaves() -> None:
    """The second of two programs of 60 in a pool of 100 goes when the first has left, not when its turn has ended."""
    admission = tight(100)
    assert admission.ask("a", "s", 60, 0.0) is None
    waits = held(admission, "b", 60)
    assert admission.done("a", "s", 60, 0.0) == []
    assert admission.leave("a", 0.0) == [waits]
    assert waits.state == "granted"


def test_the_smallest_goes_first_when_asked_for() -> None:
    """With order "smallest" room for one goes to the smallest of those held, whoever came first."""
    admission = tight(100, order="smallest")
    assert admission.ask("a", "s", 90, 0.0) is None
    big, small = held(admission, "big", 80, 1.0), held(admission, "small", 40, 2.0)
    assert admission.leave("a", 3.0) == [small]
    assert big.state == "held"


def test_who_came_first_goes_first() -> None:
    """Room for one goes to the program that came first, though it is larger."""
    admission = tight(100)
    assert admission.ask("a", "s", 90, 0.0) is None
    big = held(admission, "big", 80, 1.0)
    held(admission, "small", 40, 2.0)
    assert admission.leave("a", 3.0) == [big]


def test_priority_goes_before_order() -> None:
    """A program of higher priority goes first, though it is larger."""
    admission = tight(100)
    assert admission.ask("a", "s", 90, 0.0) is None
    held(admission, "small", 40)
    urgent = admission.ask("urgent", "s", 80, 0.0, priority=1)
    assert admission.leave("a", 0.0) == [urgent]


def test_the_least_work_left_goes_first_when_told() -> None:
    """The program with the least work left goes first; unknown work comes last."""
    admission = tight(100)
    assert admission.ask("a", "s", 90, 0.0) is None
    for program, left in (("unknown", None), ("much", 9.0), ("little", 2.0)):
        held(admission, program, 80)
        admission.expect(program, left)
    assert ids(admission.leave("a", 0.0)) == ["little"]


def test_programs_that_outgrow_the_pool_give_way_at_their_turns() -> None:
    """When the turn of an admitted program no longer fits, it is held back, and returns."""
    admission = tight(100)
    for program in "ab":
        assert admission.ask(program, "s", 40, 0.0) is None
        admission.done(program, "s", 40, 0.0)
    assert admission.ask("a", "s", 55, 0.0) is None
    waits = held(admission, "b", 65)
    assert admission.done("a", "s", 55, 0.0) == []
    assert admission.leave("a", 0.0) == [waits]


def test_who_asks_gives_way_to_who_does_not() -> None:
    """A program that outgrows the room that is left is held at that turn; the others keep what they have."""
    admission = tight(100)
    assert admission.ask("big", "s", 60, 0.0) is None
    admission.done("big", "s", 60, 0.0)
    assert admission.ask("small", "s", 30, 0.0) is None
    admission.done("small", "s", 30, 0.0)
    waits = held(admission, "small", 50)
    assert admission.ask("big", "s", 65, 0.0) is None
    admission.done("big", "s", 65, 0.0)
    assert admission.leave("big", 0.0) == [waits]


def test_what_a_held_program_has_running_still_counts() -> None:
    """Turns that run are never taken back: the room of a held program's running turn is not given away."""
    admission = tight(100)
    assert admission.ask("a", "x", 50, 0.0) is None
    assert admission.ask("b", "s", 40, 0.0) is None
    waits = held(admission, "a", 30, session="y")
    held(admission, "c", 60)
    admission.leave("b", 0.0)
    assert waits.state == "granted"


def test_turns_of_an_admitted_program_go_together() -> None:
    """Parallel sessions of one program that fit beside each other all go; none waits for another."""
    admission = tight(100)
    assert admission.ask("a", "s", 95, 0.0) is None
    tickets = [held(admission, "b", 20, session=f"s{one}") for one in range(4)]
    assert admission.leave("a", 0.0) == tickets


def test_a_program_larger_than_the_pool_runs_alone() -> None:
    """A program that never fits goes as soon as no other holds anything, and all its turns with it."""
    admission = tight(100)
    assert admission.ask("a", "s", 20, 0.0) is None
    whole = [held(admission, "huge", 150, session=one) for one in "xy"]
    assert admission.leave("a", 0.0) == whole
    held(admission, "b", 10)


def test_one_program_always_runs() -> None:
    """In an empty engine a turn larger than the pool goes at once."""
    assert tight(100).ask("huge", "s", 10**6, 0.0) is None


def test_a_program_larger_than_the_pool_goes_when_others_have_faded() -> None:
    """What has been idle for long holds up nobody, however large."""
    admission = tight(100)
    assert admission.ask("a", "s", 20, 0.0) is None
    admission.done("a", "s", 20, 0.0)
    huge = held(admission, "huge", 150)
    assert admission.tick(79.0) == []
    assert admission.tick(81.0) == [huge]


def test_a_program_left_alone_is_not_held_by_its_own_turns() -> None:
    """When all others have left, the turns of a program go though together they are larger than the pool."""
    admission = tight(100)
    assert admission.ask("a", "x", 95, 0.0) is None
    assert admission.ask("b", "s", 5, 0.0) is None
    waits = held(admission, "a", 20, session="y")
    assert admission.resize(90, 0.0) == []
    assert admission.leave("b", 0.0) == [waits]


def test_who_is_held_gives_up_what_it_does_not_use() -> None:
    """The idle sessions of a program that is held no longer count, so that others may go."""
    admission = tight(100)
    assert admission.ask("a", "x", 40, 0.0) is None
    admission.done("a", "x", 40, 0.0)
    assert admission.ask("b", "s", 40, 0.0) is None
    held(admission, "a", 30, session="y")
    assert admission.ask("c", "s", 55, 0.0) is None


def test_headroom_is_left_by_those_that_enter() -> None:
    """A program enters only while a tenth of the pool stays free; one that is in may use that tenth."""
    admission = Admission(100, headroom=0.1)
    assert admission.ask("a", "s", 60, 0.0) is None
    assert admission.ask("b", "s", 30, 0.0) is None
    held(admission, "c", 30)
    admission.done("a", "s", 60, 0.0)
    assert admission.ask("a", "s", 65, 0.0) is None


# -- tools -----------------------------------------------------------------------------------------------------


def test_a_program_in_a_long_tool_call_counts_less_and_less() -> None:
    """While its tool runs a program's claim halves every twenty seconds, which makes room for another."""
    admission = tight(100)
    assert admission.ask("a", "s", 60, 0.0) is None
    admission.done("a", "s", 60, 0.0)
    admission.acting("a", "s", 0.0, 0.0)
    waits = held(admission, "b", 60, 1.0)
    assert admission.tick(11.0) == []
    assert admission.tick(12.0) == [waits]


def test_a_tool_known_to_be_long_counts_less_at_once() -> None:
    """A tool that is expected to take a minute frees its context's room from the start."""
    admission = tight(100)
    assert admission.ask("a", "s", 60, 0.0) is None
    admission.done("a", "s", 60, 0.0)
    waits = held(admission, "b", 60)
    assert admission.acting("a", "s", 60.0, 0.0) == [waits]


def test_a_waiting_session_counts_while_its_program_runs() -> None:
    """A session that waits for others of its program keeps its claim while they run, and fades with them."""
    admission = tight(100)
    assert admission.ask("a", "s", 40, 0.0) is None
    admission.done("a", "s", 40, 0.0)
    assert admission.ask("a", "t", 20, 0.0) is None
    waits = held(admission, "b", 60)
    assert admission.tick(20.0) == []
    admission.done("a", "t", 20, 20.0)
    assert admission.tick(60.0) == [waits]


def test_a_host_tier_lets_more_in() -> None:
    """With a host tier of twice the pool, half as much again is let in, and claims fade three times as fast."""
    plain, tiered = tight(100), tight(100, host=200)
    for admission in (plain, tiered):
        assert admission.ask("a", "s", 90, 0.0) is None
    held(plain, "b", 50)
    assert tiered.ask("b", "s", 50, 0.0) is None
    tiered.done("a", "s", 90, 0.0)
    waits = held(tiered, "c", 55)
    assert tiered.tick(2.0) == []
    assert tiered.tick(7.0) == [waits]


# -- patience --------------------------------------------------------------------------------------------------


def test_a_held_program_is_not_overtaken_for_ever() -> None:
    """Room is kept for a program that has waited out its patience: smaller ones that would fit wait behind it."""
    admission = tight(100, patience=30.0)
    assert admission.ask("a", "s", 60, 0.0) is None
    big = held(admission, "big", 80, 0.0)
    assert admission.ask("small", "s", 30, 29.0) is None
    admission.done("small", "s", 30, 29.0)
    admission.leave("small", 29.0)
    held(admission, "late", 30, 31.0)
    assert admission.tick(32.0) == []
    assert admission.leave("a", 33.0)[0] is big


def test_programs_admitted_for_long_make_room_for_one_that_waits() -> None:
    """A held program gets its turn though the others never leave: they rotate."""
    admission = tight(100, patience=30.0)
    assert admission.ask("a", "s", 60, 0.0) is None
    big = held(admission, "big", 80, 0.0)
    at = 0.0
    while big.state == "held":
        at += 1.0
        admission.done("a", "s", 60, at)
        if admission.ask("a", "s", 60, at) is not None:
            break
        assert at < 40.0, "held beyond its patience"
    assert big.state == "granted"


def test_who_waited_long_is_not_turned_out_at_once() -> None:
    """A program let in by patience keeps its place as long as others had theirs, though one of them asks again."""
    admission = tight(100, patience=30.0)
    assert admission.ask("a", "s", 60, 0.0) is None
    big = held(admission, "big", 80, 0.0)
    assert admission.done("a", "s", 60, 31.0) == [big]
    assert [one.id for one in admission._roster.active] == ["big"]
    admission.done("big", "s", 80, 32.0)
    back = held(admission, "a", 60, 32.0)
    assert admission.ask("big", "s", 85, 60.0) is None
    assert admission.done("big", "s", 85, 63.0) == [back]


def test_room_is_kept_for_one_turn_of_who_waited_not_for_all() -> None:
    """Once a program has got a turn it is no longer ahead of all others, though more of its turns wait."""
    admission = tight(100, patience=30.0)
    assert admission.ask("a", "s", 70, 0.0) is None
    assert admission.ask("b", "s", 20, 0.0) is None
    first = held(admission, "big", 40, 0.0, session="x")
    second = held(admission, "big", 90, 0.0, session="y")
    assert admission.done("a", "s", 0, 31.0) == [first]
    assert second.state == "held"
    assert admission.ask("late", "s", 10, 32.0) is None


# -- cancelling ------------------------------------------------------------------------------------------------


def test_a_cancelled_turn_gives_its_place_to_the_next() -> None:
    """When the one for whom room was kept is cancelled, those behind it go at once."""
    admission = tight(100, patience=30.0)
    assert admission.ask("a", "s", 60, 0.0) is None
    big = held(admission, "big", 80, 0.0)
    small = held(admission, "small", 30, 31.0)
    assert admission.cancel(big, 31.0) == [small]
    assert big.state == "cancelled"
    assert admission.cancel(big, 31.0) == []


def test_leaving_cancels_what_waits() -> None:
    """The tickets of a program or a session that ends are cancelled."""
    admission = tight(100)
    assert admission.ask("a", "s", 90, 0.0) is None
    one, two = held(admission, "b", 50, session="x"), held(admission, "b", 50, session="y")
    admission.leave("b", 0.0, session="x")
    assert (one.state, two.state) == ("cancelled", "held")
    admission.leave("b", 0.0)
    assert two.state == "cancelled"
    assert admission.held == 0


def test_news_of_what_has_left_is_ignored() -> None:
    """A turn that ends after its program has left changes nothing."""
    admission = tight(100)
    assert admission.ask("a", "s", 90, 0.0) is None
    admission.leave("a", 0.0)
    assert admission.done("a", "s", 90, 0.0) == []
    assert admission.acting("a", "s", 1.0, 0.0) == []


@pytest.mark.parametrize(
    "wrong", [{"order": "newest"}, {"share": 0.0}, {"patience": 0.0}, {"reserve": -1}, {"headroom": 1.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """The error names the setting and what was expected."""
    with pytest.raises(ConfigError, match="expected"):
        Admission(100, **wrong)  # type: ignore[arg-type]


# -- any history -----------------------------------------------------------------------------------------------

PROGRAMS = st.sampled_from("abcdef")
SESSIONS = st.sampled_from("xyz")
NEEDS = st.integers(1, 130)
FIXED = st.sampled_from([Fixed("", 0), Fixed("", 0), Fixed("p", 20), Fixed("q", 10)])


class AnyHistory(RuleBasedStateMachine):
    """Programs that ask, end, run tools, leave and give up in any order, against a plain account of what runs."""

    @initialize(
        pool=st.integers(50, 200),
        order=st.sampled_from(sorted(ORDERS)),
        host=st.sampled_from([0, 100]),
    )
    def begin(self, pool: int, order: str, host: int) -> None:
        self.subject = Admission(pool, host=host, order=order, patience=30.0, decay=Decay(2.0, 10.0))
        self.now = 0.0
        self.flying: dict[tuple[str, str], tuple[int, Fixed]] = {}
        self.waiting: dict[Ticket, tuple[str, str, int, Fixed]] = {}

    def goes(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            program, session, need, fixed = self.waiting.pop(ticket)  # each is granted once
            assert ticket.state == "granted"
            self.flying[program, session] = (need, fixed)
        self.fits()

    def fits(self) -> None:
        load = Load()
        for need, fixed in self.flying.values():
            load.add(max(need, fixed.tokens), fixed, 1.0)
        alone = len({program for program, _ in self.flying}) <= 1
        assert alone or load.tokens <= self.subject.capacity

    def busy(self, program: str, session: str) -> bool:
        return (program, session) in self.flying or any(one[:2] == (program, session) for one in self.waiting.values())

    @rule(program=PROGRAMS, session=SESSIONS, need=NEEDS, fixed=FIXED, priority=st.integers(0, 1))
    def ask(self, program: str, session: str, need: int, fixed: Fixed, priority: int) -> None:
        if self.busy(program, session):
            return
        ticket = self.subject.ask(program, session, need, self.now, fixed=fixed, priority=priority)
        if ticket is None:
            self.flying[program, session] = (need, fixed)
            self.fits()
        else:
            self.waiting[ticket] = (program, session, need, fixed)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), size=st.one_of(st.none(), st.integers(0, 130)))
    def done(self, data: st.DataObject, size: int | None) -> None:
        program, session = data.draw(st.sampled_from(sorted(self.flying)))
        del self.flying[program, session]
        self.goes(self.subject.done(program, session, size, self.now))

    @rule(program=PROGRAMS, session=SESSIONS, expected=st.sampled_from([0.0, 1.0, 100.0]))
    def acting(self, program: str, session: str, expected: float) -> None:
        self.goes(self.subject.acting(program, session, expected, self.now))

    @rule(program=PROGRAMS, session=st.one_of(st.none(), SESSIONS))
    def leave(self, program: str, session: str | None) -> None:
        over = [one for one in self.flying if one[0] == program and session is None]
        for one in over:
            del self.flying[one]
        out = self.subject.leave(program, self.now, session=session)
        self.waiting = {ticket: what for ticket, what in self.waiting.items() if ticket.state != "cancelled"}
        self.goes(out)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(list(self.waiting)))
        del self.waiting[ticket]
        self.goes(self.subject.cancel(ticket, self.now))
        assert ticket.state == "cancelled"

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.goes(self.subject.tick(self.now))

    @rule()
    def comes_to_an_end(self) -> None:
        """If every turn ends and time goes on, everybody who waits gets a turn: no deadlock, no starvation."""
        rounds = 2 * len(self.waiting) + 2
        while self.waiting:
            rounds -= 1
            assert rounds >= 0, f"still held: {list(self.waiting)}"
            for program, session in list(self.flying):
                need, _ = self.flying.pop((program, session))
                self.goes(self.subject.done(program, session, need, self.now))
            self.now += 40.0
            self.goes(self.subject.tick(self.now))

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "subject"):
            return
        assert self.subject.held == len(self.waiting)
        assert (self.subject.due(self.now) is None) == (not self.waiting)
        roster = self.subject._roster
        whole = Load()
        for program in roster.programs.values():
            assert program.flying == sum(one.flying for one in program.sessions.values())
            for one in program.sessions.values():
                whole.add(one.tokens, one.fixed, 1.0)
        assert roster.known == whole.tokens
        assert set(roster.active) == {p for p in roster.programs.values() if p.admitted is not None or p.flying}
        flying = {(p.id, name) for p in roster.programs.values() for name, one in p.sessions.items() if one.flying}
        assert flying == set(self.flying)

    def teardown(self) -> None:
        if not hasattr(self, "subject"):
            return
        for program in "abcdef":
            self.subject.leave(program, self.now)
        assert self.subject._roster.known == 0
        assert not self.subject._roster.programs
        assert self.subject.held == 0


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
