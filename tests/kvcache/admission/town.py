"""A small town of programs before one engine, in simulated time: what does admission do to finishing times?

The engine prefills one prompt at a time and before it decodes, decodes all that run together, serves first come first,
and keeps contexts of ended turns in a least-recently-used cache that shares the pool with what runs. It is for
comparing rules of admission, not for predicting a machine.

``python -m tests.kvcache.admission.town [RECORDING.jsonl.gz]`` prints the table of ``docs/design/admission.md``;
without a recording, from made-up sessions of the same shape.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from agentrt.kvcache.admission import ORDERS, Admission, Ticket
from agentrt.kvcache.simulator.traces import read_jobs


class Turn(NamedTuple):
    """``grows`` tokens are added to the context and ``says`` tokens are answered; then a tool runs for ``acts`` s."""

    grows: int
    says: int
    acts: float


Script = tuple[Turn, ...]


@dataclass(frozen=True)
class Regime:
    """``prefill`` tokens a second; one decode step takes ``step`` seconds and ``each`` more for every sequence; lengths
    of recorded sessions are taken times ``scale``, of replies at most ``says``; ``back`` tokens a second come from a
    host tier of ``host`` times the pool."""

    name: str
    prefill: float
    step: float
    each: float
    scale: float
    says: int
    back: float = 0.0
    host: float = 0.0


CPU = Regime("CPU", 1300, 0.023, 0.004, 1 / 16, 64)
GPU = Regime("GPU", 15000, 0.008, 0.0001, 1.0, 1000)


class Job:
    """One turn at the engine."""

    __slots__ = ("left", "program", "prompt", "turn")

    def __init__(self, program: int, prompt: int, turn: Turn) -> None:
        self.program = program
        self.prompt = prompt
        self.turn = turn
        self.left = turn.says


class Town:
    """Programs, an engine and perhaps an admission. After ``run`` each program ``took`` so many seconds, and so many
    tokens were ``computed``."""

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
        self.took: list[float] = []

    def run(self) -> None:
        """Let everything happen."""
        while len(self.ended) < len(self.scripts):
            self._events()
            if not self._prefill() and not self._decode():
                upcoming = [self.events[0][0]] if self.events else []
                if self.beat is not None:
                    upcoming.append(self.beat)
                self.now = max(self.now, min(upcoming))
        self.took = [self.ended[i] - self.arrivals[i] for i in range(len(self.scripts))]

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
            else self.admission.acting(str(program), "s", 0.0, self.now)
        )
        self._go(out)

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
    """Made-up coding agents: a long first prompt, some 30 turns, half of the tools at once, the others some seconds."""
    rng = random.Random(seed)

    def turn(grows: float) -> Turn:
        says = min(regime.says, int(rng.lognormvariate(4.0, 1.0) * (regime.scale or 1) ** 0.5))
        acts = rng.uniform(0.01, 0.1) if rng.random() < 0.55 else rng.lognormvariate(1.6, 0.7)
        return Turn(max(4, int(grows * regime.scale)), max(4, says), acts)

    return [
        (turn(14000), *(turn(rng.lognormvariate(6.0, 1.0)) for _ in range(int(rng.lognormvariate(3.4, 0.6)))))
        for _ in range(count)
    ]


def recorded(path: Path, regime: Regime) -> list[Script]:
    """The sessions of a recording that have three turns or more."""
    scripts = []
    for job in read_jobs(path):
        first = job.head.tokens if job.head else 0
        gaps = [turn.gap for turn in job.turns[1:]] + [0.0]
        turns = [
            Turn(
                max(4, int((one.new + (0 if n else first)) * regime.scale)),
                max(4, min(regime.says, int(one.output * regime.scale**0.5))),
                gap,
            )
            for n, (one, gap) in enumerate(zip(job.turns, gaps, strict=True))
        ]
        if len(turns) >= 3:
            scripts.append(tuple(turns))
    return scripts


def longest(script: Script) -> int:
    return sum(turn.grows + turn.says for turn in script)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


class Case(NamedTuple):
    """``programs`` arrive within ``spread`` seconds; together their contexts are ``over`` times the pool."""

    regime: Regime
    programs: int
    over: float
    spread: float = 20.0

    def run(self, admission: Callable[[int], Admission] | None, seed: int, known: Sequence[Script] = ()) -> Town:
        """One run, ended; ``admission`` makes one for a pool of that many tokens."""
        rng = random.Random(seed)
        scripts = (
            [rng.choice(known) for _ in range(self.programs)] if known else drawn(self.programs, self.regime, seed)
        )
        arrivals = sorted(rng.uniform(0, self.spread) for _ in scripts)
        sizes = [longest(script) for script in scripts]
        pool = max(int(sum(sizes) / self.over), int(1.1 * max(sizes)))
        town = Town(scripts, arrivals, pool, self.regime, admission(pool) if admission else None)
        town.run()
        return town


def main(recording: str | None = None, seeds: int = 8) -> None:
    """Print finishing times for each order as shares of those without admission: mean, then 95th percentile."""
    print("| case | " + " | ".join(ORDERS) + " |")
    print("|---|" + "---|" * len(ORDERS))
    for regime in (CPU, GPU):
        known = recorded(Path(recording), regime) if recording else ()
        tiers = [replace(regime, host=host, back=10 * regime.prefill) for host in (1.0, 4.0)]
        cases = [Case(regime, 16, 0.9), Case(regime, 16, 2), Case(regime, 16, 4), Case(regime, 32, 4)]
        for case in [*cases, Case(regime, 48, 4, 600.0), *(Case(tier, 16, 4) for tier in tiers)]:
            print(_row(case, known, seeds), flush=True)


def _row(case: Case, known: Sequence[Script], seeds: int) -> str:
    plain = [case.run(None, seed, known) for seed in range(seeds)]
    cells = []
    for order in ORDERS:

        def make(pool: int, order: str = order) -> Admission:
            return Admission(pool, host=int(case.regime.host * pool), order=order)

        ours = [case.run(make, seed, known) for seed in range(seeds)]
        pairs = list(zip(ours, plain, strict=True))
        mean = fmean(fmean(one.took) / fmean(other.took) for one, other in pairs)
        tail = fmean(p95(one.took) / p95(other.took) for one, other in pairs)
        cells.append(f"{mean:.2f} {tail:.2f}")
    host = f", host {case.regime.host:g}x" if case.regime.host else ""
    name = f"{case.regime.name}, {case.programs} in {case.spread:g} s, {case.over:g}x{host}"
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(*sys.argv[1:2])
