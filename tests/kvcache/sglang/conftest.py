"""An engine that takes hints, small enough to be under pressure: 1,500 tokens on the device, 6,000 on the host."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest

from agentrt.engine import Engine, EngineSpec
from agentrt.kvcache.hints import Hint, Subject, batch_to_wire
from agentrt.testing.engine import real_engine

POOL = 1500
LONG = 350
"""Tokens of a context."""

FRESH = count(1)
ADMIN_KEY = "the-admin-key-of-this-test"


@dataclass(frozen=True)
class Reused:
    """Where the prompt's tokens were when its request came: tokens per tier."""

    device: int
    host: int


class Hinted:
    """A client of a hinted engine; every prompt and session it makes is new."""

    def __init__(self, engine: Engine, http: httpx.Client) -> None:
        self.engine, self.http = engine, http

    def prompt(self, tokens: int) -> list[int]:
        return random.Random(next(FRESH)).choices(range(300, 40000), k=tokens)

    def session(self) -> str:
        return f"session-{next(FRESH):06}"

    def ask(self, prompt: Sequence[int], session: str | None = None, **fields: Any) -> Reused:
        """Answer a prompt with one token."""
        body = {"input_ids": list(prompt), "sampling_params": {"temperature": 0, "max_new_tokens": 1}, **fields}
        if session is not None:
            body["session_id"] = session
        reply = self.http.post("/generate", json=body)
        assert reply.status_code == 200, reply.text
        details = reply.json()["meta_info"].get("cached_tokens_details") or {}
        return Reused(int(details.get("device", 0)), int(details.get("host", 0)))

    def flood(self, tokens: int) -> None:
        """Fill the pool with ``tokens`` tokens of prompts that never come back."""
        while tokens > 0:
            self.ask(self.prompt(min(tokens, 300)))
            tokens -= 300

    def hint(self, *hints: Hint) -> list[dict[str, int]]:
        """Send a batch; the tally of each scheduler."""
        reply = self.http.post("/agentrt/hints", json=batch_to_wire(hints))
        assert reply.status_code == 200, reply.text
        return list(reply.json()["schedulers"])

    def state(self, tenant: str = "") -> dict[str, Any]:
        """The first scheduler's ledger, as ``tenant`` may see it."""
        reply = self.http.get("/agentrt/kv", headers={"x-agentrt-tenant": tenant} if tenant else {})
        assert reply.status_code == 200, reply.text
        return dict(reply.json()["schedulers"][0])

    def until(self, holds: Callable[[dict[str, Any]], bool], tenant: str = "", patience: float = 20.0) -> None:
        """Look at the state until ``holds`` is true of it."""
        end = time.monotonic() + patience
        while not holds(state := self.state(tenant)):
            assert time.monotonic() < end, state

    def metrics(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Our metrics: name, labels, value."""
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith("agentrt_"):
                named, value = line.rsplit(" ", 1)
                yield named.split("{")[0], dict(re.findall(r'(\w+)="([^"]*)"', named)), float(value)

    def counted(self, name: str, **labels: str) -> float:
        """One of our metrics, summed over what ``labels`` leaves open."""
        return sum(value for found, told, value in self.metrics() if found == name and labels.items() <= told.items())

    def flush(self) -> None:
        """Empty both tiers."""
        key = {"authorization": f"Bearer {ADMIN_KEY}"}
        assert self.http.post("/flush_cache", headers=key).status_code == 200


def about(session: str, generation: int = 1, **fields: Any) -> Hint:
    """A hint on a session."""
    return Hint(subject=Subject("session", session), generation=generation, **fields)


def client_of(engine: Engine) -> httpx.Client:
    """A client with the engine's key."""
    key = {"authorization": f"Bearer {engine.api_key}"}
    return httpx.Client(base_url=engine.url, headers=key, timeout=120.0, trust_env=False)


@pytest.fixture(scope="package")
def hinted_engine() -> Iterator[Engine]:
    extra = {"enable_metrics": True, "admin_api_key": ADMIN_KEY}
    spec = EngineSpec(device="cpu", max_total_tokens=POOL, host_tier_ratio=4.0, extra=extra)
    with real_engine(spec) as engine:
        yield engine


@pytest.fixture
def hinted(hinted_engine: Engine) -> Iterator[Hinted]:
    """The engine with both tiers empty, and a client for it."""
    with client_of(hinted_engine) as http:
        client = Hinted(hinted_engine, http)
        client.flush()
        yield client
