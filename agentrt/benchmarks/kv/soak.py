"""Random hints, aborts and cancels at full load on one engine of ours: nothing may wedge, leak or be left behind.

Workers take turns in growing sessions and give some of them up half-way. Meanwhile others send hints: on sessions that
live, have ended or never were; late, absurd, huge and malformed ones. From time to time everything pauses, so that
SGLang's own checks, which run when it is idle, see the pool. In the end the engine must answer, have said nothing of a
leak, and give its whole pool to one prompt.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from agentrt.benchmarks.kv.contestants import Engine as Kind
from agentrt.benchmarks.kv.engines import Served, Setting, served
from agentrt.benchmarks.kv.texts import text
from agentrt.engine import DEFAULT_MODEL
from agentrt.executors.hinting import HINTS
from agentrt.kvcache.hints import MAX_BATCH, PROTOCOL

POOL: Final = 4000
HOST: Final = 1.5
WORKERS: Final = 12
HINTERS: Final = 3
LONGEST: Final = 900
"""Tokens at which a session ends."""
BUSY_S: Final = 25.0
"""Seconds between pauses."""
PAUSE_S: Final = 1.0
GIVE_UP: Final = 0.25
"""Share of the turns that are given up before their end."""
MARGIN: Final = 64
"""Tokens of the pool that the last prompt leaves for its reply and for rounding."""
LEAKS: Final = ("leak", "sanity", "Traceback (most recent call last)")
"""What a log must not say."""


@dataclass
class Tally:
    """What was done, and what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str) -> None:
        """Note a fault, the first few of a kind."""
        self.counts["faults"] += 1
        if len(self.faults) < 20:
            self.faults.append(what)


def soak_command(seconds: float, seed: int, *, as_json: bool, note: Callable[[str], None]) -> int:
    """Start the engine, soak it and print what came of it; 0 if there was no fault."""
    setting = Setting("cpu", DEFAULT_MODEL, 2 * POOL, POOL)
    with served([Kind("agentrt", tiers=2)], setting, POOL, HOST, note) as engines:
        [server] = engines.values()
        tally = asyncio.run(soak(server, seconds, random.Random(seed)))  # noqa: S311 - faults, not secrets
        counters = server.counters()
    ours = {name: value for name, value in counters.items() if "agentrt" in name}
    found = {"seconds": seconds, "counts": dict(tally.counts), "faults": tally.faults, "counters": ours}
    print(json.dumps(found, indent=2) if as_json else _as_text(found))
    return int(bool(tally.faults))


def _as_text(found: dict[str, Any]) -> str:
    lines = [f"{found['seconds']:g} s of random hints, aborts and cancels at full load"]
    for part in ("counts", "counters"):
        lines += [f"  {name:<60}{value:>12,.0f}" for name, value in sorted(found[part].items())]
    verdicts = [f"FAULT {one}" for one in found["faults"]]
    return "\n".join([*lines, *(verdicts or ["no fault: it answers, nothing leaked, the whole pool is free"])])


async def soak(server: Served, seconds: float, draw: random.Random) -> Tally:
    """Load the engine for so long, then look at what is left of it."""
    tally = Tally()
    started = await asyncio.to_thread(_log_of, server)
    headers = {"authorization": f"Bearer {server.engine.api_key}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=server.engine.url, headers=headers, timeout=120.0, trust_env=False, limits=limits
    ) as client:
        load = Load(client, server.engine.model, draw, tally)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and server.engine.exit_story() is None:
            await load.run(min(left, BUSY_S))
            await asyncio.sleep(PAUSE_S)  # idle: SGLang looks for leaks now
        await _after(server, client, tally)
    log = await asyncio.to_thread(_log_of, server)
    soaked = log[len(started) :]  # SGLang's start may log a traceback of its own: a warm-up before it listens
    for line in soaked.splitlines():
        if any(word in line for word in LEAKS) and "server_args=" not in line:
            tally.fault(f"the log says: {line[:200]}")
    return tally


def _log_of(server: Served) -> str:
    return Path(server.log).read_text(errors="replace")


async def _after(server: Served, client: httpx.AsyncClient, tally: Tally) -> None:
    """It must answer, be emptied, and then take a prompt as large as its pool."""
    if (story := server.engine.exit_story()) is not None:
        tally.fault(story)
        return
    try:
        await asyncio.to_thread(server.flush)
        sampling = {"max_new_tokens": 4, "ignore_eos": True, "temperature": 0}
        body = {"input_ids": list(range(1000, 1000 + POOL - MARGIN)), "sampling_params": sampling}
        answer = await client.post("/generate", json=body)
        if answer.status_code != 200:
            tally.fault(f"a prompt as large as the pool was answered by {answer.status_code}: {answer.text[:200]}")
        await asyncio.to_thread(server.flush)
    except Exception as error:  # noqa: BLE001 - whatever it is, the engine is not as it should be
        tally.fault(f"afterwards: {type(error).__name__}: {error}")


