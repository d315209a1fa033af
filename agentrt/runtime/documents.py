"""Edits of a running graph as plain data: what a planner writes, a file holds and the command line hands on.

    {"changes": [
      {"do": "insert", "step": "search", "args": ["bees"], "as": "bees"},
      {"do": "rewire", "step": "report#1", "inputs": {"search#1": "bees"}},
      {"do": "drop", "step": "search#1"},
      {"do": "replace", "step": "editor#1", "args": ["Shorter, please:", {"$step": "report#1"}]},
      {"do": "split", "step": "summary#1", "into": [{"step": "summarise", "args": ["part 1"]}], "by": "merge"}
    ]}

Steps of the graph stand in it under their ids, inserted ones under the name that ``as`` gives them, and
``{"$step": "..."}`` inside arguments is the value of that step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentrt.errors import ConfigError
from agentrt.runtime.editing import Editing, Outside
from agentrt.runtime.handle import Handle, owner
from agentrt.runtime.run import Run
from agentrt.runtime.spec import StepSpec

REFERENCE: Final = "$step"

Steps: TypeAlias = Mapping[str, Any]
"""What a document may insert, by name: steps, tools, agents, programs."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class NewStep(_Part):
    """A step to call. ``name`` is what the rest of the document knows it by; ``after`` are steps to wait for."""

    step: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    after: list[str] = []
    name: str | None = Field(None, alias="as")


class InsertStep(NewStep):
    """A new step."""

    do: Literal["insert"]


class DropStep(_Part):
    """A step leaves."""

    do: Literal["drop"]
    step: str


class RewireStep(_Part):
    """A step takes other steps in the place of some that it takes."""

    do: Literal["rewire"]
    step: str
    inputs: dict[str, str]


class ReplaceArguments(_Part):
    """A step gets other arguments."""

    do: Literal["replace"]
    step: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class SplitStep(_Part):
    """New steps do the work of a step; it puts together what they give, by the step ``by`` if there is one."""

    do: Literal["split"]
    step: str
    into: list[NewStep]
    by: str | None = None


AnyChange = Annotated[InsertStep | DropStep | RewireStep | ReplaceArguments | SplitStep, Field(discriminator="do")]


class EditDocument(_Part):
    """One edit. New steps become parts of the running step ``parent``, of the program itself if there is none."""

    changes: list[AnyChange]
    parent: str | None = None


def parsed(document: Mapping[str, Any] | str | EditDocument) -> EditDocument:
    """The document, as JSON text or parsed. Raises ``ConfigError`` saying where it is no such document."""
    try:
        if isinstance(document, str):
            return EditDocument.model_validate_json(document)
        return EditDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ConfigError(f"the edit cannot be read: {where}: {first['msg']}") from error


def applied(
    run: Run[Any],
    root: Handle[Any],
    document: Mapping[str, Any] | str | EditDocument,
    steps: Steps | None = None,
    *,
    then: Callable[[], Any] | None = None,
    again: bool = False,
) -> int:
    """Apply a document to a run, from outside its program; gives the graph's version.

    ``then`` is called when it is on disk; ``again`` says that it is there already. Raises what ``parsed`` raises, and
    ``EditRefused``.
    """
    read, editing = parsed(document), run.editing()
    parent = root if read.parent is None else run.step(read.parent)
    if parent is None or parent.node.finished:
        editing.refuse(f"there is no running step {read.parent!r} to insert steps into")
    else:
        context = copy_context()
        context.run(owner.set, parent)
        context.run(taken_over, editing, read, steps)
    return editing.commit(Outside(read.model_dump(by_alias=True), then, again))


def taken_over(editing: Editing, document: EditDocument, steps: Steps | None = None) -> dict[str, Handle[Any]]:
    """Put the changes of a document into an edit; gives the steps that it names. What is wrong refuses the edit."""
    taker = _Taker(editing, known_steps(editing.run) if steps is None else steps)
    for change in document.changes:
        taker.take(change)
    return taker.named


def known_steps(run: Run[Any]) -> Steps:
    """The steps, tools, agents and programs that the program's module has, by their names."""
    there = getattr(inspect.unwrap(run.spec.body), "__globals__", {}).values()
    return {one.spec.name: one for one in there if callable(one) and isinstance(getattr(one, "spec", None), StepSpec)}


class _Taker:
    """Reads the changes of one document in their order."""

    def __init__(self, editing: Editing, steps: Steps) -> None:
        self.named: dict[str, Handle[Any]] = {}
        self._editing = editing
        self._steps = steps

    def take(self, change: AnyChange) -> None:
        """Note one change, or what is wrong with it."""
        try:
            self._take(change)
        except LookupError as error:
            self._editing.refuse(str(error.args[0]))

    def _take(self, change: AnyChange) -> None:
        if isinstance(change, InsertStep):
            self._made(change)
            return
        handle = self._found(change.step)
        match change:
            case DropStep():
                self._editing.drop(handle)
            case RewireStep():
                exchange = {self._found(old): self._found(new) for old, new in change.inputs.items()}
                self._editing.rewire(handle, exchange)
            case ReplaceArguments():
                self._editing.replace(handle, tuple(self._value(change.args)), self._value(change.kwargs))
            case SplitStep():
                by = None if change.by is None else self._step(change.by).spec
                self._editing.split(handle, [self._made(one) for one in change.into], by)

    def _found(self, name: str) -> Handle[Any]:
        handle = self.named.get(name) or self._editing.run.step(name)
        if handle is None:
            raise LookupError(f"there is no step {name!r}, neither in the graph nor inserted above under that name")
        return handle

    def _step(self, name: str) -> Any:
        if name not in self._steps:
            known = ", ".join(sorted(self._steps)) or "none"
            raise LookupError(f"the program has no step called {name!r} (there are: {known})")
        return self._steps[name]

    def _value(self, data: Any) -> Any:
        """Arguments with handles where the document names steps."""
        if isinstance(data, list):
            return [self._value(one) for one in data]
        if not isinstance(data, dict):
            return data
        if data.keys() == {REFERENCE}:
            return self._found(str(data[REFERENCE]))
        return {key: self._value(one) for key, one in data.items()}

    def _made(self, new: NewStep) -> Handle[Any]:
        step, args, kwargs = self._step(new.step), self._value(new.args), self._value(new.kwargs)
        if new.after:
            step = step.with_(after=[self._found(one) for one in new.after])
        if new.name in self.named:
            raise LookupError(f"two steps are inserted under the name {new.name!r}")
        handle = self._called(new.step, step, args, kwargs)
        if new.name is not None:
            self.named[new.name] = handle
        return handle

    def _called(self, name: str, step: Any, args: list[Any], kwargs: dict[str, Any]) -> Handle[Any]:
        try:
            if step.spec.given is None:
                inspect.signature(step.spec.body).bind(*args, **kwargs)
            with self._editing.calling():
                made: Handle[Any] = step(*args, **kwargs)
        except TypeError as error:
            raise LookupError(f"step {name!r} cannot be called so: {error}") from error
        return made
