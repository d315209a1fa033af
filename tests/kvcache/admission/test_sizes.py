"""What is known of a turn before it runs: its chain of prefixes and its likely size."""

from __future__ import annotations

from agentrt.kvcache.admission import Chains, Sizes
from agentrt.types import Message, ModelReply, ModelRequest, ToolCall, ToolSpec, Usage

SYSTEM = Message("system", "You are terse.")
SEARCH = ToolSpec("search", "Find.", {"type": "object"})


def request(
    *messages: Message, tools: tuple[ToolSpec, ...] = (), tenant: str = "", session: str | None = None
) -> ModelRequest:
    return ModelRequest(messages, tools=tools, tenant=tenant, session=session)


def test_prompts_share_a_chain_as_far_as_their_messages_agree() -> None:
    """Two prompts with one system message have one link in common, sized in characters; the next ones differ."""
    chains = Chains()
    one = chains.of(request(SYSTEM, Message("user", "left")))
    two = chains.of(request(Message("system", "You are terse."), Message("user", "right!")))
    assert one[0] == two[0]
    assert one[1].key != two[1].key
    assert [link.size for link in two] == [14, 20]


def test_tools_and_tenants_keep_chains_apart() -> None:
    """The same messages with other tools, or for another tenant, are another prompt from the start."""
    chains = Chains()
    found = [
        chains.of(request(SYSTEM)),
        chains.of(request(SYSTEM, tools=(SEARCH,))),
        chains.of(request(SYSTEM, tenant="other")),
    ]
    assert len({links[0].key for links in found}) == 3
    assert found[1][0].size > found[0][0].size


def test_a_growing_session_has_the_chain_of_the_whole_prompt() -> None:
    """What a session's chain is after several turns, and after its history was replaced, is what a fresh one gives."""
    kept = Chains()
    first, answer, next_ = Message("user", "go"), Message("assistant", "ok"), Message("user", "on")
    for messages in ((SYSTEM, first), (SYSTEM, first, answer, next_), (SYSTEM, next_), (SYSTEM, next_, answer)):
        assert kept.of(request(*messages, session="s")) == Chains().of(request(*messages))
    kept.forget("s")
    assert kept.of(request(SYSTEM, session="s")) == Chains().of(request(SYSTEM))


def test_calls_of_tools_are_part_of_the_chain() -> None:
    """Two assistant messages that differ in their tool calls alone give different chains and sizes."""
    chains = Chains()
    plain = chains.of(request(Message("assistant", "")))
    called = chains.of(request(Message("assistant", "", (ToolCall("1", "search", "{}"),))))
    assert plain[0].key != called[0].key
    assert called[0].size == len("search{}")


def test_tokens_are_learned_from_what_servers_report() -> None:
    """After a turn of 100 characters and 50 tokens, text is taken to have half a token a character."""
    sizes = Sizes()
    assert sizes.tokens(100) == 30
    assert sizes.learn("s", "agent", 100, ModelReply("12345678", usage=Usage(50, 0, 10))) == 60
    assert sizes.tokens(100) == 50


def test_a_session_grows_from_what_it_is_known_to_have() -> None:
    """The next prompt is what the last turn left, and the characters that are new."""
    sizes = Sizes()
    sizes.learn("s", "agent", 100, ModelReply("12345678", usage=Usage(50, 0, 10)))
    assert sizes.prompt("s", 100 + 8 + 20) == 60 + 10
    assert sizes.prompt("other", 100) == 50
    sizes.forget("s")
    assert sizes.prompt("s", 100) == 50


def test_replies_are_expected_to_be_as_long_as_the_agents_others() -> None:
    """An agent's usual reply, bounded by what it may say; a server that reports nothing teaches nothing."""
    sizes = Sizes()
    assert sizes.reply("agent", 16) == 16
    assert sizes.learn("s", "agent", 100, ModelReply("text")) is None
    sizes.learn("s", "agent", 100, ModelReply("text", usage=Usage(50, 0, 10)))
    assert sizes.reply("agent") == 10
    assert sizes.reply("agent", 4) == 4
