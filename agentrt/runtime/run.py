"""The driver: carries out what the scheduler core says, on asyncio, and tells it what happened."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from agentrt.errors import ProgramError, RunCancelled, RunError, RunFailed, StepTimeout, UpstreamFailed
from agentrt.events import (
    Event,
    Observer,
    RunEnded,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    StepText,
)
from agentrt.graph.machine import Instruction, Machine, Node
from agentrt.runtime.arguments import fill, find
from agentrt.runtime.handle import Handle, owner
from agentrt.runtime.result import RunResult, StepRecord, brief
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.trail import current_trail, trail
from agentrt.types import RunId, RunStatus, StepId, Usage

if TYPE_CHECKING:
    from agentrt.runtime.runtime import Runtime

T = TypeVar("T")
_log = logging.getLogger("agentrt")

WIDE_FRONT: Final = 4
"""A step that comes after more awaited steps than this gets one edge from a join instead, so edges stay linear."""

WIDE_INPUTS: Final = 8
"""From the second step on that takes the same inputs, if they are more than this, a join stands for them too."""

GRACE: Final = 10.0
"""Seconds that a cancelled step may take to clean up before the run is called ended without it."""


class Scope:
    """What a program (or any step that calls steps) has called so far."""

    __slots__ = ("counts", "handles", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.counts: dict[str, int] = {}
        self.handles: list[Handle[Any]] = []

    def name(self, step: str) -> StepId:
        """A new id for a step of this name: the same program gives the same ids in the same order."""
        count = self.counts.get(step, 0) + 1
        self.counts[step] = count
        return StepId(f"{self.prefix}{step}#{count}")


class Run(Generic[T]):
    """One execution of one program; ``await`` it for its ``RunResult``, whatever the outcome.

    Nothing of it is running any more when that is there: no task, no request, no timer. ``max_pending`` bounds the
    unfinished steps; a program that calls more at once gets an error that names the way out.
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
        max_pending: int = 100_000,
    ) -> None:
        self.id = id
        self.runtime = runtime
        self.loop = asyncio.get_running_loop()
        self.machine = Machine(limits)
        self.sessions = count(1)
        self._clock = clock
        self._zero = clock()
        self._observers = list(observers)
        self._max_pending = max_pending
        self._tasks: dict[Handle[Any], asyncio.Task[None]] = {}
        self._handles: dict[Node, Handle[Any]] = {}
        self._wide: dict[tuple[Node, ...], Node | None] = {}
        self._cancelled: str | None = None
        self._usage = Usage()
        self._emit_started(spec, args, kwargs, wall())
        root = Node(StepId(spec.name), spec.name, "program")
        self._root: Handle[T] = Handle(self, root, spec, args, kwargs, False, copy_context())
        self._root.scope = Scope("")
        self._handles[root] = self._root
        self._carry_out(self.machine.add(root, self.now))
        self.ending = self.loop.create_task(self._end())

    def __await__(self) -> Generator[Any, None, RunResult[T]]:
        return asyncio.shield(self.ending).__await__()

    @property
    def now(self) -> float:
        """Seconds since the run started."""
        return self._clock() - self._zero

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
            self.cancel_step(self._root)

    def cancel_step(self, handle: Handle[Any]) -> bool:
        """Cancel one step and the steps it called. ``False`` when it is finished already."""
        if handle.node.finished:
            return False
        self._carry_out(self.machine.cancel(handle.node, self.now))
        return True

    # -- calling steps ---------------------------------------------------------------------------------------

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
        scope = parent.scope or self._open(parent)
        self._check_open(parent, spec)
        found = _handles_in(spec, args, kwargs)
        nested = bool(found)
        found.extend(after)
        inputs = self._inputs(found, spec, scope, parent) if found else ()
        here = current_trail()
        front = here.front() if here.nodes or here.branches else ()
        if len(front) > WIDE_FRONT:
            join = self._join(scope, parent, after=front)
            here.replace(front, join)
            front = (join,)
        if inputs and front:
            front = tuple(node for node in front if node not in inputs)
        above = None if parent is self._root else parent.node
        node = Node(
            scope.name(spec.name),
            spec.name,
            spec.kind,
            inputs=inputs,
            after=front,
            parent=above,
            lane=spec.lane,
            priority=spec.priority,
            place=place,
        )
        handle: Handle[Any] = Handle(self, node, spec, args, kwargs, nested, copy_context())
        scope.handles.append(handle)
        self._handles[node] = handle
        instructions = self.machine.add(node, self.now)
        if self._observers:
            self._emit_added(node)
        if instructions:
            self._carry_out(instructions)
        return handle

    def _open(self, parent: Handle[Any]) -> Scope:
        parent.scope = scope = Scope(f"{parent.node.id}/")
        self._carry_out(self.machine.release(parent.node, self.now))
        return scope

    def _check_open(self, parent: Handle[Any], spec: StepSpec) -> None:
        if parent.node.finished:
            raise ProgramError(
                f"step {spec.name!r} was called by {parent.node.id!r}, which has ended; await steps before that"
            )
        if self.machine.unfinished >= self._max_pending:
            raise ProgramError(
                f"step {spec.name!r}: {self.machine.unfinished} steps of this run are unfinished, its limit is "
                f"{self._max_pending}; fan out with each(step, items, at_once=...), or raise max_pending"
            )

    def _inputs(self, found: list[Handle[Any]], spec: StepSpec, scope: Scope, parent: Handle[Any]) -> tuple[Node, ...]:
        for handle in found:
            if handle.run is not self:
                raise ProgramError(
                    f"step {spec.name!r} was given {handle.id!r} of another run ({handle.run.id}); "
                    f"await it there and pass the value"
                )
            handle.observed = True  # its failure is this step's failure now
        if len(found) == 1:
            return (found[0].node,)
        inputs = tuple(dict.fromkeys([handle.node for handle in found]))
        return inputs if len(inputs) <= WIDE_INPUTS else self._shared(inputs, scope, parent)

    def _shared(self, inputs: tuple[Node, ...], scope: Scope, parent: Handle[Any]) -> tuple[Node, ...]:
        if inputs not in self._wide:
            self._wide[inputs] = None
            return inputs
        join = self._wide[inputs]
        if join is None:
            join = self._wide[inputs] = self._join(scope, parent, inputs=inputs)
        return (join,)

    def _join(
        self, scope: Scope, parent: Handle[Any], inputs: tuple[Node, ...] = (), after: tuple[Node, ...] = ()
    ) -> Node:
        above = None if parent is self._root else parent.node
        node = Node(scope.name("join"), "join", "join", inputs=inputs, after=after, parent=above)
        instructions = self.machine.add(node, self.now)
        if self._observers:
            self._emit_added(node)
        self._carry_out(instructions)
        return node

    # -- carrying out ----------------------------------------------------------------------------------------

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for verb, node in instructions:
            if node.kind == "join":
                self._pass(verb, node)
                continue
            handle = self._handles[node]
            if verb == "start":
                self._tasks[handle] = self.loop.create_task(self._work(handle), context=handle.context)
            elif verb == "stop":
                self._stop(handle)
            else:
                self._drop(handle)

    def _pass(self, verb: str, join: Node) -> None:
        """A join has nothing to run: it is done as soon as its inputs are."""
        instructions = self.machine.finish(join, self.now) if verb == "start" else []
        self._emit_ended(join)
        self._carry_out(instructions)

    def _stop(self, handle: Handle[Any]) -> None:
        if handle.scope is not None:
            self._cancel_all(handle.scope)
        task = self._tasks.get(handle)
        if task is not None:
            task.cancel()

    def _drop(self, handle: Handle[Any]) -> None:
        node = handle.node
        if node.status == "cancelled":
            handle.settle_cancelled()
        else:
            node.error = self._upstream(node)
            handle.settle_error(node.error)
        self._emit_ended(node)

    def _upstream(self, node: Node) -> UpstreamFailed:
        because = node.because
        assert because is not None, "a skipped node has somebody to blame"
        what = "was cancelled" if because.error is None else f"failed: {brief(because.error)}"
        error = UpstreamFailed(f"step {node.id!r} never started, because step {because.id!r} {what}")
        error.__cause__ = because.error
        return error

    async def _work(self, handle: Handle[Any]) -> None:
        """One attempt at one step, from its arguments to its result."""
        node = handle.node
        owner.set(handle)
        trail.set(None)
        if self._observers:
            self._emit(StepStarted(self.id, self.now, node.id, node.attempt))
        try:
            value = await self._attempt(handle)
        except asyncio.CancelledError:
            self._was_cancelled(handle)
        except Exception as error:  # noqa: BLE001 - any step may raise anything: it becomes the step's result
            self._was_broken(handle, error)
        except BaseException as error:
            self._failed(handle, error)
            raise
        else:
            handle.settle(value)
            self._carry_out(self.machine.finish(node, self.now))
            if self._observers:
                self._emit_ended(node)
        finally:
            del self._tasks[handle]

    async def _attempt(self, handle: Handle[Any]) -> Any:
        args, kwargs = handle.args, handle.kwargs
        if handle.nested:
            args, kwargs = fill(args), fill(kwargs)
        try:
            if handle.spec.timeout is None:
                value = await handle.spec.body(*args, **kwargs)
            else:
                value = await self._in_time(handle, handle.spec.timeout, args, kwargs)
            if handle.scope is None and not isinstance(value, Handle):
                return value
            return await self._leave(handle, value)
        except Exception:
            if handle.scope is not None:
                await self._abandon(handle, handle.scope)
            raise

    async def _abandon(self, handle: Handle[Any], scope: Scope) -> None:
        """The body failed: its other steps end or finish, as it says, before anybody is told."""
        if handle.spec.siblings == "cancel":
            self._cancel_all(scope)
        await _ended(scope.handles)

    async def _in_time(self, handle: Handle[Any], seconds: float, args: Any, kwargs: Any) -> Any:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await handle.spec.body(*args, **kwargs)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the step's own
            raise StepTimeout(
                f"step {handle.id!r} ran longer than its timeout of {seconds:g} s (attempt {handle.node.attempt}); "
                f"raise timeout=, or find out what it waits for"
            ) from error

    async def _leave(self, handle: Handle[Any], value: Any) -> Any:
        """The body has returned: wait for the steps it called, and for the handles it returned."""
        returned: list[Handle[Any]] = []
        find(value, returned)
        for each in returned:
            await each
        children = handle.scope.handles if handle.scope else []
        await _ended(children)
        for child in children:
            if not child.observed and child.node.status in ("failed", "skipped"):
                await child
        return fill(value) if returned else value

    def _was_cancelled(self, handle: Handle[Any]) -> None:
        self._carry_out(self.machine.cancelled(handle.node, self.now))
        if handle.scope is not None:
            self._cancel_all(handle.scope)
        handle.settle_cancelled()
        self._emit_ended(handle.node)

    def _was_broken(self, handle: Handle[Any], error: Exception) -> None:
        node, spec = handle.node, handle.spec
        if handle.scope is None and self._cancelled is None and spec.may_retry(error, node.attempt):
            self._try_again(handle, error)
        else:
            self._failed(handle, error)

    def _try_again(self, handle: Handle[Any], error: Exception) -> None:
        node = handle.node
        delay = handle.spec.delay(node.attempt)
        if self._observers:
            self._emit(StepRetried(self.id, self.now, node.id, node.attempt, brief(error), delay))
        handle.context = handle.context.copy()
        self._carry_out(self.machine.suspend(node, self.now))
        self.loop.call_later(delay, self._resume, node)

    def _resume(self, node: Node) -> None:
        if node.status == "pending":  # not cancelled meanwhile
            self._carry_out(self.machine.resume(node, self.now))

    def _failed(self, handle: Handle[Any], error: BaseException) -> None:
        node = handle.node
        instructions = self.machine.fail(node, error, self.now)
        if not hasattr(error, "__agentrt_step__"):  # the first step to raise it is the one to name
            error.__agentrt_step__ = node.id  # type: ignore[attr-defined]
            error.add_note(node.story)
        handle.settle_error(error)
        self._emit_ended(node)
        self._carry_out(instructions)

    def _cancel_all(self, scope: Scope) -> None:
        for child in scope.handles:
            self.cancel_step(child)

    # -- the end ---------------------------------------------------------------------------------------------

    async def _end(self) -> RunResult[T]:
        root = self._root
        await _ended(self._handles.values())
        await self._reap()
        error = self._verdict()
        status: RunStatus = "done" if error is None else "cancelled" if isinstance(error, RunCancelled) else "failed"
        seconds = self.now
        self._emit(RunEnded(self.id, seconds, status, None if error is None else str(error)))
        value = root.result() if error is None else None
        return self._result(status, error, value, seconds)

    async def _reap(self) -> None:
        """Wait until no task is left; one that ignores its cancellation is named and left behind."""
        left = set(self._tasks.values())
        if left:
            _, left = await asyncio.wait(left, timeout=GRACE)
        if left:
            names = ", ".join(handle.id for handle, task in self._tasks.items() if task in left)
            _log.warning("run %s: still running %g s after being cancelled: %s", self.id, GRACE, names)

    def _verdict(self) -> RunError | None:
        root = self._root
        if self._cancelled is not None:
            return RunCancelled(f"run {self.id} was cancelled: {self._cancelled}")
        if root.cancelled():
            return RunCancelled(f"run {self.id} was cancelled: its program ended in CancelledError")
        cause = root.exception()
        if cause is None:
            return None
        step = getattr(cause, "__agentrt_step__", root.id)
        what = f"program {root.id!r}" if step == root.id else f"step {step!r}"
        failed = RunFailed(brief(cause) if f"step {step!r}" in str(cause) else f"{what} failed: {brief(cause)}")
        failed.__cause__ = cause
        return failed

    def _result(self, status: RunStatus, error: RunError | None, value: T | None, seconds: float) -> RunResult[T]:
        from agentrt.runtime.timing import critical_path_seconds

        nodes = self.nodes
        usage = sum((node.usage for node in nodes), Usage())
        edges = tuple((before.id, node.id) for node in nodes for before in (*node.inputs, *node.after))
        steps = tuple(StepRecord.of(node) for node in nodes)
        longest = critical_path_seconds(nodes)
        return RunResult(self.id, self._root.id, status, seconds, longest, steps, edges, usage, error, value)

    # -- telling ---------------------------------------------------------------------------------------------

    def text(self, handle: Handle[Any], text: str) -> None:
        """A running step has a piece of text."""
        if self._observers:
            self._emit(StepText(self.id, self.now, handle.id, text))

    def _emit(self, event: Event) -> None:
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - whatever it is, it must not break the run
                _log.exception("run %s: observer %r failed and is not told of anything further", self.id, observer)
                self._observers.remove(observer)

    def _emit_started(self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], wall: float) -> None:
        inputs = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
        self._emit(RunStarted(self.id, spec.name, inputs, wall))

    def _emit_added(self, node: Node) -> None:
        inputs, after = (tuple(before.id for before in edge) for edge in (node.inputs, node.after))
        above = node.parent.id if node.parent else None
        self._emit(StepAdded(self.id, node.added, node.id, node.name, node.kind, above, inputs, after))

    def _emit_ended(self, node: Node) -> None:
        if self._observers and node is not self._root.node:
            error = brief(node.error) if node.error else None
            self._emit(StepEnded(self.id, node.ended or self.now, node.id, node.status, error, node.usage))


