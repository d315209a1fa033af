"""What may be cached, and what has to be equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentrt.semcache.request import exact_key, fingerprint, objection, question, shelf_of
from agentrt.types import CacheControl, Message, ModelRequest, Sampling, ToolCall, ToolSpec

SYSTEM = Message("system", "You are brief.")
PLAIN = ModelRequest((SYSTEM, Message("user", "How old do otters get?")))
TOOL = ToolSpec("search", "finds", {"type": "object"})


def asks(**changed: Any) -> ModelRequest:
    return replace(PLAIN, **changed)


def exact(request: ModelRequest) -> str:
    return exact_key(request, fingerprint(request, "m"))


OTHERS = {
    "system prompt": asks(messages=(Message("system", "You are long."), PLAIN.messages[1])),
    "no system prompt": asks(messages=PLAIN.messages[1:]),
    "history": asks(messages=(SYSTEM, Message("user", "Hi."), Message("assistant", "Hello."), PLAIN.messages[1])),
    "tools": asks(tools=(TOOL,)),
    "another tool": asks(tools=(replace(TOOL, description="looks"),)),
    "tool choice": asks(tools=(TOOL,), tool_choice="required"),
    "schema": asks(schema={"type": "object"}),
    "another schema": asks(schema={"type": "array"}),
    "longer": asks(sampling=Sampling(max_tokens=7)),
    "seed": asks(sampling=Sampling(seed=7)),
    "temperature": asks(sampling=Sampling(temperature=0.0)),
    "stop": asks(sampling=Sampling(stop=("\n",))),
}


def test_requests_that_differ_in_more_than_the_question_never_share_a_shelf() -> None:
    """Each difference makes a fingerprint of its own, and so does another model."""
    found = [fingerprint(one, "m") for one in (PLAIN, *OTHERS.values())] + [fingerprint(PLAIN, "n")]
    assert len(set(found)) == len(found)


def test_who_asks_and_how_urgently_makes_no_difference() -> None:
    """Agent, run, step, session and priority change no answer."""
    same = asks(agent="a", run="r", step="s", session="x", priority=3, cache=CacheControl(category="faq"))
    assert exact(same) == exact(PLAIN)
    assert fingerprint(same, "m") == fingerprint(PLAIN, "m")


def test_another_question_is_another_request_of_the_same_fingerprint() -> None:
    """That is what nearness is asked for."""
    other = asks(messages=(SYSTEM, Message("user", "How long do otters live?")))
    assert fingerprint(other, "m") == fingerprint(PLAIN, "m")
    assert exact(other) != exact(PLAIN)
    assert (question(other), question(PLAIN)) == ("How long do otters live?", "How old do otters get?")


def test_a_last_message_that_asks_nothing_is_no_question() -> None:
    """The result of a tool, or an empty message; and its shelf is not that of questions."""
    called = Message("assistant", "", (ToolCall("1", "search", "{}"),))
    ends = asks(messages=(*PLAIN.messages, called, Message("tool", "otters: 20 years", tool_call_id="1")))
    assert (
        question(ends) == question(asks(messages=(SYSTEM, Message("user", " ")))) == question(asks(messages=())) == ""
    )
    assert fingerprint(asks(messages=(SYSTEM, Message("user", ""))), "m") != fingerprint(PLAIN, "m")


@pytest.mark.parametrize(
    ("request_", "because"),
    [
        (asks(tools=(TOOL,)), "tool"),
        (OTHERS["history"], "said before"),
        (asks(sampling=Sampling(temperature=0.7)), "temperature of 0.7"),
        (asks(cache=CacheControl(read=False, write=False)), "asked not to"),
    ],
)
def test_state_and_chance_are_not_cached_unasked(request_: ModelRequest, because: str) -> None:
    """The reason is said in words."""
    assert because in objection(request_)


def test_what_is_asked_for_is_cached() -> None:
    """Plain questions are; state and temperatures when the program, or the category, says so."""
    assert objection(PLAIN) == objection(asks(sampling=Sampling(temperature=0.0))) == ""
    assert objection(asks(tools=(TOOL,), cache=CacheControl(state=True))) == ""
    assert objection(asks(sampling=Sampling(temperature=0.7)), sampled=True) == ""


def test_scopes_keep_owners_apart_and_do_not_name_them() -> None:
    """No two owners share a shelf, however their names are put together; a name cannot be read off it."""
    owners = [("acme", ""), ("acme", "bob"), ("acme/bob", ""), ("", "acme/bob"), ("", "")]
    made = [asks(tenant=tenant, cache=CacheControl(user=user)) for tenant, user in owners]
    users = [shelf_of(one, "m", "faq", "user") for one in made]
    assert len(set(users)) == len(owners)
    tenants = {shelf_of(one, "m", "faq", "tenant") for one in made}
    assert len(tenants) == 3
    assert len({shelf_of(one, "m", "faq", "global") for one in made}) == 1
    assert not any("acme" in shelf.scope or "bob" in shelf.scope for shelf in [*users, *tenants])
