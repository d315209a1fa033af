"""What calling a step gives: a value that is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from agentrt.graph.machine import Node
from agentrt.runtime.trail import watch
from agentrt.types import StepId, StepStatus, Usage

if TYPE_CHECKING:
    from agentrt.runtime.limit import Limit
    from agentrt.runtime.run import Run
    from agentrt.runtime.scope import Scope
    from agentrt.runtime.spec import StepSpec

T = TypeVar("T")


class Handle(asyncio.Future[T]):
    """The value of a step that has been called; ``await`` gives it, as often as you like.

    Handed to another step, alone or inside lists, tuples, sets, dicts, dataclasses and models, it makes that step
    wait for the value. It is an ``asyncio.Future``: ``gather``, ``wait``, ``wait_for``, ``shield`` and ``timeout`` take
    it as they take any other, and ``cancel()`` cancels the step. A failed step raises its own exception here, with the
    step's story as a note; a step that never started because of another's failure raises ``UpstreamFailed``.
    """

    __slots__ = (
        "_pieces",
        "_wakers",
        "args",
        "begun",
        "context",
        "kwargs",
        "limit",
        "listened",
        "lost",
        "nested",
        "node",
        "observed",
        "parent",
        "run",
        "scope",
        "spec",
        "stopping",
    )

    def __init__(
        self,
        run: Run[Any],
        node: Node,
        spec: StepSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        nested: bool,
        context: Context,
        parent: Handle[Any] | None = None,
    ) -> None:
        super().__init__(loop=run.loop)
        self.run = run
        self.node = node
        self.spec = spec
        self.args = args
        self.kwargs = kwargs
        self.nested = nested
        self.context = context
        self.parent = parent
        self.begun = False
        self.stopping = False
        self.observed = False
        self.listened = False  # somebody streams it
        self.lost = 0  # attempts that ended with their process
        self.limit: Limit | None = None
        self.scope: Scope | None = None
        self._pieces: list[str] | None = None  # most steps have no text: no lists for them
        self._wakers: tuple[asyncio.Future[None], ...] = ()

    def __repr__(self) -> str:
        return f"<Handle {self.node.id} {self.node.status}>"

    @property
    def id(self) -> StepId:
        """The step's id in its run's graph."""
        return self.node.id

    @property
    def status(self) -> StepStatus:
        """Where the step is in its life."""
        return self.node.status

    @property
    def ref(self) -> T:
        """This handle, seen by the type checker as the value it will have; for passing it to a typed step.

        The mypy plugin ``agentrt.mypy`` makes it unnecessary there; other checkers cannot know that steps take handles.
        """
        return self  # type: ignore[return-value]

    async def stream(self) -> AsyncIterator[str]:
        """The step's text, piece by piece as the model writes it; ends with the step, raises what the step raises.

        Pieces of every attempt are given. Any number of readers may stream one handle; each gets everything.
        """
        seen = 0
        if not self.listened:
            self.listened = True
            self.run.listened(self, "".join(self._pieces or ()))
        while True:
            while self._pieces and seen < len(self._pieces):
                seen += 1
                yield self._pieces[seen - 1]
            if self.done():
                break
            waker = self.run.loop.create_future()
            self._wakers = (*self._wakers, waker)
            await waker
        await self

    def emit(self, text: str) -> None:
        """Hand on a piece of text; for executors and step bodies."""
        if text:
            self.give(text)
            if self.listened:
                self.run.listened(self, text)

    def give(self, text: str) -> None:
        """Hand on a piece of text that is written down already."""
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(text)
        self.run.text(self, text)
        self._wake()

    def __journal__(self) -> str:
        return self.node.id

    def spend(self, usage: Usage) -> None:
        """Add tokens to what the step has used."""
        self.node.usage += usage

    # -- the future's own face -------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
        else:
            watch(self.node)
        return self.result()

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self.id!r} is a handle, its value is on its way; write: in await ...")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError(
            f"{self.id!r} is a handle, its value is on its way; await it for a text, or pass it to a step as it is"
        )

    if not TYPE_CHECKING:  # type checkers know better which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            text = f"a handle has no {name!r}; its value may, write: (await ...).{name}"
            raise AttributeError(text, name=name, obj=self)

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Call ``fn`` with this handle when it is done; also how ``await`` and ``gather`` wait for it."""
        watch(self.node)
        super().add_done_callback(fn, context=context)

    def result(self) -> T:
        """The value, or the step's exception; ``InvalidStateError`` while it is not done."""
        self.observed = True
        return super().result()

    def exception(self) -> BaseException | None:
        """The step's exception, ``None`` when it has a value; ``InvalidStateError`` while it is not done."""
        self.observed = True
        return super().exception()

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the step; what depends on it is skipped. ``False`` when it is finished already."""
        return self.run.cancel_step(self)

    # -- for the run -----------------------------------------------------------------------------------------

    def settle(self, value: T) -> None:
        """The step is done. A handle that somebody else resolved already stays as it is."""
        if not self.done():
            self.set_result(value)
            self._let_go()

    def settle_error(self, error: BaseException) -> None:
        """The step has no value. That nobody looks at the error is the run's concern, not asyncio's."""
        if not self.done():
            self.set_exception(error)
            self._log_traceback = False
            self._let_go()

    def settle_cancelled(self) -> None:
        """The step was cancelled."""
        if not self.done():
            super().cancel()
            self._let_go()

    def _let_go(self) -> None:
        """Wake the readers, and drop what only running needed: a run keeps its handles to its end."""
        del self.args, self.kwargs, self.context
        self._wake()

    def _wake(self) -> None:
        if self._wakers:
            wakers, self._wakers = self._wakers, ()
            for waker in wakers:
                if not waker.done():
                    waker.set_result(None)


owner: ContextVar[Handle[Any]] = ContextVar("agentrt_owner")
"""The step (or the program) whose code is running; steps called now become its children."""
