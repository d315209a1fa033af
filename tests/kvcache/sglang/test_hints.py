"""Hints over HTTP on a real engine with two KV tiers: what they keep, what they let go, what they fetch."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kvcache.sglang.conftest import LONG, POOL, Hinted, about

pytestmark = pytest.mark.engine


def action(payload: dict[str, Any]) -> dict[str, Any]:
    return {"action_id": "1", "action_type": "agentrt.hint", "action_version": "1", "payload": payload}


def envelope(*payloads: dict[str, Any]) -> dict[str, Any]:
    return {"protocol_version": "1", "message_id": "m", "actions": [action(one) for one in payloads]}


def valid(state: dict[str, Any], session: str) -> bool:
    """Whether the ledger still holds a valid hint on ``session``."""
    return any(one["subject"][1] == session and one["class"] == "hinted" for one in state["subjects"])


def test_a_hinted_prefix_survives_a_flood(hinted: Hinted) -> None:
    """A flood of twice the pool evicts what nobody hinted and leaves the context that is needed again."""
    kept, dropped = hinted.prompt(LONG), hinted.prompt(LONG)
    session = hinted.session()
    hinted.ask(kept, session)
    hinted.ask(dropped, hinted.session())
    assert hinted.hint(about(session, steps=1)) == [{"accepted": 1, "ignored": 0, "clipped": 0}]
    hinted.flood(2 * POOL)
    assert hinted.ask(kept, session).device >= LONG - 1
    assert hinted.ask(dropped).device < 50


def test_a_hint_may_come_before_its_context(hinted: Hinted) -> None:
    """A session that is hinted before its first request is kept all the same."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    hinted.hint(about(session, steps=1))
    hinted.ask(prompt, session)
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt, session).device >= LONG - 1


def test_an_ended_context_goes_first(hinted: Hinted) -> None:
    """A context that never comes back makes room before an older one that nobody spoke of."""
    older, ended = hinted.prompt(LONG), hinted.prompt(LONG)
    session = hinted.session()
    hinted.ask(older)
    hinted.ask(ended, session)
    hinted.hint(about(session, ended=True))
    hinted.flood(POOL - LONG)
    assert hinted.ask(older).device >= LONG - 1
    assert hinted.ask(ended).device < 50


def test_an_expired_hint_loses_its_privilege(hinted: Hinted) -> None:
    """After its time a hint holds nothing, with no request or hint in between."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    hinted.ask(prompt, session)
    expired = hinted.state()["counts"]["expired"]
    hinted.hint(about(session, steps=1, keep=0.5))
    hinted.until(lambda state: state["counts"]["expired"] == expired + 1)
    assert not valid(hinted.state(), session)
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt).device < 50


def test_a_prefetched_context_answers_from_the_device(hinted: Hinted) -> None:
    """What was evicted to the host is back on the device before its request comes, when a hint asks for it."""
    first, second = hinted.prompt(LONG), hinted.prompt(LONG)
    session = hinted.session()
    hinted.ask(first, session)
    hinted.ask(second)
    hinted.flood(2 * POOL)
    fetched = hinted.state()["counts"]["prefetched"]
    hinted.hint(about(session, steps=1, prefetch=True))
    hinted.until(lambda state: state["counts"]["prefetched"] >= fetched + LONG - 1)
    reused, plain = hinted.ask(first, session), hinted.ask(second)
    assert (reused.device, reused.host) >= (LONG - 1, 0)
    assert reused.host == 0
    assert plain.host >= LONG - 1


def test_the_engine_tells_how_full_it_is(hinted: Hinted) -> None:
    """Prompts and what of them was cached are counted, and each tier is told part by part, up to its size."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    before = hinted.state()["counts"]
    hinted.ask(prompt, session)
    hinted.hint(about(session, steps=1))
    hinted.ask(prompt, session)
    state = hinted.state()
    assert state["counts"]["prompt"] - before["prompt"] == 2 * LONG
    assert state["counts"]["cached"] - before["cached"] == LONG - 1
    assert sum(state["tiers"]["device"].values()) == state["pool"] == POOL
    assert sum(state["tiers"]["host"].values()) == state["host"]
    assert state["tiers"]["device"]["kept"] >= LONG - 1
    assert state["tiers"]["device"]["locked"] == 0
    assert state["requests"] == {"running": 0, "queued": 0}
    assert 0 < state["took"] < 0.1


