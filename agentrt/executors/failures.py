"""Turns what went wrong on the wire into agentrt's errors: the only place that does so for HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentrt.errors import AgentrtError, ConfigError, PromptTooLong, Refused, Unreachable

KEY_VARIABLE = "AGENTRT_API_KEY"
"""The environment variable that holds the server's API key."""

_TOO_LONG = re.compile(
    r"longer than the model's context length"  # SGLang, prompt alone
    r"|exceeds the (?:model's )?maximum (?:context|allowed) length"  # SGLang, prompt with the reply asked for
    r"|exceeds the KV memory budget"  # SGLang, prompt larger than its cache
    r"|maximum context length is|maximum model length"  # OpenAI, vLLM
    r"|context_length_exceeded|exceed_context_size|exceeds the available context size",  # codes; llama.cpp
    re.IGNORECASE,
)
_LIMIT = re.compile(r"(?:context|allowed|model) length\D{0,12}?(\d+)|available context size \((\d+)", re.IGNORECASE)
_LENGTHS = (
    re.compile(r"\((\d+) tokens\) (?:is longer|exceeds)", re.IGNORECASE),
    re.compile(r"(\d+) tokens from the input", re.IGNORECASE),
    re.compile(r"\((\d+) in the messages", re.IGNORECASE),
    re.compile(r"(?:resulted in|requested|contains at least|request) \(?(\d+)(?: input)? tokens", re.IGNORECASE),
    re.compile(r"input_len=(\d+)"),
)


def refusal(name: str, status: int, body: bytes | str) -> AgentrtError:
    """The error for an answer with an HTTP error status: ``Refused``, or ``PromptTooLong`` where it says so."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    said = server_message(text)
    if status in {400, 413, 422, 500} and _TOO_LONG.search(f"{said} {text[:4000]}"):
        return too_long(name, said)
    if status in {401, 403}:
        advice = f"give the server's key with api_key=... or in {KEY_VARIABLE}"
        return Refused(f"{name} refused the request ({status}: {said}); {advice}", status=status)
    if status in {404, 405, 501} and text.lstrip()[:9].lower().startswith(("<!doctype", "<html")):
        page = _cut_page(text)
        return Refused(
            f"{name} answered {status} with a web page; is it a model server's address? {page}", status=status
        )
    return Refused(f"{name} refused the request ({status}: {said})", status=status)


def _cut_page(text: str) -> str:
    return "It says: " + " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL).split())[:120]


def server_message(text: str) -> str:
    """The server's own words in an error body: JSON in any of the usual shapes, or plain text, cut to a line."""
    try:
        said = _inner_message(json.loads(text))
    except ValueError:
        said = text
    line = " ".join(said.split())
    return line[:500] or "no message"


def _inner_message(value: Any) -> str:
    while isinstance(value, dict):
        value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), json.dumps(value))
    return value if isinstance(value, str) else json.dumps(value)


def too_long(name: str, said: str) -> PromptTooLong:
    """The error for a prompt that does not fit, with its length and the limit where the server told them."""
    length = next((int(m.group(1)) for p in _LENGTHS if (m := p.search(said))), None)
    limit = next((int(n) for m in _LIMIT.finditer(said) for n in m.groups() if n), None)
    sizes = f"{length or 'more'} tokens, the model takes {limit}" if limit else said
    both = " and the reply asked for do" if length and limit and length < limit else " does"
    return PromptTooLong(
        f"the prompt{both} not fit the context of {name}: {sizes}. Send fewer or shorter messages, ask for a "
        "shorter reply (max_tokens), or start the engine with a longer context"
    )


@contextmanager
def translated(name: str, url: str, timeout: float) -> Iterator[None]:
    """Inside, httpx's errors become ``Unreachable`` (or ``ConfigError`` for an impossible address)."""
    import httpx

    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ConfigError(f"{url!r} is no address of a server: {error}; write http://host:port") from error
    except httpx.ConnectTimeout as error:
        raise Unreachable(f"{name} at {url} takes no connection; is it running? {_WAY_OUT}") from error
    except httpx.ConnectError as error:
        raise Unreachable(f"cannot reach {name} at {url}: {_reason(error)}; {_WAY_OUT}") from error
    except httpx.TimeoutException as error:
        raise Unreachable(
            f"{name} at {url} sent nothing for {timeout:g} s; raise timeout=... if it is only slow"
        ) from error
    except httpx.TransportError as error:
        raise broken(name, url, _reason(error)) from error


_WAY_OUT = "start it (agentrt engine up) or check the address"


def broken(name: str, url: str, what: str) -> Unreachable:
    """The error for an answer that began and did not end as it should."""
    return Unreachable(f"the answer of {name} at {url} broke off: {what}; try again, or look at the server's log")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