class Load:
    """Workers and hinters around one engine."""

    def __init__(self, client: httpx.AsyncClient, model: str, draw: random.Random, tally: Tally) -> None:
        self._client = client
        self._model = model
        self._draw = draw
        self._tally = tally
        self._sessions: list[str] = []
        self._made = 0

    async def run(self, seconds: float) -> None:
        """Load it for so long, then wait until every worker has come to an end or is cut off."""
        until = time.monotonic() + seconds
        tasks = [asyncio.create_task(self._work(until)) for _ in range(WORKERS)]
        tasks += [asyncio.create_task(self._hint(until)) for _ in range(HINTERS)]
        for done in asyncio.as_completed(tasks):
            try:
                await done
            except Exception as error:  # noqa: BLE001 - any of them is a fault
                self._tally.fault(f"{type(error).__name__}: {error}")

    async def _work(self, until: float) -> None:
        while time.monotonic() < until:
            self._made += 1
            session = f"soak~{self._made}"
            self._sessions = [*self._sessions[-40:], session]
            said = [{"role": "user", "content": text(self._draw, self._draw.randint(20, 300))}]
            tokens = 0
            while tokens < LONGEST and time.monotonic() < until and self._draw.random() < 0.8:
                said, tokens = await self._turn(session, said)
            if self._draw.random() < 0.7:
                await self._send([self._ended(session)])

    async def _turn(self, session: str, said: list[dict[str, str]]) -> tuple[list[dict[str, str]], int]:
        """One turn, or the first part of one; returns what was said by then and its tokens."""
        body = {
            "model": self._model,
            "messages": said,
            "max_tokens": self._draw.randint(1, 40),
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "session_id": session,
        }
        leave = self._draw.random() < GIVE_UP
        try:
            async with asyncio.timeout(self._draw.uniform(0, 2) if leave else None):
                reply, tokens = await self._answer(body)
        except TimeoutError:
            self._tally.counts["turns given up"] += 1
            return said, 0
        self._tally.counts["turns answered"] += 1
        asked = text(self._draw, self._draw.randint(5, 120))
        return [*said, {"role": "assistant", "content": reply}, {"role": "user", "content": asked}], tokens

    async def _answer(self, body: dict[str, Any]) -> tuple[str, int]:
        pieces, tokens = [], 0
        async with self._client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                said = (await answer.aread())[:200]
                raise RuntimeError(f"a turn was answered by {answer.status_code}: {said!r}")
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line[6:])
                    tokens = (chunk.get("usage") or {}).get("total_tokens") or tokens
                    pieces += [one["delta"].get("content") or "" for one in chunk.get("choices") or ()]
        return "".join(pieces), tokens

    # -- hints -----------------------------------------------------------------------------------------------

    async def _hint(self, until: float) -> None:
        while time.monotonic() < until:
            await self._draw.choice(_WAYS)(self)
            await asyncio.sleep(self._draw.uniform(0, 0.1))

    async def _valid(self) -> None:
        await self._send([self._random() for _ in range(self._draw.randint(1, 20))])

    async def _stale(self) -> None:
        await self._send([{**self._random(), "generation": self._draw.randint(0, 5)} for _ in range(5)])

    async def _many(self) -> None:
        await self._send([self._random() for _ in range(MAX_BATCH)])

    async def _too_many(self) -> None:
        await self._send([self._random() for _ in range(MAX_BATCH + 1)], expected=400)

    async def _long(self) -> None:
        prefix = self._draw.choices(range(40000), k=self._draw.randint(1, 50_000))
        await self._send([{**self._random(), "subject": ["agent", "long", "soak"], "prefix": prefix}])

    async def _malformed(self) -> None:
        bad: list[dict[str, Any]] = [
            {"generation": -1},
            {"keep": "soon"},
            {"subject": []},
            {"steps": 1.5},
            {"unknown": 1},
            {"priority": [1]},
            {"prefix": "abc"},
        ]
        await self._send([{**self._random(), **self._draw.choice(bad)}], expected=400)

    async def _noise(self) -> None:
        await self._post(self._draw.choice([b"", b"{", b"[]", b'{"protocol": 9, "hints": []}', b"\xff\xfe"]), 400)

    async def _abort(self) -> None:
        """Abort whatever runs, through SGLang's own way."""
        if self._draw.random() < 0.1:
            self._tally.counts["aborts of everything"] += 1
            (await self._client.post("/abort_request", json={"abort_all": True})).raise_for_status()

    async def _look(self) -> None:
        (await self._client.get("/agentrt/kv")).raise_for_status()

    def _random(self) -> dict[str, Any]:
        draw = self._draw
        session = draw.choice([*self._sessions, "never"])
        hint: dict[str, Any] = {"subject": ["session", session], "generation": int(time.time() * 1e6)}
        hint |= {"keep": draw.choice([0.0, 0.1, 5.0, 60.0, 1e9]), "priority": draw.uniform(-1e6, 1e6)}
        if draw.random() < 0.5:
            hint["steps"] = draw.choice([0, 1, 5, 2**62])
        if draw.random() < 0.5:
            hint["remaining"] = draw.choice([0.0, 1.0, 1e12])
        return hint | {"ended": draw.random() < 0.1, "prefetch": draw.random() < 0.3}

    def _ended(self, session: str) -> dict[str, Any]:
        return {"subject": ["session", session], "generation": int(time.time() * 1e6), "ended": True}

    async def _send(self, hints: list[dict[str, Any]], expected: int = 200) -> None:
        await self._post(json.dumps({"protocol": PROTOCOL, "hints": hints}).encode(), expected)

    async def _post(self, body: bytes, expected: int) -> None:
        answer = await self._client.post(HINTS, content=body)
        self._tally.counts[f"batches answered by {answer.status_code}"] += 1
        if answer.status_code != expected:
            self._tally.fault(f"a batch was answered by {answer.status_code}, expected {expected}: {answer.text[:200]}")


_WAYS: Final = (
    Load._valid, Load._valid, Load._valid, Load._stale, Load._many, Load._too_many, Load._long, Load._malformed,
    Load._noise, Load._abort, Load._look,
)  # fmt: skip