def call(
    spec: StepSpec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    after: tuple[Handle[Any], ...] = (),
    depth: int = 2,
) -> Handle[Any]:
    """Call a step from the code of a running program. ``depth``: how many frames up the caller's line is, 0 nowhere."""
    parent = owner.get(None)
    if parent is None:
        raise ProgramError(
            f"{spec.name}() was called outside a run; call it inside a @program and start that with "
            f"agentrt.run(program, ...) or `agentrt run FILE.py`"
        )
    frame = sys._getframe(depth) if depth else None
    place = (frame.f_code.co_filename, frame.f_lineno) if frame else None
    return parent.run.submit(parent, spec, args, kwargs, place, after)


def _handles_in(spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Handle[Any]]:
    found: list[Handle[Any]] = []
    try:
        for value in args:
            find(value, found)
        for value in kwargs.values():
            find(value, found)
    except RecursionError as error:
        raise ProgramError(
            f"step {spec.name!r}: an argument contains itself, or is nested too deeply; pass a flat value"
        ) from error
    return found


async def _ended(handles: Iterable[Handle[Any]]) -> None:
    """Wait until all have ended, well or not; does not count as looking at them."""
    while pending := [handle for handle in handles if not handle.done()]:
        waiter = pending[0].run.loop.create_future()
        left = len(pending)

        def one_less(_: object, waiter: asyncio.Future[None] = waiter) -> None:
            nonlocal left
            left -= 1
            if not left and not waiter.done():
                waiter.set_result(None)

        for handle in pending:
            asyncio.Future.add_done_callback(handle, one_less)
        await waiter
