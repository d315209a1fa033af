"""What is played of a recording: prompts of the scaled lengths that share what they shared, the same for one seed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.benchmarks.replay import claude
from agentrt.benchmarks.replay.play import Pace, Played, arriving, chosen, fitting_scale, played, working_set
from agentrt.benchmarks.replay.sessions import Run, Session, Turn
from agentrt.benchmarks.replay.tokens import Ask, Fixed, Told, drawn, new_tokens, prompt_of
from agentrt.errors import ConfigError
from agentrt.types import Message
from tests.benchmarks.replay.recordings import claude_session


def recorded() -> Session:
    session = claude.session_of(json.dumps(claude_session()))
    assert session is not None
    return session


def prompts(plain: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """The prompts of the turns in order, with their contexts, as an engine would get them."""
    said: dict[int, list[Message]] = {}
    found = []
    for turn in plain["turns"]:
        context = said.setdefault(turn["context"], [Message("system", turn["head"])] if turn["head"] else [])
        context.append(Message("user", turn["prompt"]))
        tokens, ask = prompt_of(context)
        found.append((turn["context"], tokens))
        reply = drawn(f"reply {len(found)}", ask.say)
        context.append(Message("assistant", Told(tuple(reply), len(tokens), 0, 0).to_text()))
    return found


def shared(one: list[int], other: list[int]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def play(session: Session, **pace: Any) -> dict[str, Any]:
    plain = played(session, Pace(**pace), Played())
    assert plain is not None
    json.dumps(plain)  # it is plain JSON
    return plain


def test_prompts_have_the_recorded_lengths_and_share_what_was_shared() -> None:
    """Growth goes on from prompt and reply, a cut shares whole blocks, another context shares nothing."""
    session = recorded()
    found = prompts(play(session))
    assert [len(tokens) for _, tokens in found] == [turn.prompt for turn in session.turns]
    first, second, small, third, cut = (tokens for _, tokens in found)
    assert second[:330] == first
    assert second[330:362] == drawn("reply 1", 32)
    assert shared(small, first) == 0
    assert third[:460] == second
    assert shared(cut, third) == 8 * 64


def test_two_sessions_share_their_head_and_no_more() -> None:
    """Sessions of one fixed prompt begin alike; their own blocks differ though the numbers are the same."""
    one, other = (prompts(play(claude_named(name)))[0][1] for name in ("trace_1", "trace_2"))
    assert shared(one, other) == 128


def claude_named(name: str) -> Session:
    session = claude.session_of(json.dumps(claude_session(name)))
    assert session is not None
    return session


def test_the_seed_decides_what_prompts_are() -> None:
    """The same seed gives the same tokens, another one others, from the head on."""
    session = recorded()
    assert prompts(play(session, seed=3)) == prompts(play(session, seed=3))
    assert shared(prompts(play(session, seed=3))[0][1], prompts(play(session, seed=4))[0][1]) == 0


@given(st.floats(1, 40), st.integers(0, 1 << 30))
@settings(deadline=None)
def test_scaled_prompts_share_in_proportion(scale: float, seed: int) -> None:
    """Whatever the scale, growth shares all of the prompt before, and each prompt has at least a token more."""
    session = recorded()
    found = prompts(play(session, scale=scale, seed=seed))
    main = [tokens for context, tokens in found if context == 0]
    assert main[1][: len(main[0])] == main[0]
    assert main[2][: len(main[1])] == main[1]
    assert shared(main[3], main[2]) >= int(8 * 64 / scale)
    assert all(abs(len(tokens) - turn.prompt / scale) <= 4 for tokens, turn in zip(main, own(session), strict=True))


def own(session: Session) -> list[Turn]:
    return [turn for turn in session.turns if turn.context == 0]


@given(st.integers(0, 1 << 30))
@settings(deadline=None)
def test_blocks_say_the_same_wherever_a_prompt_goes_on(seed: int) -> None:
    """A prompt made in one piece is the one made in two, at any place and any scale."""
    draw = random.Random(seed)
    scale, many = draw.choice([1.0, 2.0, 7.5, 64.0, 100.0]), draw.randint(1, 30)
    prompt = max(1, int(many * 64 / scale))
    whole = Ask(0, prompt, 1, "s", "t", 64, scale, 0, ((5, many),))
    tokens = new_tokens(whole, 0)
    assert len(tokens) == prompt
    keep = draw.randrange(prompt)
    at = int(keep * scale) // 64
    rest = Ask(keep, prompt, 1, "s", "t", 64, scale, at, ((5 + at, many - at),))
    assert tokens[:keep] + new_tokens(rest, keep) == tokens


def test_turns_that_do_not_fit_the_window_are_left_out_and_counted() -> None:
    """The others are played, and the one after keeps what those that were left out kept, too."""
    count = Played()
    plain = played(recorded(), Pace(window=700), count)
    assert plain is not None
    assert (count.turns, count.left_out, count.cut) == (6, 1, 1)
    found = [tokens for context, tokens in prompts(plain) if context == 0]
    assert [len(tokens) for tokens in found] == [330, 460, 600]
    assert shared(found[2], found[1]) == 460


def test_a_session_of_which_nothing_fits_is_none() -> None:
    """It is left out as a whole."""
    assert played(recorded(), Pace(window=10), Played()) is None


def test_gaps_are_divided_and_capped_and_said() -> None:
    """Each gap is over the speed, none above the longest, and both are counted; helpers' too."""
    count = Played()
    plain = played(recorded(), Pace(speed=2, max_gap=1.5), count)
    assert plain is not None
    assert [turn["gap"] for turn in plain["turns"]] == [0.0, 1.5, 1.0, 1.5, 1.5]
    assert [turn["tool"] for turn in plain["turns"]] == ["", "tool", "person", "person", "tool"]
    assert (count.gaps, count.capped, count.helpers) == (6, 3, 1)
    assert count.gap_s == pytest.approx(1.5 + 1 + 1.5 + 1.5 + 1.5 + 0.5)


