"""``edit()``: change the running program's graph, all at once or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from agentrt.errors import ProgramError
from agentrt.runtime import Handle, outside_a_run, owner
from agentrt.runtime.documents import EditDocument, parsed, taken_over
from agentrt.runtime.editing import Editing
from agentrt.sdk.steps import Step

T = TypeVar("T")


def edit() -> GraphEdit:
    """Change steps of the running program that have not started: ``async with edit() as change: ...``.

    The changes are applied together at the end of the block, or refused together: ``EditRefused`` then says every
    reason, and nothing has changed. An exception in the block gives them up. A program may change every step of its
    run, another step those that it called itself. Raises ``ProgramError`` outside a program.
    """
    caller = owner.get(None)
    if caller is None:
        raise outside_a_run("edit()")
    return GraphEdit(caller)


class GraphEdit:
    """The changes of one edit. ``version`` is the graph's from when they are applied, ``None`` before."""

    def __init__(self, maker: Handle[Any]) -> None:
        self._editing: Editing = maker.run.editing(maker)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            self._editing.commit()
        else:
            self._editing.discard(error)

    @property
    def version(self) -> int | None:
        """How many edits the graph has seen, this one included."""
        return self._editing.version

    def insert(self, step: Callable[..., Handle[T]], /, *args: Any, **kwargs: Any) -> Handle[T]:
        """Call a step, an agent, or a join, once the edit is applied; the handle may be used in it and after it."""
        with self._editing.calling():
            made = step(*args, **kwargs)
        if not isinstance(made, Handle):
            raise ProgramError(f"insert({step!r}, ...) gave {made!r}; expected a step or an agent, and its arguments")
        frame = sys._getframe(1)
        made.node.place = (frame.f_code.co_filename, frame.f_lineno)
        return made

    def drop(self, *handles: Handle[Any], unless_started: bool = False) -> None:
        """Take steps out of the graph; ``await`` of one raises ``StepSkipped``.

        What takes their values has to be dropped or rewired too. One that has started refuses the edit, or is left
        alone with ``unless_started``.
        """
        for handle in handles:
            self._editing.drop(handle, unless_started=unless_started)

    def rewire(self, handle: Handle[Any], exchange: Mapping[Handle[Any], Any]) -> None:
        """Have a step take other steps, or values, in the place of some that it takes: ``{old: new}``."""
        self._editing.rewire(handle, exchange)

    def replace(self, handle: Handle[Any], /, *args: Any, **kwargs: Any) -> None:
        """Call a step with other arguments, an agent with another prompt."""
        self._editing.replace(handle, args, kwargs)

    def split(self, handle: Handle[Any], parts: Sequence[Handle[Any]], by: Step[..., Any] | None = None) -> None:
        """Let other steps do the work of one, which then puts together what they give.

        It takes the list of their values as its only argument; with ``by``, that step's function does so in its place.
        """
        self._editing.split(handle, parts, None if by is None else by.spec)

    def apply(self, document: Mapping[str, Any] | str | EditDocument) -> dict[str, Handle[Any]]:
        """Take over the changes of a document, as a planner writes it; gives the steps that it names."""
        return taken_over(self._editing, parsed(document))
