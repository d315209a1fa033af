"""One execution of one program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextvars import copy_context
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from agentrt.errors import AgentrtError, ProgramError, RunCancelled, RunError, RunFailed, RunWaiting
from agentrt.events import Note, Observer, TurnMoved, TurnPhase
from agentrt.graph.machine import Machine, Node
from agentrt.runtime.absent import spares
from agentrt.runtime.bodies import all_ended
from agentrt.runtime.driver import Driver
from agentrt.runtime.editing import Editing
from agentrt.runtime.feed import Feed
from agentrt.runtime.handle import Handle
from agentrt.runtime.people import People
from agentrt.runtime.questions import Question
from agentrt.runtime.result import RunResult
from agentrt.runtime.scope import Scope
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.verdicts import of_program, status_of
from agentrt.runtime.wiring import Wiring, taken
from agentrt.types import ModelRequest, RunId, RunStatus, StepId, StepStatus

if TYPE_CHECKING:
    from agentrt.runtime.documents import EditDocument
    from agentrt.runtime.durable.log import RunLog
    from agentrt.runtime.kv.tracker import Tracker
    from agentrt.runtime.runtime import Runtime

T = TypeVar("T")
_log = logging.getLogger("agentrt")

GRACE: Final = 10.0
"""Seconds that the steps of a cancelled run may take to clean up before it is called ended without them."""

MAX_PENDING: Final = 100_000
"""Unfinished steps that one run may hold."""


class Run(Generic[T]):
    """One execution of one program; ``await`` it for its ``RunResult``, whatever the outcome.

    Nothing of it is running any more when that is there: no task and no request. ``max_pending`` bounds the unfinished
    steps; a program that calls more at once gets an error that names the way out. A step that swallows its
    cancellation is named in the log and left behind ``grace`` seconds after its run was cancelled.
    """

    def __init__(
        self,
        id: RunId,  # noqa: A002 - the field's name
        spec: StepSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        runtime: Runtime,
        clock: Callable[[], float],
        wall: Callable[[], float],
        limits: dict[str, int | None],
        observers: Iterable[Observer] = (),
        max_pending: int = MAX_PENDING,
        grace: float = GRACE,
        log: RunLog | None = None,
    ) -> None:
        self.id = id
        self.runtime = runtime
        self.spec = spec
        self.loop = asyncio.get_running_loop()
        self.machine = Machine(limits, self._spares)
        self.sessions = count(1)
        zero = clock() - (log.seconds if log is not None else 0.0)

        def now() -> float:
            return clock() - zero

        self._now = now
        self._max_pending = max_pending
        self._grace = grace
        self._cancelled: str | None = None
        self._broken: AgentrtError | None = None
        self._aside: RunWaiting | None = None
        self._still: dict[Node, StepStatus] = {}
        self._durable = log
        self.draft: Editing | None = None  # the edit into which steps are called just now
        root = Node(StepId(spec.name), spec.name, "program")
        self._feed = Feed(id, root, observers, now)
        self._driver = Driver(self.machine, self._feed, self.loop, now)
        self.people = People(self, self._driver, mail=log is not None, wall=wall)
        self._wiring = Wiring(root, self._driver.add_join)
        self._feed.begun(spec.name, args, kwargs, wall())
        self._root: Handle[T] = Handle(self, root, spec, args, kwargs, False, copy_context())
        self._root.scope = Scope("")
        if log is not None:
            self._driver.scribe = log.open(self._driver, now, self._break_off)
            self._feed.forget = log.forgetter(self.machine, self._driver, self._wiring)
            self._feed.aside = log.notes(self._driver, now)
        self._driver.edit_again = self._edit_again
        self._driver.add(self._root)
        self.ending = self.loop.create_task(self._end())
        self._contexts: Tracker | None = None

    def __await__(self) -> Generator[Any, None, RunResult[T]]:
        return asyncio.shield(self.ending).__await__()

    @property
    def now(self) -> float:
        """Seconds since the run started."""
        return self._now()

    @property
    def contexts(self) -> Tracker | None:
        """Follows the run's contexts for the engine's KV cache, from the first agent on; ``None`` without a policy."""
        desk = self.runtime.desk
        if self._contexts is None and desk is not None and not self.done:
            self._contexts = desk.follow(self)
            self._feed.attach(self._contexts)
        return self._contexts

    @property
    def nodes(self) -> list[Node]:
        """The steps so far, in the order in which the program called them."""
        return [node for node in self.machine.nodes.values() if node is not self._root.node]

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self.ending.done()

    def cancel(self, reason: str = "cancelled by the caller") -> None:
        """End the run now: every step is stopped; the result comes when all have ended."""
        if self._cancelled is None and not self._root.done():
            self._cancelled = reason
            self._driver.closing = True
            self._driver.cancel(self._root)
            self.loop.call_later(self._grace, self._give_up)

    @property
    def questions(self) -> list[Question]:
        """What people are asked now, in the order in which it was asked."""
        return self.people.open

    def answer(self, step: str, answer: Any, *, by: str = "") -> None:
        """Answer an open question; ``by`` says who it was, for the journal.

        ``answer`` is ``True`` or ``False``, a text, or what a form asks for: a model, or the same as plain JSON. Raises
        ``UsageError`` when there is no such open question, or the answer does not fit it.
        """
        self.people.answer(step, answer, by=by)

    def put_aside(self, why: RunWaiting) -> None:
        """End the run in this process with the status ``waiting``; resumed, it goes on from where it is."""
        if self._cancelled is None and not self._root.done():
            self._aside = why
            self._still = {node: node.status for node in self.machine.nodes.values() if node.ended is None}
            self._feed.hush()
            if self._driver.scribe is not None:
                self._driver.scribe.close()
            self.cancel("it is put aside")

    def cancel_step(self, handle: Handle[Any]) -> bool:
        """Cancel one step and the steps it called. ``False`` when it is finished already, or not in the graph yet."""
        return bool(handle.node.history) and self._driver.cancel(handle)

    def submit(
        self,
        parent: Handle[Any],
        spec: StepSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: tuple[str, int] | None,
        after: tuple[Handle[Any], ...] = (),
    ) -> Handle[Any]:
        """Put a call into the graph; it starts at once if it can. ``after`` are further steps to wait for."""
        self._check_open(parent, spec)
        scope = self._driver.scope_of(parent)
        draft = self.draft
        found, args, kwargs = taken(spec, args, kwargs)
        nested = bool(found)
        found.extend(after)
        for one in found:
            self._take(one, spec)
        node = (self._wiring if draft is None else draft.wiring).node(parent.node, scope, spec, found, place)
        handle: Handle[Any] = Handle(self, node, spec, args, kwargs, nested, copy_context(), parent)
        scope.handles[handle] = None
        if draft is None:
            self._driver.add(handle)
        else:
            draft.take(handle)
        return handle

    def submit_join(
        self,
        parent: Handle[Any],
        spec: StepSpec,
        inputs: tuple[Handle[Any], ...],
        need: int | None,
        place: tuple[str, int] | None,
    ) -> Handle[Any]:
        """Put a join into the graph: its value is made of those of its inputs, of the first ``need`` that are done."""
        self._check_open(parent, spec)
        scope = self._driver.scope_of(parent)
        for one in inputs:
            self._take(one, spec)
        node = self._wiring.node(parent.node, scope, spec, list(inputs), place)
        node.need = need
        handle: Handle[Any] = Handle(self, node, spec, inputs, {}, False, copy_context(), parent)
        scope.handles[handle] = None
        if self.draft is None:
            self._driver.add_join(node, handle)
        else:
            self.draft.take(handle)
        return handle

    def editing(self, maker: Handle[Any] | None = None) -> Editing:
        """A new edit of this run's graph, empty still, by the code of a step or from outside."""
        return Editing(self, self._driver, self._root.node, maker)

    def step(self, name: str) -> Handle[Any] | None:
        """The handle of a step by its id; ``None`` when there is none, or a long run has let go of it."""
        return self._driver.of(StepId(name))

    @property
    def replaying(self) -> bool:
        """Whether the program is still where it has been before its process ended."""
        return self._driver.scribe is not None and self._driver.scribe.replaying

    def edit(
        self,
        document: Mapping[str, Any] | str | EditDocument,
        steps: Mapping[str, Any] | None = None,
        then: Callable[[], Any] | None = None,
    ) -> int:
        """Change the graph by a document (``agentrt.runtime.documents``), as JSON or parsed; gives the new version.

        ``steps`` are those that it may insert, by name; the ones that the program's module knows if none are given.
        ``then`` is called when the edit is on disk, at once without a journal. Raises ``EditRefused`` with every
        reason, ``ConfigError`` for what is no such document, ``ProgramError`` while the run is replayed; nothing
        changes then.
        """
        from agentrt.runtime.documents import applied

        if self.replaying:
            raise ProgramError(f"run {self.id} is being replayed from its journal; edit it when it goes on")
        version = applied(self, self._root, document, steps, then=then)
        if then is not None and self._driver.scribe is None:
            then()
        return version

    def _edit_again(self, document: dict[str, Any]) -> None:
        from agentrt.runtime.documents import applied

        applied(self, self._root, document, again=True)

    def text(self, handle: Handle[Any], text: str) -> None:
        """A running step has a piece of text."""
        self._feed.text(handle.node, text)

    def sends(self, handle: Handle[Any], model: str, request: ModelRequest) -> None:
        """A step sends a model something."""
        if self._driver.scribe is not None:
            self._driver.scribe.sent(handle.node, model, request)
        self._feed.sent(handle.node, model, request)

    def moved(self, handle: Handle[Any], phase: TurnPhase) -> None:
        """The model turn of a step enters another phase."""
        self._feed.note(TurnMoved(self.id, self._now(), handle.id, phase))

    def tell(self, note: Note) -> None:
        """Tell those who watch of something that the run itself has no need of."""
        self._feed.note(note)

    def listened(self, handle: Handle[Any], text: str) -> None:
        """The program is handed a piece of a step's text, or begins to listen."""
        if text and self._driver.scribe is not None:
            self._driver.scribe.text(handle, text)

    def _check_open(self, parent: Handle[Any], spec: StepSpec) -> None:
        if asyncio._get_running_loop() is not self.loop:
            raise ProgramError(
                f"step {spec.name!r} was called by {parent.id!r} in a thread, or in an event loop of its own; steps "
                f"that call steps are written `async def`, and run where the program does"
            )
        if parent.node.finished:
            raise ProgramError(
                f"step {spec.name!r} was called by {parent.id!r}, which has ended; call steps before that"
            )
        if self.machine.unfinished >= self._max_pending:
            raise ProgramError(
                f"step {spec.name!r}: {self.machine.unfinished} steps of this run are unfinished, its limit is "
                f"{self._max_pending}; fan out with each(step, items, at_once=...), or raise max_pending"
            )

    def _spares(self, node: Node) -> bool:
        handle = self._driver.handles.get(node)
        return handle is None or node.kind == "join" or spares(handle)

    def _take(self, handle: Handle[Any], spec: StepSpec) -> None:
        if handle.run is not self:
            raise ProgramError(
                f"step {spec.name!r} was given {handle.id!r} of another run ({handle.run.id}); "
                f"await it there and pass the value"
            )
        handle.observed = True  # its failure is this step's failure now

    # -- the end ---------------------------------------------------------------------------------------------

    def _break_off(self, error: AgentrtError) -> None:
        """The journal does not let the run go on; not at once, as its own code may be running."""
        if self._broken is None:
            self._broken = error
            self.loop.call_soon(self._abandon)

    def _abandon(self) -> None:
        if self._driver.scribe is not None:
            self._driver.scribe.close()
        self.cancel("its journal does not let it go on")

    async def _end(self) -> RunResult[T]:
        await all_ended(self._driver.handles.values())
        await self._reap()
        error = self._verdict()
        status = status_of(error)
        result = self._result(status, error)
        if self._durable is not None:
            await self._durable.over(result, written=self._broken is None)
        self._feed.over(status, error)
        return result

    async def _reap(self) -> None:
        """Wait for tasks whose handle somebody else resolved: the step itself still runs."""
        left = [task for handle, task in self._driver.tasks.items() if not handle.node.finished]
        if left:
            await asyncio.wait(left, timeout=self._grace)
        self._give_up()

    def _give_up(self) -> None:
        """Go on without the steps that still run."""
        if left := self._driver.leave_behind():
            _log.warning("run %s: left behind after %g s, still running: %s", self.id, self._grace, ", ".join(left))

    def _verdict(self) -> RunError | None:
        if self._broken is not None:
            broken = RunFailed(str(self._broken))
            broken.__cause__ = self._broken
            return broken
        if self._aside is not None:
            return self._aside
        if self._cancelled is not None:
            return RunCancelled(f"run {self.id} was cancelled: {self._cancelled}")
        return of_program(self.id, self._root)

    def _result(self, status: RunStatus, error: RunError | None) -> RunResult[T]:
        for node, before in self._still.items():  # putting a run aside is the end of none of its steps
            node.status, node.ended = before, None
        return RunResult(
            id=self.id,
            program=self._root.id,
            status=status,
            seconds=self.now,
            error=error,
            value=self._root.result() if error is None else None,
            nodes=tuple(self.nodes),
            **(self._durable.forgotten if self._durable is not None else {}),
        )
