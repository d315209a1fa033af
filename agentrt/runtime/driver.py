"""Carries out what the scheduler core says, on asyncio, and tells it what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrt.errors import StepSkipped
from agentrt.events import GraphChange
from agentrt.graph.edits import Change
from agentrt.graph.machine import Instruction, Machine, Node
from agentrt.runtime.absent import NotCalled, filled
from agentrt.runtime.bodies import all_ended, whole
from agentrt.runtime.feed import Feed
from agentrt.runtime.handle import Handle, owner
from agentrt.runtime.limit import in_time
from agentrt.runtime.scope import Scope
from agentrt.runtime.trail import Trail, trail
from agentrt.runtime.verdicts import refuse, settle_unrun, sign
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.runtime.durable.scribe import Scribe


class Driver:
    """One asyncio task for each running attempt of a step; no state of its own but those tasks and the handles.

    With a ``scribe``, results are handed on when they are in the journal, and recorded steps are not run.
    """

    def __init__(self, machine: Machine, feed: Feed, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.handles: dict[Node, Handle[Any]] = {}
        self.tasks: dict[Handle[Any], asyncio.Task[None]] = {}
        self.closing = False
        self.loop = loop
        self.scribe: Scribe | None = None
        self.edit_again: Callable[[dict[str, Any]], object]  # makes an edit from outside again; set by the run
        self._machine = machine
        self._feed = feed
        self._now = now

    def add(self, handle: Handle[Any]) -> None:
        """Put a step into the graph; it starts at once if it can."""
        self.handles[handle.node] = handle
        if self.scribe is not None and handle.parent is not None:
            self.scribe.called(handle)
        instructions = self._machine.add(handle.node, self._now())
        self._feed.added(handle.node)
        if instructions:
            self._carry_out(instructions)

    def add_join(self, join: Node, handle: Handle[Any] | None = None) -> None:
        """Put a join into the graph; there is nothing to run. One that was called has a ``handle``."""
        if handle is not None:
            self.handles[join] = handle
        instructions = self._machine.add(join, self._now())
        self._feed.added(join)
        self._carry_out(instructions)

    def edit(
        self,
        changes: Sequence[Change],
        handles: Sequence[Handle[Any]],
        story: tuple[GraphChange, ...],
        idle: Collection[Node],
    ) -> None:
        """Change the graph, where that has been checked; ``handles`` come into it, observers are told the ``story``."""
        for handle in handles:
            self.handles[handle.node] = handle
            if self.scribe is not None and handle.node.kind != "join":
                self.scribe.called(handle)
        instructions = self._machine.edit(changes, self._now(), idle)
        if self.scribe is not None:
            self.scribe.rewired(change.node for change in changes)
        for handle in handles:
            self._feed.added(handle.node)
        self._feed.edited(self._machine.version, story)
        self._carry_out(instructions)

    def held_back(self) -> set[Node]:
        """Steps that were told to start, and wait until the recording is used up."""
        if self.scribe is None or not self.scribe.replaying:
            return set()
        return {
            node
            for node, handle in self.handles.items()
            if node.status == "running" and handle not in self.tasks and handle.parent is not None
        }

    def scope_of(self, handle: Handle[Any]) -> Scope:
        """Where the running step's calls go; while it waits for them, in every attempt, others may have its place."""
        scope = handle.scope
        if scope is None:
            scope = handle.scope = Scope(f"{handle.node.id}/")
        if handle.node.holds:
            self._carry_out(self._machine.release(handle.node, self._now()))
        return scope

    def cancel(self, handle: Handle[Any]) -> bool:
        """Cancel a step and what it called. ``False`` when it is finished already."""
        if handle.node.finished:
            return False
        for one in _deepest_first([handle]):
            self._carry_out(self._machine.cancel(one.node, self._now()))
        return True

    def leave_behind(self) -> list[StepId]:
        """Count the steps that still run as cancelled; give those that held it up.

        Nobody waits for them any more, ``asyncio.run`` neither, which would wait for ever before it closes its loop.
        """
        left = [handle for handle in self.tasks if not handle.node.finished]
        callers = {handle.parent for handle in left}
        for handle in left:
            self.tasks[handle].cancel()
            _disown(self.tasks[handle])
            self._was_cancelled(handle)
        return [handle.id for handle in left if handle not in callers]

    def of(self, step: StepId) -> Handle[Any] | None:
        """The handle of a step, ``None`` before it is called."""
        node = self._machine.nodes.get(step)
        return None if node is None else self.handles.get(node)

    def start(self, handle: Handle[Any]) -> None:
        """Run a step that may run now."""
        handle.begun = handle.stopping = False
        self.tasks[handle] = self.loop.create_task(self._work(handle), context=handle.context)

    def land(self, handle: Handle[Any], outcome: Any) -> None:
        """The step has its result: hand it on. Nothing happens when it was left behind meanwhile."""
        if handle.node.finished:
            return
        value_of = handle.spec.value_of
        value = outcome if value_of is None else value_of(outcome, *handle.args)
        instructions = self._machine.finish(handle.node, self._now())
        handle.settle(value)
        self._feed.ended(handle.node)
        self._carry_out(instructions)

    def land_failure(self, handle: Handle[Any], error: BaseException) -> None:
        """The step has failed for good: hand that on."""
        node = handle.node
        if node.finished:
            return
        instructions = self._machine.fail(node, error, self._now())
        sign(error, node)
        handle.settle_error(error)
        self._feed.ended(node)
        self._carry_out(instructions)

    def cannot_land(self, handle: Handle[Any]) -> None:
        """The step has a result that cannot be kept, so nobody is told it."""
        self._was_cancelled(handle)

    # -- instructions ----------------------------------------------------------------------------------------

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for verb, node in instructions:
            if node.kind == "join":
                self._pass(verb, node)
                continue
            handle = self.handles[node]
            if verb == "start":
                if self.scribe is None or handle.parent is None or self.scribe.admits(handle):
                    self.start(handle)
            elif verb == "stop":
                self._stop(handle)
            else:
                self._drop(handle)

    def _pass(self, verb: str, join: Node) -> None:
        """A join takes no time: when it starts it has its value, of its inputs' values, or is not wanted."""
        handle = self.handles.get(join)
        instructions: list[Instruction] = []
        if handle is None:
            instructions = self._machine.finish(join, self._now()) if verb == "start" else []
        elif verb == "start":
            instructions = self._joined(handle)
        else:
            settle_unrun(handle)
        self._feed.ended(join)
        self._carry_out(instructions)

    def _joined(self, handle: Handle[Any]) -> list[Instruction]:
        node, by_node = handle.node, {one.node: one for one in handle.args}
        assert handle.spec.value_of is not None, "a join that was called makes its value of others"
        try:
            value = handle.spec.value_of([by_node[before] for before in node.inputs])
        except StepSkipped as error:
            instructions = self._machine.decline(node, self._now())
            refuse(handle, error)
        except Exception as error:  # noqa: BLE001 - a condition is the user's code
            instructions = self._machine.fail(node, error, self._now())
            refuse(handle, error)
        else:
            instructions = self._machine.finish(node, self._now())
            handle.settle(value)
        return instructions

    def _stop(self, handle: Handle[Any]) -> None:
        if handle.stopping:
            return  # a second cancel would break into its clean-up
        handle.stopping = True
        task = self.tasks.get(handle)
        if task is not None:
            task.cancel()
        if not handle.begun:  # asyncio drops it before its first line: nobody else will report the end
            self.tasks.pop(handle, None)
            self._was_cancelled(handle)

    def _drop(self, handle: Handle[Any]) -> None:
        settle_unrun(handle)
        self._feed.ended(handle.node)
        if self.scribe is not None:
            self.scribe.dropped(handle.node)

    def _cancel_all(self, scope: Scope) -> None:
        for one in _deepest_first(scope.handles):
            self._carry_out(self._machine.cancel(one.node, self._now()))

    # -- one attempt -----------------------------------------------------------------------------------------

    async def _work(self, handle: Handle[Any]) -> None:
        """One attempt at one step, from its arguments to its result."""
        node = handle.node
        handle.begun = True
        owner.set(handle)
        trail.set(Trail(self.tasks[handle]))  # made here, so that tasks which the step makes find whose they are
        self._feed.started(node)
        try:
            value = await self._attempt(handle)
        except asyncio.CancelledError:
            self._was_cancelled(handle)
        except (KeyboardInterrupt, GeneratorExit) as error:
            self._failed(handle, error)
            raise  # it is the loop's too: it ends
        except NotCalled as error:
            self._not_called(handle, error)
        except BaseException as error:  # noqa: BLE001 - whatever a step raises becomes its result
            self._was_broken(handle, error)
        else:
            self._has_result(handle, value)
        finally:
            del self.tasks[handle]

    def _has_result(self, handle: Handle[Any], outcome: Any) -> None:
        if self.scribe is None:
            self.land(handle, outcome)
        elif handle.parent is None:
            self.scribe.ended(partial(self.land, handle, outcome))
        elif not handle.node.finished:  # else it was left behind, and is late
            self.scribe.done(handle, outcome)

    async def _attempt(self, handle: Handle[Any]) -> Any:
        args, kwargs = handle.args, handle.kwargs
        if handle.nested:
            args, kwargs = filled(handle)
        try:
            if handle.spec.timeout is None:
                return await whole(handle, args, kwargs)
            return await in_time(handle, handle.spec.timeout, whole(handle, args, kwargs))
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            if handle.scope is not None:
                await self._abandon(handle, handle.scope)
            raise

    async def _abandon(self, handle: Handle[Any], scope: Scope) -> None:
        """The body failed: the other steps that it called end or finish, as it says, before anybody is told."""
        if handle.spec.siblings == "cancel":
            self._cancel_all(scope)
        await all_ended(scope.handles)

    def _was_cancelled(self, handle: Handle[Any]) -> None:
        if handle.node.finished:
            return
        instructions = self._machine.cancelled(handle.node, self._now())
        if handle.scope is not None:
            self._cancel_all(handle.scope)
        handle.settle_cancelled()
        self._feed.ended(handle.node)
        if self.scribe is not None and handle.parent is not None:
            self.scribe.dropped(handle.node)
        self._carry_out(instructions)

    def _not_called(self, handle: Handle[Any], error: StepSkipped) -> None:
        instructions = self._machine.decline(handle.node, self._now())
        refuse(handle, error)
        self._feed.ended(handle.node)
        if self.scribe is not None:
            self.scribe.dropped(handle.node)
        self._carry_out(instructions)

    def _was_broken(self, handle: Handle[Any], error: BaseException) -> None:
        try:
            again = not self.closing and handle.spec.may_retry(error, handle.node.attempt - handle.lost)
        except Exception as broken:  # noqa: BLE001 - ``retry_on`` is the user's code; its error has this one as context
            self._failed(handle, broken)
            return
        if again:
            self._try_again(handle, error)
        else:
            self._failed(handle, error)

    def _try_again(self, handle: Handle[Any], error: BaseException) -> None:
        node = handle.node
        delay = handle.spec.delay(node.attempt)
        self._feed.retried(node, error, delay)
        if self.scribe is not None:
            self.scribe.retried(node, error, delay)
        handle.context = handle.context.copy()
        if handle.scope is not None:
            handle.scope.handles.clear()  # they have ended; what failed among them was this attempt's
        self._carry_out(self._machine.suspend(node, self._now()))
        self.loop.call_later(delay, self._resume, node)

    def _resume(self, node: Node) -> None:
        if node.status == "pending":  # not cancelled meanwhile
            self._carry_out(self._machine.resume(node, self._now()))

    def _failed(self, handle: Handle[Any], error: BaseException) -> None:
        if self.scribe is None:
            self.land_failure(handle, error)
        elif handle.parent is None:
            self.scribe.ended(partial(self.land_failure, handle, error))
        elif not handle.node.finished:
            self.scribe.failed(handle, error)


def _disown(task: asyncio.Task[None]) -> None:
    asyncio.tasks._unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it has been told already


def _deepest_first(handles: Iterable[Handle[Any]]) -> list[Handle[Any]]:
    """The steps and all that they called; no recursion, so that programs may nest deeply."""
    found = list(handles)
    for one in found:  # grows meanwhile
        if one.scope is not None:
            found.extend(one.scope.handles)
    return found[::-1]
