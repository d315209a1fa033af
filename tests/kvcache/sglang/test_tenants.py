"""Tenants apart: whose hints act on what, and who is shown it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kvcache.sglang.conftest import ADMIN_KEY, LONG, POOL, Hinted, about

pytestmark = pytest.mark.engine

OURS, THEIRS = "salt-5d1c0f92", "salt-b7e3aa41"


def test_a_hint_holds_its_own_tenants_context_alone(hinted: Hinted) -> None:
    """One prompt under one session name in two tenants: the hint of the one keeps its copy, not the other's."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    for salt in (OURS, THEIRS):
        hinted.ask(prompt, session, cache_salt=salt)
    hinted.hint(about(session, tenant=OURS, steps=1))
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt, session, cache_salt=OURS).device >= LONG - 1
    assert hinted.ask(prompt, session, cache_salt=THEIRS).device < 50


def test_a_tenant_cannot_end_anothers_context(hinted: Hinted) -> None:
    """Ending a session under one's own tenant, by batch or on a request, leaves the other tenant's of that name."""
    prompt, session = hinted.prompt(LONG), hinted.session()
    hinted.ask(prompt, session, cache_salt=OURS)
    hinted.hint(about(session, tenant=OURS, steps=1))
    end = about(session, generation=9, tenant=OURS, ended=True).to_wire()
    actions = [{"action_id": "1", "action_type": "agentrt.hint", "action_version": "1", "payload": end}]
    forged = {"protocol_version": "1", "message_id": "m", "actions": actions}
    hinted.ask(hinted.prompt(10), session, cache_salt=THEIRS, kv_hints=forged)
    hinted.hint(about(session, generation=9, tenant=THEIRS, ended=True), about(session, generation=9, ended=True))
    hinted.flood(2 * POOL)
    assert hinted.ask(prompt, session, cache_salt=OURS).device >= LONG - 1


def test_a_tenant_sees_its_own_sessions_alone(hinted: Hinted) -> None:
    """The state names the sessions of the tenant whose salt is given; the admin sees all, and nobody a salt."""
    ours, theirs = hinted.session(), hinted.session()
    hinted.hint(about(ours, tenant=OURS), about(theirs, tenant=THEIRS))
    seen = {salt: str(hinted.state(salt)) for salt in (OURS, THEIRS, "", "guess")}
    assert [ours in seen[OURS], theirs in seen[OURS], theirs in seen[THEIRS], ours in seen[THEIRS]] == [
        True,
        False,
        True,
        False,
    ]
    assert not any(name in seen[salt] for name in (ours, theirs) for salt in ("", "guess"))
    whole = hinted.http.get("/agentrt/kv/all", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    assert whole.status_code == 200
    assert ours in whole.text
    assert theirs in whole.text
    assert not any(salt in text for salt in (OURS, THEIRS) for text in (*seen.values(), whole.text))


def test_salts_are_neither_echoed_nor_logged(hinted: Hinted) -> None:
    """Neither an answer to a malformed hint nor the engine's log repeats a salt."""
    wire = {"protocol": 1, "hints": [{"generation": 1, "tenant": OURS}]}
    reply = hinted.http.post("/agentrt/hints", json=wire)
    assert reply.status_code == 400
    assert OURS not in reply.text
    hinted.ask(
        hinted.prompt(10),
        cache_salt=OURS,
        kv_hints={
            "protocol_version": "1",
            "message_id": "m",
            "actions": [
                {"action_id": "1", "action_type": "agentrt.hint", "action_version": "1", "payload": {"tenant": OURS}}
            ],
        },
    )
    assert OURS not in Path(hinted.engine.info.log).read_text()