def test_contexts_are_closed_with_their_last_turn() -> None:
    """So that an engine hears when a context has ended."""
    assert [turn["closes"] for turn in play(recorded())["turns"]] == [False, False, True, False, True]


def test_sessions_are_drawn_by_the_seed_or_come_in_their_order() -> None:
    """Without arrivals they are drawn; with them the first ones are taken, which share with each other."""
    some = [Session(str(number), (Turn(10, 1), Turn(20, 1, 10))) for number in range(20)]
    assert chosen(some, 5, 0, 1) == chosen(some, 5, 0, 1) != chosen(some, 5, 0, 2)
    assert [len(one.turns) for one in chosen(some, 0, 1, 0)] == [1] * 20
    later = [Session(str(number), (Turn(10, 1),), arrives=float(number)) for number in range(20)]
    assert chosen(later, 3, 0, 1) == later[:3]


def test_arrivals_are_those_recorded_or_a_poisson_process() -> None:
    """A rate makes them at random, the first at once; a recording without any needs one."""
    some = [Session(str(number), (Turn(10, 1),)) for number in range(400)]
    found = [one.arrives for one in arriving(some, 2.0, 1)]
    assert found[0] == 0.0
    assert found == sorted(found)
    assert 0.4 < found[-1] / 399 < 0.6
    with pytest.raises(ConfigError, match="tells of no arrivals"):
        arriving(some, 0.0, 1)


def test_the_scale_that_fits_and_the_working_set() -> None:
    """The least whole number with which the longest context fits; contexts at once are of mean length."""
    some = [Session("a", (Turn(990, 10),)), Session("b", (Turn(1990, 10),))]
    assert fitting_scale(some, 1002) == 2.0
    assert fitting_scale(some, 5000) == 1.0
    assert working_set(some, 4, 2.0) == 3000


def test_messages_are_read_as_they_were_written() -> None:
    """A turn and a reply come back from their texts."""
    ask = Ask(1, 2, 3, "s", "t", 64, 2.5, 4, ((1, 2), (9, 1)), own=False)
    told = Told((1, 2), 3, 4, 5)
    assert Ask.from_text(ask.to_text()) == ask
    assert Told.from_text(told.to_text()) == told
    assert prompt_of([Message("system", Fixed("f", 7).to_text()), Message("user", ask.to_text())])[0][:1] == drawn(
        "f", 1
    )
    with pytest.raises(ValueError, match="user message"):
        prompt_of([])


def test_runs_of_a_prompt_need_not_be_consecutive() -> None:
    """Each block is at its place, whichever run it stands in."""
    ask = Ask(0, 12, 1, "s", "t", 4, 1.0, 0, (Run(3, 1), Run(8, 2)))
    assert new_tokens(ask, 0) == [*drawn("s/3", 4), *drawn("s/8", 4), *drawn("s/9", 4)]
