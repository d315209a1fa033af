"""What servers say when they refuse, in agentrt's words."""

from __future__ import annotations

import json

import pytest

from agentrt.errors import PromptTooLong, Refused
from agentrt.executors.failures import refusal

TOO_LONG = {
    "sglang, prompt": (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        "5000",
        "4096",
    ),
    "sglang, prompt and reply": (
        (
            "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
            "4200 tokens: 4000 tokens from the input messages and 200 tokens for the completion. Please reduce"
        ),
        "4000",
        "4096",
    ),
    "sglang, scheduler": (
        (
            "Input length (5000 tokens) exceeds the maximum allowed length (4090 tokens). Use a shorter input or "
            "enable --allow-auto-truncate."
        ),
        "5000",
        "4090",
    ),
    "openai": (
        (
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. "
            "Please reduce the length of the messages."
        ),
        "5000",
        "4096",
    ),
    "vllm": (
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (5000 in the "
            "messages, 100 in the completion). Please reduce the length of the messages or completion."
        ),
        "5000",
        "4096",
    ),
    "llama.cpp": (
        "the request exceeds the available context size (4096 tokens), try increasing it",
        "more",
        "4096",
    ),
}


@pytest.mark.parametrize("case", TOO_LONG)
def test_prompts_that_do_not_fit(case: str) -> None:
    """Each server's wording gives the prompt's length and the limit, with a way out."""
    said, length, limit = TOO_LONG[case]
    error = refusal("the server", 400, json.dumps({"error": {"message": said, "code": 400}}))
    assert isinstance(error, PromptTooLong)
    assert f"{length} tokens, the model takes {limit}." in str(error)
    assert "shorter" in str(error)


def test_the_code_alone_is_enough() -> None:
    """OpenAI's code tells a long prompt even when the words do not."""
    body = {"error": {"message": "Your input is too much.", "code": "context_length_exceeded"}}
    error = refusal("the server", 400, json.dumps(body))
    assert isinstance(error, PromptTooLong)
    assert "Your input is too much." in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "no such model", "type": "x"}}', "no such model"),
        ('{"object": "error", "message": "no such model", "code": 404}', "no such model"),
        ('{"error": "no such model"}', "no such model"),
        ('{"detail": [{"msg": "field required"}]}', "field required"),
        ("<html>Bad\n Gateway</html>", "a web page; is it a model server's address? It says: Bad Gateway"),
        ('{"error": {"error": null}}', "null"),
        (b"\xff\xfe", "\ufffd"),
        ("", "no message"),
        ("x" * 10_000, "x" * 500),
    ],
)
def test_the_servers_words(body: str | bytes, said: str) -> None:
    """The message is found in every usual shape, and cut when it is a page."""
    error = refusal("the server", 404, body)
    assert isinstance(error, Refused)
    assert error.status == 404
    assert said in str(error)
    assert len(str(error)) < 700
