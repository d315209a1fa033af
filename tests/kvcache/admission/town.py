"""A small town of programs before one engine, in simulated time: what does an order of admission do to finishing times?

The engine: prefill one prompt at a time and before decoding, decode all that run together, keep contexts of ended turns
in a least-recently-used cache that shares the pool with what runs, first come first served. Numbers of a regime are in
tokens and seconds. It is for comparing orders, not for predicting a machine.

``python -m tests.kvcache.admission.town [sessions.jsonl.gz]`` prints the table of ``docs/design/admission.md``.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

from agentrt.kvcache.admission import Admission
from agentrt.kvcache.admission.claims import Ticket


class Turn(NamedTuple):
    """``grows`` tokens are added to the context and ``says`` tokens are answered; then a tool runs for ``acts`` s."""

    grows: int
    says: int
    acts: float


Script = tuple[Turn, ...]


@dataclass(frozen=True)
class Regime:
    """``prefill`` tokens a second; one decode step takes ``step`` seconds and ``each`` more for every sequence;
    ``back`` tokens a second come from the host tier of ``host`` times the pool."""

    name: str
    prefill: float
    step: float
    each: float
    scale: float
    back: float = 0.0
    host: float = 0.0


CPU = Regime("CPU", 1300, 0.023, 0.004, 1 / 16)
GPU = Regime("GPU", 15000, 0.008, 0.0001, 1.0)


class Job:
    """One turn at the engine."""

    __slots__ = ("left", "program", "prompt", "turn")

    def __init__(self, program: int, prompt: int, turn: Turn) -> None:
        self.program = program
        self.prompt = prompt
        self.turn = turn
        self.left = turn.says


class Town:
    """Programs, an engine and an admission; ``run`` gives the seconds that each program took."""

    def __init__(
        self,
        scripts: Sequence[Script],
        arrivals: Sequence[float],
        pool: int,
        regime: Regime,
        admission: Admission | None,
    ) -> None:
        self.scripts, self.arrivals, self.pool, self.regime = scripts, arrivals, pool, regime
        self.admission = admission
        self.now = 0.0
        self.events: list[tuple[float, int, str]] = [(at, i, "ask") for i, at in enumerate(arrivals)]
        self.events.sort()
        self.at = [0] * len(scripts)
        self.size = [0] * len(scripts)
        self.queue: deque[Job] = deque()
        self.running: list[Job] = []
        self.cache: OrderedDict[int, int] = OrderedDict()
        self.host: OrderedDict[int, int] = OrderedDict()
        self.used = 0
        self.computed = 0
        self.beat: float | None = None
        self.ended: dict[int, float] = {}

    def run(self) -> list[float]:
        while len(self.ended) < len(self.scripts):
            self._events()
            if not self._prefill() and not self._decode():
                upcoming = [self.events[0][0]] if self.events else []
                if self.beat is not None:
                    upcoming.append(self.beat)
                self.now = max(self.now, min(upcoming))
        return [self.ended[i] - self.arrivals[i] for i in range(len(self.scripts))]

    # -- programs --------------------------------------------------------------------------------------------

    def _events(self) -> None:
        while self.events and self.events[0][0] <= self.now:
            _, program, _ = heappop(self.events)
            self._ask(program)
        if self.beat is not None and self.beat <= self.now and self.admission:
            self._go(self.admission.tick(self.now))

    def _ask(self, program: int) -> None:
        turn = self.scripts[program][self.at[program]]
        prompt = self.size[program] + turn.grows
        if self.admission is None:
            self.queue.append(Job(program, prompt, turn))
            return
        self.admission.expect(str(program), len(self.scripts[program]) - self.at[program])
        if self.admission.ask(str(program), "s", prompt + turn.says, self.now) is None:
            self.queue.append(Job(program, prompt, turn))
        self.beat = self.admission.due(self.now)

    def _go(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            program = int(ticket.program.id)
            turn = self.scripts[program][self.at[program]]
            self.queue.append(Job(program, self.size[program] + turn.grows, turn))
        assert self.admission
        self.beat = self.admission.due(self.now)

    def _end(self, job: Job) -> None:
        program = job.program
        size = self.size[program] = job.prompt + job.turn.says
        self.used -= size
        self._keep(program, size)
        self.at[program] += 1
        over = self.at[program] == len(self.scripts[program])
        if over:
            self.ended[program] = self.now
            self.cache.pop(program)
            self.host.pop(program, None)
        else:
            heappush(self.events, (self.now + job.turn.acts, program, "ask"))
        if self.admission is None:
            return
        out = self.admission.done(str(program), "s", size, self.now)
        out += (
            self.admission.leave(str(program), self.now)
            if over
            else self.admission.acting(str(program), "s", self.told(job.turn.acts), self.now)
        )
        self._go(out)

    def told(self, seconds: float) -> float:
        """What the runtime expects of a tool: nothing here."""
        return 0.0

    # -- the engine ------------------------------------------------------------------------------------------

    def _keep(self, program: int, size: int) -> None:
        self.cache[program] = size
        self.cache.move_to_end(program)

    def _room(self, need: int) -> bool:
        """Make room by evicting the least recently used contexts, tails first."""
        free = self.pool - self.used - sum(self.cache.values())
        while free < need and self.cache:
            victim, size = next(iter(self.cache.items()))
            cut = min(size, need - free)
            if self.regime.host:
                self.host[victim] = max(size, self.host.get(victim, 0))
                self.host.move_to_end(victim)
                while sum(self.host.values()) > self.pool * self.regime.host:
                    self.host.popitem(last=False)
            free += cut
            if cut == size:
                del self.cache[victim]
            else:
                self.cache[victim] = size - cut
        return free >= need

    def _prefill(self) -> bool:
        if not self.queue:
            return False
        job = self.queue[0]
        cached = self.cache.pop(job.program, 0)
        need = job.prompt + job.turn.says - cached
        free = self.pool - self.used - sum(self.cache.values()) - cached
        if free + sum(self.cache.values()) < need and self.running:
            if cached:
                self.cache[job.program] = cached
                self.cache.move_to_end(job.program, last=False)
            return False
        self.used += cached
        self._room(need)
        self.used += need
        self.queue.popleft()
        back = max(0, min(self.host.get(job.program, 0), job.prompt) - cached)
        fresh = job.prompt - cached - back
        self.computed += fresh
        self.now += fresh / self.regime.prefill + (back / self.regime.back if back else 0.0)
        self.running.append(job)
        return True

    def _decode(self) -> bool:
        if not self.running:
            return False
        step = self.regime.step + self.regime.each * len(self.running)
        most = min(job.left for job in self.running)
        until = min([at for at, _, _ in self.events[:1]] + ([self.beat] if self.beat is not None else []), default=None)
        if until is not None:
            most = max(1, min(most, int((until - self.now) / step) + 1))
        self.now += most * step
        for job in self.running:
            job.left -= most
        done = [job for job in self.running if job.left <= 0]
        if done:
            self.running = [job for job in self.running if job.left > 0]
            for job in done:
                self._end(job)
        return True


def drawn(count: int, regime: Regime, seed: int) -> list[Script]:
    """Coding agents as in public traces: a long first prompt, some 40 turns, half of the tools at once, a tail of s."""
    rng = random.Random(seed)
    scripts = []
    for _ in range(count):
        turns = max(3, min(110, int(rng.lognormvariate(3.4, 0.6))))
        first = int(14000 * regime.scale)
        script = [Turn(first, _says(rng, regime), _acts(rng))]
        script += [
            Turn(max(4, int(rng.lognormvariate(6.0, 1.0) * regime.scale)), _says(rng, regime), _acts(rng))
            for _ in range(turns - 1)
        ]
        scripts.append(tuple(script))
    return scripts


def _says(rng: random.Random, regime: Regime) -> int:
    most = 1000 if regime.scale == 1 else 64
    return max(4, min(most, int(rng.lognormvariate(4.0, 1.0) * (1 if regime.scale == 1 else 0.3))))


def _acts(rng: random.Random) -> float:
    return rng.uniform(0.01, 0.1) if rng.random() < 0.55 else rng.lognormvariate(1.6, 0.7)


def recorded(path: Path, regime: Regime) -> list[Script]:
    """The sessions of a trace of agents, main threads only."""
    scripts = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            calls = [one for one in json.loads(line)["llm_calls"] if not one["sidechain"] and _size(one)]
            script, before = [], 0
            for one in calls:
                says = max(4, int((one["text_chars"] + sum(t["input_chars"] for t in one["tool_calls"])) / 4))
                says = max(4, int(says * (1 if regime.scale == 1 else 0.3)))
                acts = max((tool["dur"] or 0.0 for tool in one["tool_calls"]), default=0.01)
                grows = max(4, int(_size(one) * regime.scale) - before)
                script.append(Turn(grows, min(says, 1000 if regime.scale == 1 else 64), acts))
                before += grows + script[-1].says
            if len(script) >= 3:
                scripts.append(tuple(script))
    return scripts


def _size(call: dict[str, int | None]) -> int:
    return sum(call[name] or 0 for name in ("input_tokens", "cache_read", "cache_creation"))


def peak(script: Script) -> int:
    return sum(turn.grows + turn.says for turn in script)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]
