"""Where programs run: the model executors, the limits and the observers that all runs of a process share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Protocol, Self, TypeVar

from agentrt.errors import ConfigError, ProgramError
from agentrt.events import Observer
from agentrt.executors.base import ModelExecutor
from agentrt.kvcache.policies import Policy
from agentrt.runtime import tracing
from agentrt.runtime.caching import Caching, fronted
from agentrt.runtime.embedded import EmbeddedExecutor
from agentrt.runtime.handle import Handle
from agentrt.runtime.kv.choosing import desk_of
from agentrt.runtime.limit import off_the_clock
from agentrt.runtime.phases import Phases
from agentrt.runtime.questions import Answerer, Question
from agentrt.runtime.result import RunResult, plain
from agentrt.runtime.run import GRACE, MAX_PENDING, Run
from agentrt.runtime.spec import StepSpec
from agentrt.types import ModelReply, ModelRequest, RunId, RunStatus, SessionId

if TYPE_CHECKING:
    from agentrt.executors.cached import SemanticCache
    from agentrt.runtime.durable.edit_letters import EditOutcome
    from agentrt.runtime.durable.inquiry import Outcome
    from agentrt.runtime.durable.log import RunLog
    from agentrt.runtime.durable.mailbox import Mailbox
    from agentrt.store import Journal

P = ParamSpec("P")
R = TypeVar("R")

MODEL_LANE: Final = "model:"
"""Lanes of model executors are this and the executor's key; an agent's ``model`` names the key."""


DEFAULT_POLICY: Final = "agentrt"


def new_run_id() -> RunId:
    """A fresh id that sorts by time: ``20260131-235959-1a2b3c``, in UTC."""
    return RunId(f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{token_hex(3)}")


class Startable(Protocol[P, R]):
    """A program: something that is called like a function and knows its step."""

    @property
    def spec(self) -> StepSpec:
        """What runs, and how."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """What it is inside another program: a step."""
        ...


class Runtime:
    """Runs programs; an async context manager that closes what it was given.

    ``models`` maps the names that agents use to executors; ``"default"`` answers for agents that name none. Without
    any, an engine is found or started when the first agent is asked. ``limits`` caps how many steps run at once, by
    lane: ``"tool"``, ``"python"``, ``"llm"`` for each model executor that has no limit of its own; a lane without a
    limit runs everything that is ready. ``observers`` see every event of every run. ``max_pending`` bounds the
    unfinished steps of one run. ``grace`` is how many seconds the steps of a cancelled run may take to clean up.

    ``kv`` names the policy by which engines are told what to keep in their KV cache (``agentrt.kvcache.policies``;
    ``"none"`` tells nothing), or is one. ``admission`` says whether programs whose contexts do not fit into it
    together take turns (``agentrt.kvcache.admission``); they do, unless ``kv`` is ``"none"``. ``tenant`` keeps what
    is cached for these runs apart from other owners'; it is the key to it, so treat it as one. ``estimates`` is the
    file in which tool durations and the like are remembered: one of this user's (``"own"``), or none.

    With a ``journal`` (a file name, ``sqlite:///FILE`` or ``postgresql://...``) every step's result is written down
    before it is used, so that a run can go on after a crash: see ``resume``.

    ``answers`` is asked what programs ask people (``agentrt.approve`` and the like), by default the terminal of a
    process that has one and keeps no journal; with a journal, questions may also be answered from elsewhere.
    ``put_aside`` ends a run with the status ``waiting`` once nothing but such questions is left of it, to be resumed
    when they are answered; without, it waits in this process.

    ``cache`` puts a semantic cache in front of all models (``agentrt.runtime.caching``): equal questions are answered
    from it, and others where the share of wrong answers that its rules allow can be promised.

    Where an OpenTelemetry tracer provider is installed in this process, runs are traced: ``agentrt.runtime.tracing``.
    """

    def __init__(
        self,
        models: ModelExecutor | Mapping[str, ModelExecutor] | None = None,
        *,
        limits: Mapping[str, int] | None = None,
        observers: Iterable[Observer] = (),
        max_pending: int = MAX_PENDING,
        grace: float = GRACE,
        kv: str | Policy = DEFAULT_POLICY,
        admission: bool | None = None,
        tenant: str = "",
        estimates: Path | Literal["own"] | None = "own",
        journal: Journal | str | Path | None = None,
        answers: Answerer | None = None,
        put_aside: bool = False,
        cache: Caching | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
        new_id: Callable[[], RunId] = new_run_id,
    ) -> None:
        self.models: Mapping[str, ModelExecutor] = _by_name(models)
        self._limits = self._lanes(limits or {})
        self._observers = tuple(observers)
        self._max_pending = max_pending
        self._grace = grace
        self._clock = clock
        self._wall = wall
        self._new_id = new_id
        self._runs: set[Run[Any]] = set()
        self._asked: Counter[str] = Counter()
        self.answers = answers
        self.put_aside = put_aside
        self.tenant = tenant
        self.desk = desk_of(kv, admission, tenant, estimates, clock)
        self.journal = _journal(journal)
        self._owns_journal = self.journal is not journal
        self.cache: SemanticCache | None = None
        if cache is not None:
            self.models, self.cache = fronted(self.models, cache, self.journal)
        self._mailbox: Mailbox | None = None

    def start(self, program: Startable[P, R], *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a program in the running event loop; the run goes on by itself.

        Raises ``ProgramError`` for what is no program, ``JournalError`` when the journal cannot be opened.
        """
        spec, run = _spec_of(program), self._new_id()
        log = None
        if self.journal is not None:
            from agentrt.runtime.durable import keeping

            log = keeping.begin(self.journal, run, spec, args, kwargs, self._wall())
        return self._run(run, spec, args, kwargs, log)

    async def resume(
        self, program: Startable[..., R], run: str = "last", *, compare: bool = True, rerun: Collection[str] = ()
    ) -> Run[R]:
        """Go on with a run that was broken off, failed or cancelled: steps that finished are not run again.

        ``run`` is its id, the beginning of it, or ``"last"``. The program is run from its first line against what is
        recorded; where it does something else than before, it stops. ``compare=False`` takes recorded results also
        when a step's arguments are not what they were. ``rerun`` are ids of steps with ``idempotent=False`` that were
        broken off and may run again. Raises ``ConfigError`` without a journal, ``NoSuchRun``, ``RunTaken`` when another
        process has it, ``UsageError`` when it is done, of another program, or has no such step.
        """
        from agentrt.runtime.durable import keeping

        spec = _spec_of(program)
        found = await keeping.reopen(self._needed_journal(), run, spec, compare=compare, rerun=rerun)
        return self._run(found.id, spec, found.args, found.kwargs, found.log)

    async def fork(self, run: str = "last", step: str | None = None) -> RunId:
        """Enter a new run that is a copy of another, without ``step`` and all that depended on it; resume it to run it.

        Raises ``ConfigError`` without a journal, ``NoSuchRun``, and ``UsageError`` naming the steps there are.
        """
        from agentrt.runtime.durable import keeping

        return (await keeping.fork(self._needed_journal(), run, step, self._new_id(), self._wall())).id

    async def cancel(self, run: str) -> RunStatus:
        """End a run in whichever process it is, wait for that, and give its status then; it can be resumed.

        Raises ``ConfigError`` without a journal, ``NoSuchRun``, ``RunTaken`` when it is taken over meanwhile.
        """
        from agentrt.runtime.durable import cancelling

        ended = await cancelling.cancel(self._needed_journal(), run, now=self._wall, waits_for=lambda row, owner: None)
        return ended.run.status

    async def questions(self, run: str | None = None) -> list[Question]:
        """What people are asked by the runs of the journal, whichever process has them, or by one of them.

        Raises ``ConfigError`` without a journal, ``NoSuchRun``.
        """
        from agentrt.runtime.durable import inquiry

        return await inquiry.open_questions(self._needed_journal(), run)

    async def answer(self, run: str, step: str | None, answer: Any, *, by: str = "") -> Outcome:
        """Answer a question of a run, whichever process has it; one that none has takes the answer when it is resumed.

        ``step`` is ``None`` for the only one. Raises ``ConfigError`` without a journal, ``NoSuchRun``, and
        ``UsageError`` when there is no such open question, or the answer does not fit it.
        """
        from agentrt.runtime.durable import inquiry

        journal = self._needed_journal()
        question = await inquiry.find(journal, run, step)
        posted = await inquiry.post(journal, question, plain(answer), now=self._wall, by=by)
        return await inquiry.outcome(journal, posted)

    async def edit(self, run: str, document: Mapping[str, Any] | str) -> EditOutcome:
        """Change the graph of a run by a document (``agentrt.runtime.documents``), whichever process has it.

        One that none has is changed when it is resumed. Raises ``ConfigError`` without a journal, and for what is no
        such document, ``NoSuchRun``, ``UsageError`` for a run that is done, ``EditRefused`` with every reason.
        """
        from agentrt.runtime.durable import edit_letters

        journal = self._needed_journal()
        return await edit_letters.outcome(journal, await edit_letters.send(journal, run, document, now=self._wall))

    def _needed_journal(self) -> Journal:
        if self.journal is None:
            raise ConfigError("this Runtime keeps no journal; make it with Runtime(journal=FILE)")
        return self.journal

    def _run(
        self, run_id: RunId, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], log: RunLog | None
    ) -> Run[Any]:
        run: Run[Any] = Run(
            run_id,
            spec,
            args,
            kwargs,
            runtime=self,
            clock=self._clock,
            wall=self._wall,
            limits=self._limits,
            observers=(*self._observers, *tracing.observers(0.0 if log is None else log.seconds)),
            max_pending=self._max_pending,
            grace=self._grace,
            log=log,
        )
        self._runs.add(run)
        run.ending.add_done_callback(lambda _: self._runs.discard(run))
        if self.journal is not None and log is not None:
            self._mail(self.journal).follow(run, at_once=log.replaying)
        return run

    def _mail(self, journal: Journal) -> Mailbox:
        """What others ask of the runs."""
        if self._mailbox is None:
            from agentrt.runtime.durable.mailbox import Mailbox

            self._mailbox = Mailbox(journal)
        return self._mailbox

    async def run(self, program: Startable[P, R], *args: P.args, **kwargs: P.kwargs) -> RunResult[R]:
        """Run a program to its end, good or bad. Cancelling the caller cancels the run, and waits for that."""
        run = self.start(program, *args, **kwargs)
        try:
            return await run
        except asyncio.CancelledError:
            run.cancel("its caller was cancelled")
            await run
            raise

    def model(self, name: str) -> ModelExecutor:
        """The executor of that name. Raises ``ConfigError`` listing the names there are."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models)) or "none"
            raise ConfigError(
                f"no model executor is called {name!r} (there are: {known}); give one to Runtime(models=...), "
                f"or start the command line with --engine URL"
            ) from None

    async def ask(self, model: str, request: ModelRequest, handle: Handle[Any]) -> ModelReply:
        """Have a model answer a turn of the step ``handle``, which gets the text as it comes.

        Raises ``ConfigError`` for a model that is not there, and what ``ModelExecutor.execute`` raises.
        """
        executor = self.model(model)
        with off_the_clock(handle):
            await executor.prepare()
        handle.run.sends(handle, model, request)
        phases = Phases(handle, self._clock)
        if self.desk is None or handle.run.contexts is None:
            phases.sent()
            return await executor.execute(request, phases)
        self.desk.met(model, executor)
        async with self.desk.gate(model).turn(request, phases, phases.at_gate) as turn:
            alone = not self._asked[model]
            self._asked[model] += 1
            phases.sent()
            try:
                reply = await executor.execute(request, turn.emit)
            finally:
                self._asked[model] -= 1
            turn.answered(reply)
        if request.session is not None:
            handle.run.contexts.answered(SessionId(request.session), reply.usage, phases.after, alone)
            self.desk.answered(handle.run.id, model)
        return reply

    async def close(self) -> None:
        """Cancel what still runs, wait for it, and close the executors."""
        runs = list(self._runs)
        for run in runs:
            run.cancel("the runtime was closed")
        if runs:
            await asyncio.wait([run.ending for run in runs])
        if self.desk is not None:
            await self.desk.close()
        async with AsyncExitStack() as stack:  # closes the others also when one cannot be
            if self.journal is not None and self._owns_journal:
                stack.push_async_callback(self.journal.close)
            if self._mailbox is not None:
                stack.push_async_callback(self._mailbox.close)
            for executor in self.models.values():
                stack.push_async_callback(executor.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    def _lanes(self, limits: Mapping[str, int]) -> dict[str, int | None]:
        for lane, places in limits.items():
            if places < 1:
                raise ConfigError(f"limits[{lane!r}] = {places}: expected 1 or more places, or leave the lane out")
        llm = limits.get("llm")
        lanes: dict[str, int | None] = {lane: places for lane, places in limits.items() if lane != "llm"}
        for name, executor in self.models.items():
            lanes[MODEL_LANE + name] = executor.limit if executor.limit is not None else llm
        return {lane: places for lane, places in lanes.items() if places is not None}


def _journal(journal: Journal | str | Path | None) -> Journal | None:
    if not isinstance(journal, (str, Path)):
        return journal
    from agentrt.store import Journal

    return Journal(journal)


def _spec_of(program: object) -> StepSpec:
    spec = getattr(program, "spec", None)
    if not isinstance(spec, StepSpec):
        raise ProgramError(f"{program!r} is no program; put @program over the async function to run")
    return spec


def _by_name(models: ModelExecutor | Mapping[str, ModelExecutor] | None) -> Mapping[str, ModelExecutor]:
    if models is None:
        return {"default": EmbeddedExecutor()}
    return models if isinstance(models, Mapping) else {"default": models}