def test_a_watcher_asks_for_its_own_programs_alone(hinted: Hinted) -> None:
    """With programs in the query only their sessions and prompts are shown; without, all of the tenant."""
    hinted.hint(about("run-1/a~1"), about("run-2/a~1"), about("run-10/a~1"))
    for programs, shown in ((["run-1"], ["run-1/a~1"]), (["run-2", "run-10"], ["run-2/a~1", "run-10/a~1"])):
        reply = hinted.http.get("/agentrt/kv", params=[("program", one) for one in programs])
        assert [one["subject"][1] for one in reply.json()["schedulers"][0]["subjects"]] == shown
    assert {"run-1/a~1", "run-2/a~1", "run-10/a~1"} <= {one["subject"][1] for one in hinted.state()["subjects"]}


def test_the_newer_generation_wins(hinted: Hinted) -> None:
    """A hint that arrives after its successor changes nothing."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    hinted.ask(prompt, session)
    hinted.hint(about(session, generation=7, steps=1))
    [tally] = hinted.hint(about(session, generation=6, ended=True))
    assert (tally["accepted"], tally["ignored"]) == (0, 1)
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt, session).device >= LONG - 1


def test_hints_ride_on_requests(hinted: Hinted) -> None:
    """The envelope of a request holds its context as a batch would; what is malformed or not ours harms nothing."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    ignored = hinted.state()["counts"]["ignored"]
    hints = envelope(about(session, steps=1).to_wire(), {"bogus": True})
    hints["actions"].append({"action_id": "2", "action_type": "other.pin", "action_version": "9", "payload": {}})
    hinted.ask(prompt, session, kv_hints=hints)
    assert valid(hinted.state(), session)
    assert hinted.state()["counts"]["ignored"] == ignored + 1
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt, session).device >= LONG - 1


def test_the_engine_says_what_it_can(hinted: Hinted) -> None:
    """The probe tells protocol, tiers and budget."""
    told = hinted.http.get("/agentrt/capability").json()
    assert (told["protocol"], told["pool"], told["prefetch"], told["salt"]) == (1, POOL, True, True)
    assert told["host"] >= 4 * POOL
    assert 0 < told["budget"] <= 1


def test_the_way_in_asks_for_the_key(hinted: Hinted) -> None:
    """Without the server's key nothing is hinted, seen or told; without the admin's nobody sees every tenant."""
    with httpx.Client(base_url=hinted.engine.url, trust_env=False) as stranger:
        answers = [
            stranger.post("/agentrt/hints", json={"protocol": 1, "hints": []}),
            stranger.get("/agentrt/kv"),
            stranger.get("/agentrt/capability"),
        ]
    answers.append(hinted.http.get("/agentrt/kv/all"))
    assert [one.status_code for one in answers] == [401] * 4


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        (b"[]", 400, '{"protocol": 1, "hints": [...]}'),
        (b'{"protocol": 2, "hints": []}', 400, "protocol 2"),
        (b'{"protocol": 1, "hints": [{"subject": ["session", "a"]}]}', 400, "'generation'"),
        (b'{"protocol": 1, "hints": [{"subject": ["cat", "a"], "generation": 1}]}', 400, "subject = ['cat', 'a']"),
        (b'{"protocol": 1, "hints": [{"subject": ["session", "a"], "generation": 1, "keep": NaN}]}', 400, "keep = nan"),
        (b" " * (8 << 20) + b"{}", 413, "send several"),
    ],
)
def test_malformed_batches_are_refused_by_name(hinted: Hinted, body: bytes, status: int, said: str) -> None:
    """A batch that cannot be read is refused as a whole, and the answer says what is wrong with it."""
    accepted = hinted.state()["counts"]["accepted"]
    reply = hinted.http.post("/agentrt/hints", content=body)
    assert (reply.status_code, said in reply.json()["error"]) == (status, True), reply.text
    assert hinted.state()["counts"]["accepted"] == accepted


def test_what_hints_did_is_on_metrics(hinted: Hinted) -> None:
    """Prometheus counts hints by outcome and evicted tokens by class, and shows what is protected now."""
    session = hinted.session()
    hinted.ask(hinted.prompt(LONG), session)
    hinted.hint(about(session, steps=1), about(session, steps=1))
    hinted.flood(2 * POOL)

    def exported(state: dict[str, Any]) -> bool:
        counts, hints = state["counts"], "agentrt_kv_hints_total"
        outcomes = ("accepted", "ignored", "clipped", "expired")
        return (
            all(hinted.counted(hints, outcome=one) == counts[one] for one in outcomes)
            and hinted.counted("agentrt_kv_evicted_tokens_total") == sum_of(counts["evicted"])
            and hinted.counted("agentrt_kv_protected_tokens") == counts["protected"]
        )

    hinted.until(exported)
    assert hinted.counted("agentrt_kv_protected_tokens") >= LONG
    assert hinted.counted("agentrt_kv_evicted_tokens_total", tier="device", **{"class": "unhinted"}) > POOL


def sum_of(evicted: dict[str, dict[str, int]]) -> int:
    return sum(sum(classes.values()) for classes in evicted.values())
