"""Jobs against a model of an engine, in simulated time: each turn waits for the one before, and for its tool.

Here, other than in a replay, what is evicted changes when things happen, and admission can hold jobs back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from agentrt.errors import ConfigError
from agentrt.kvcache.admission import NOTHING_FIXED, Admission, Fixed, Ticket
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.simulator.access import Access, Segment
from agentrt.kvcache.simulator.engine import Engine, EngineModel, Request
from agentrt.kvcache.simulator.hinted import Hinted
from agentrt.kvcache.simulator.jobs import Job
from agentrt.kvcache.simulator.orders import Order
from agentrt.kvcache.simulator.telling import Running, Teller


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to. ``completion`` is each job's seconds from its arrival to its end, in the jobs' order;
    ``first`` each turn's seconds to its first token, as its caller waits for it; counts are tokens.
    ``accesses`` is the sequence as it happened, for ``replay``."""

    completion: tuple[float, ...]
    first: tuple[float, ...]
    prompt: int
    hit: int
    regenerated: int
    evicted: int
    retracted: int
    accesses: tuple[Access, ...]

    @property
    def mean(self) -> float:
        """The jobs' mean completion time."""
        return fmean(self.completion)

    def at(self, share: float) -> float:
        """The completion time that this share of the jobs do not exceed: the nearest rank."""
        ordered = sorted(self.completion)
        return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def simulate(
    jobs: Sequence[Job],
    model: EngineModel,
    order: Order,
    *,
    admission: Admission | None = None,
    estimators: Estimators | None = None,
) -> Report:
    """Run all jobs to their ends. ``order`` says what is evicted: one of ``orders``, or ``Hinted`` by a policy.

    ``admission`` is asked before every turn; without one every turn goes. ``estimators`` learn as the run goes on;
    those of a ``Hinted`` order are used if none are given. Raises ``ConfigError`` for jobs that can never fit.
    """
    return _Simulation(jobs, model, order, admission, estimators).run()


class _Simulation:
    def __init__(
        self,
        jobs: Sequence[Job],
        model: EngineModel,
        order: Order,
        admission: Admission | None,
        estimators: Estimators | None,
    ) -> None:
        self.running = [Running(job) for job in jobs]
        self.engine = Engine(model, order)
        self.teller = Teller(order if isinstance(order, Hinted) else None)
        self.estimators = estimators or (order.estimators if isinstance(order, Hinted) else Estimators())
        self.admission = admission
        self.tickets: dict[Ticket, Running] = {}
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = count()
        self.now = 0.0
        self.busy = False
        self.looking = False
        self.first: list[float] = []
        self.accesses: list[Access] = []

    def run(self) -> Report:
        for one in self.running:
            self.at(one.job.arrives, lambda one=one: self.call(one))  # type: ignore[misc]
        while self.events:
            self.now, _, happen = heapq.heappop(self.events)
            happen()
            self.kick()
        if not all(one.over for one in self.running):
            raise ConfigError("the admission holds back turns for ever")
        counts = self.engine.counts
        return Report(
            completion=tuple(one.ended - one.job.arrives for one in self.running),
            first=tuple(self.first),
            prompt=counts.prompt,
            hit=counts.hit,
            regenerated=counts.regenerated,
            evicted=self.engine.pool.evicted,
            retracted=counts.retracted,
            accesses=tuple(self.accesses),
        )

    def at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.serial), happen))

    # -- the engine ------------------------------------------------------------------------------------------

    def kick(self) -> None:
        """Have the engine begin its next step if it is idle and has something to do."""
        if self.busy:
            return
        seconds = self.engine.step(self.now)
        if seconds:
            self.busy = True
            self.at(self.now + seconds, self.stepped)

    def stepped(self) -> None:
        self.busy = False
        for request in self.engine.finish(self.now):
            self.answered(request)

    # -- a job's turn ----------------------------------------------------------------------------------------

    def call(self, one: Running) -> None:
        """The turn is wanted: its tool has ended, or the job begins."""
        turn = one.turn
        if turn.tool:
            self.estimators.durations.observe(turn.tool, turn.word, turn.gap)
        one.called = self.now
        one.grow()
        self.teller.called(one, self.now)
        ticket = self.asked(one, self.admission) if self.admission else None
        if ticket is None:
            self.submit(one)
        else:
            self.tickets[ticket] = one
            self.teller.held(one, self.now)
            self.look()

    def asked(self, one: Running, admission: Admission) -> Ticket | None:
        fixed = Fixed(one.head.id, one.head.tokens) if one.head else NOTHING_FIXED
        return admission.ask(one.job.name, one.session, one.tokens + one.turn.output, self.now, fixed=fixed)

    def look(self) -> None:
        """See to it that held turns are looked at again even if nothing happens."""
        due = self.admission.due(self.now) if self.admission else None
        if due is not None and not self.looking:
            self.looking = True
            self.at(due, self.looked)

    def looked(self) -> None:
        self.looking = False
        assert self.admission is not None  # nothing else looks
        self.go(self.admission.tick(self.now))

    def go(self, granted: Sequence[Ticket]) -> None:
        for ticket in granted:
            one = self.tickets.pop(ticket)
            self.teller.called(one, self.now)
            self.submit(one)
        self.look()

    def submit(self, one: Running) -> None:
        path = self.engine.pool.walk(one.chain)
        reply = Segment(f"{one.session}/{one.index}r", one.turn.output - 1)
        nodes = self.engine.pool.walk([*one.chain, reply])[len(path) :]
        request = Request(one.session, path, nodes, one.turn.output, self.now, tag=one)
        one.chain.append(reply)
        self.teller.placed(one, request.nodes)
        self.engine.submit(request)

    def answered(self, request: Request) -> None:
        one = request.tag
        assert isinstance(one, Running)
        assert request.first is not None  # it is done
        self.first.append(request.first - one.called)
        self.learn(one, request)
        self.accesses.append(_access(one, request, self.now))
        one.index += 1
        self.teller.answered(one, self.now)
        if one.over:
            one.ended = self.now
        else:
            self.at(self.now + one.turn.gap, lambda: self.call(one))
        if self.admission is not None:
            self.go(self.land(one, self.admission))

    def learn(self, one: Running, request: Request) -> None:
        """What the runtime learns from a turn: how long it took, queued and computed."""
        assert request.first is not None  # it is done
        self.estimators.durations.observe("turn:agent", "", self.now - one.called)
        self.estimators.queueing.observe(request.began - request.sent)
        self.estimators.prefill.observe(request.prompt - request.found, request.found, request.first - request.began)
        if one.index + 1 == len(one.job.turns):
            self.estimators.turns.observe("agent", len(one.job.turns))

    def land(self, one: Running, admission: Admission) -> list[Ticket]:
        """Tell the admission that a turn has ended, and what comes next."""
        name, gone = one.job.name, one.over or one.turn.fresh
        granted = admission.done(name, one.session, 0 if gone else one.tokens, self.now)
        if one.over:
            return [*granted, *admission.leave(name, self.now)]
        if gone or not one.turn.gap:
            return granted
        expected = self.estimators.durations.of(one.turn.tool, one.turn.word).mean
        return [*granted, *admission.acting(name, one.session, expected, self.now)]


def _access(one: Running, request: Request, now: float) -> Access:
    return Access(
        session=one.session,
        program=one.job.name,
        start=request.sent,
        first=request.first,
        end=now,
        path=tuple(one.chain[:-1]),
        reply=one.chain[-1],
        cached=request.found,
        tool=one.turn.tool,
        word=one.turn.word,
    )
