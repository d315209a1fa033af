"""The engine in time, step by step, with speeds that can be added up by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.engine import Engine, EngineModel, Request
from agentrt.kvcache.simulator.orders import Lru


def model(pool: int = 100, **given: float) -> EngineModel:
    """One second a prefill and one a token; half a second a decode step, and a quarter for each request in it."""
    plain = {"batch": 1.0, "token": 1.0, "pair": 0.0, "step": 0.5, "lane": 0.25, "chunk": 1000}
    return EngineModel(pool=pool, **(plain | given))


def request(engine: Engine, *path: tuple[str, int], output: int = 1, sent: float = 0.0) -> Request:
    name = path[-1][0]
    nodes = engine.pool.walk(path)
    reply = engine.pool.walk([*path, (f"{name} reply", output - 1)])[len(nodes) :]
    made = Request(name, nodes, reply, output, sent)
    engine.submit(made)
    return made


def run(engine: Engine, now: float = 0.0) -> list[tuple[float, list[str]]]:
    """Step until nothing is left to do: when each step ended and who was done with it."""
    seen = []
    while seconds := engine.step(now):
        now += seconds
        seen.append((now, [one.session for one in engine.finish(now)]))
    return seen


def test_one_request_is_prefilled_then_decoded() -> None:
    """Ten tokens: 11 s. The first token comes with that, two more take a step of 0.75 s each."""
    engine = Engine(model(), Lru())
    one = request(engine, ("a", 10), output=3)
    assert run(engine) == [(11.0, []), (11.75, []), (12.5, ["a"])]
    assert (one.first, one.began, one.found) == (11.0, 0.0, 0)
    assert engine.pool.used == 12  # the last token of a reply is never in the pool


def test_two_are_prefilled_together_and_decode_together() -> None:
    """One prefill of 15 tokens; then steps of 1 s for two, until one is done."""
    engine = Engine(model(), Lru())
    request(engine, ("a", 10), output=2)
    request(engine, ("b", 5), output=3)
    assert run(engine) == [(16.0, []), (17.0, ["a"]), (17.75, ["b"])]


def test_what_is_found_is_not_computed_but_the_last_token_is() -> None:
    """The same prompt again costs one token."""
    engine = Engine(model(), Lru())
    request(engine, ("a", 10))
    run(engine)
    again = request(engine, ("a", 10))
    assert run(engine, 20.0) == [(22.0, ["a"])]
    assert again.found == 10
    assert (engine.counts.prompt, engine.counts.hit, engine.counts.regenerated) == (20, 10, 0)


def test_a_long_prompt_is_computed_in_chunks_before_others() -> None:
    """Three chunks of 4, 4 and 2; the second request fills what is left of the third."""
    engine = Engine(model(chunk=4), Lru())
    request(engine, ("a", 10))
    request(engine, ("b", 2))
    assert run(engine) == [(5.0, []), (10.0, []), (15.0, ["a", "b"])]


def test_attention_costs_by_pairs() -> None:
    """Ten new tokens after ten known ones make 10 * (10 + 5) pairs."""
    assert model(pair=0.1).prefill([(10, 10)]) == pytest.approx(1 + 10 + 15)


def test_prefill_goes_before_decode() -> None:
    """A request that comes while another decodes is prefilled first."""
    engine = Engine(model(), Lru())
    request(engine, ("a", 10), output=3)
    now = engine.step(0.0)
    engine.finish(now)
    request(engine, ("b", 10))
    assert run(engine, now) == [(22.0, ["b"]), (22.75, []), (23.5, ["a"])]


def test_a_request_waits_for_room_and_so_do_those_behind_it() -> None:
    """b does not fit beside a; c would, but the queue is first come, first served."""
    engine = Engine(model(pool=20), Lru())
    for name, tokens in (("a", 10), ("b", 15), ("c", 2)):
        request(engine, (name, tokens))
    done = [name for _, names in run(engine) for name in names]
    assert done == ["a", "b", "c"]
    assert engine.pool.used <= 20


def test_regenerated_tokens_are_those_that_were_there_before() -> None:
    """a, b, a in a pool for one: a's ten tokens are computed twice."""
    engine = Engine(model(pool=15), Lru())
    for name in "aba":
        request(engine, (name, 10))
        run(engine)
    assert (engine.counts.hit, engine.counts.regenerated, engine.pool.evicted) == (0, 10, 20)


def test_replies_that_outgrow_the_pool_are_taken_back_and_still_end() -> None:
    """With nothing reserved for replies two are let in that do not both fit: one is retracted and goes on later."""
    engine = Engine(model(pool=24, reserve=0.0), Lru())
    request(engine, ("a", 10), output=10)
    request(engine, ("b", 5), output=10)
    done = [name for _, names in run(engine) for name in names]
    assert sorted(done) == ["a", "b"]
    assert engine.counts.retracted >= 1
    assert engine.pool.locked == 0


def test_a_request_larger_than_the_pool_is_refused() -> None:
    """It would wait for ever."""
    with pytest.raises(ConfigError, match="needs 21 tokens and the engine's pool has 20"):
        request(Engine(model(pool=20), Lru()), ("a", 20), output=2)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(1, 6)), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(1, 30),
)
def test_every_request_ends_whatever_the_pressure(
    requests: list[tuple[str, int, int]], reserve: float, chunk: int
) -> None:
    """All of them are answered, in a pool that is never overfull, and nothing stays locked."""
    engine = Engine(model(pool=20, reserve=reserve, chunk=chunk), Lru())
    for number, (head, tokens, output) in enumerate(requests):
        request(engine, (head, 3), (f"{head}{number}", tokens), output=output)
    now, done, steps = 0.0, 0, 0
    while seconds := engine.step(now):
        now += seconds
        done += len(engine.finish(now))
        steps += 1
        assert engine.pool.used <= engine.pool.size
        assert steps < 5000
    assert done == len(requests)
    assert engine.pool.locked == 0
