"""What of a model turn may be cached, and what has to be equal for an answer to be given again."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

from agentrt.semcache.base import Shelf
from agentrt.types import Message, ModelRequest, Scope

_SIZE = 16
"""Bytes of a hash."""


def objection(request: ModelRequest, *, sampled: bool = False) -> str:
    """Why the answer to this turn may not come from the cache, or go into it; empty when it may.

    ``sampled`` allows a temperature above 0, which asks for another answer each time.
    """
    control, temperature = request.cache, request.sampling.temperature
    if not control.read and not control.write:
        return "it was asked not to"
    if temperature and not sampled:
        return f"a temperature of {temperature:g} asks for another answer each time"
    if control.state:
        return ""
    if request.tools:
        return "what a tool does changes"
    if any(message.role in ("assistant", "tool") for message in request.messages):
        return "it goes on from what was said before"
    return ""


def exact_key(request: ModelRequest, fingerprint: str) -> str:
    """The same for requests to which a model may give the same answer: all of it but who asks, and how urgent it is."""
    return _hash([fingerprint, [asdict(message) for message in request.messages[-1:]]])


def fingerprint(request: ModelRequest, model: str) -> str:
    """The same for requests that differ in the question at most (vLLM semantic router's compatibility fingerprint)."""
    return _hash(_whole(request, model, request.messages[:-1]) | {"asks": question(request) != ""})


def question(request: ModelRequest) -> str:
    """What is asked: the last message, if a user said it; else empty, and only equal requests count."""
    last = request.messages[-1] if request.messages else None
    return last.content.strip() if last is not None and last.role == "user" else ""


def shelf_of(request: ModelRequest, model: str, category: str, scope: Scope) -> Shelf:
    """Where its answer lies. Tenants and users stand there as hashes: a tenant's name is as good as a key.

    Without a user, what is a user's lies with the tenant's unnamed one.
    """
    whose = {"global": [], "tenant": [request.tenant], "user": [request.tenant, request.cache.user]}[scope]
    return Shelf(f"{scope}:{_hash(whose)}" if whose else scope, category, fingerprint(request, model))


def _whole(request: ModelRequest, model: str, messages: tuple[Message, ...]) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [asdict(message) for message in messages],
        "tools": [asdict(tool) for tool in request.tools],
        "tool_choice": request.tool_choice if request.tools else "",
        "parallel_tools": request.parallel_tools if request.tools else True,
        "schema": request.schema,
        "sampling": asdict(request.sampling),
    }


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return blake2b(text.encode(), digest_size=_SIZE).hexdigest()


def _plain(value: Any) -> Any:
    """Schemas may be any mapping, and hold any sequence."""
    return dict(value) if hasattr(value, "keys") else list(value)
