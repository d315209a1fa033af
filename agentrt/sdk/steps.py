"""Steps: functions whose calls become nodes of the run's graph."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from functools import update_wrapper
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypedDict, TypeVar, Unpack, cast, overload

from agentrt.errors import ConfigError
from agentrt.runtime import Handle, Siblings, StepSpec, call
from agentrt.sdk.threads import in_thread

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

_GENERATORS: Final = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)

RetryOn = Callable[[BaseException], bool] | tuple[type[BaseException], ...]


class Options(TypedDict, total=False):
    """How a step is run, given to its decorator or to ``with_``.

    ``retries``: attempts after the first (0), the ``n``-th after ``backoff * 2**(n-1)`` seconds (0.5), for errors that
    ``retry_on`` names or accepts (every ``Exception``). ``timeout``: seconds for each attempt (no limit). ``priority``:
    larger goes first when places are short (0). ``after``: handles of steps to wait for beside those in the arguments.
    ``idempotent``: whether running it twice harms nobody. It matters when a process died while the step ran and the run
    is resumed: yes runs it again, no stops the resume until it is asked for (``rerun``), left out runs it again and
    says so of a tool (``None``).
    """

    retries: int
    backoff: float
    retry_on: RetryOn
    timeout: float | None
    priority: int
    after: Iterable[Handle[Any]]
    idempotent: bool | None


class Step(Generic[P, R]):
    """A function turned into a step. Calling it inside a running program gives a ``Handle`` at once.

    Arguments may be handles, or hold them; the step starts when all of them have values.
    """

    def __init__(self, spec: StepSpec, function: Callable[..., Any], after: tuple[Handle[Any], ...] = ()) -> None:
        self.spec = spec
        self.function = function
        self._after = after
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Call the step; the value is on its way."""
        return call(self.spec, args, kwargs, self._after)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Step[Concatenate[Any, Q], R], instance: object, owner: type | None = None) -> Step[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """In a class, a step of a method: ``self.fetch("otters")`` binds ``self`` as it does for functions."""
        return self._bound(instance, owner)

    def _bound(self, instance: object, owner: type | None) -> Any:
        bind = getattr(type(self.function), "__get__", None)
        if instance is None or bind is None:
            return self
        method = bind(self.function, instance, owner)
        return type(self)(replace(self.spec, body=body_of(method)), method, self._after)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self.name}>"

    @property
    def name(self) -> str:
        """The step's name; ids of its calls are ``name#1``, ``name#2``, ..."""
        return self.spec.name

    def with_(self, **options: Unpack[Options]) -> Self:
        """The same step, run with other options; this one stays as it is."""
        after = tuple(options.get("after", self._after))
        return type(self)(changed(self.spec, options), self.function, after)


def changed(spec: StepSpec, options: Options) -> StepSpec:
    """The spec with options laid over it, ``after`` apart, which concerns the calls.

    Raises ``ConfigError`` naming an option there is not.
    """
    known = Options.__annotations__.keys()
    unknown = options.keys() - known
    if unknown:
        raise ConfigError(
            f"step {spec.name!r}: no option {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}"
        )
    own = {name: value for name, value in options.items() if name != "after"}
    return replace(spec, **cast("dict[str, Any]", own))


def body_of(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """What runs for a step: a coroutine function as it is, a plain function in a thread of its own.

    Raises ``ConfigError`` for a generator function, whose call gives no value.
    """
    of_object = getattr(type(function), "__call__", None)  # noqa: B004 - not whether, but which
    if any(kind(one) for one in (function, of_object) for kind in _GENERATORS):
        raise ConfigError(
            f"step {_name(function)!r} is a generator function; return a list, or loop over it inside the step"
        )
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(of_object):
        return function
    return in_thread(function)


@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(*, name: str | None = None, **options: Unpack[Options]) -> StepDecorator: ...
def step(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Unpack[Options]) -> Any:
    """Make a step of plain Python: ``@step`` or ``@step(timeout=5)``.

    A coroutine function runs in the event loop; a plain function runs in a thread, which cannot be interrupted: when it
    times out or is cancelled its step ends, its thread ends when the function does.
    """
    decorator = StepDecorator(name, options)
    return decorator if function is None else decorator(function)


class StepDecorator:
    """``@step(...)`` with its options, waiting for its function."""

    def __init__(self, name: str | None, options: Options) -> None:
        self._name = name
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        """The step."""
        name = self._name or _name(function)
        spec = StepSpec(name, "python", body_of(function), lane="python")
        return Step(changed(spec, self._options), function, tuple(self._options.get("after", ())))


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


class Program(Step[P, R]):
    """A program: a step that calls steps. Outside a run, ``agentrt.run(program, ...)`` starts it."""

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: Program[Concatenate[Any, Q], R], instance: object, owner: type | None = None
    ) -> Program[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """In a class, the program of a method."""
        return self._bound(instance, owner)


@overload
def program(function: Callable[P, Coroutine[Any, Any, R]], /) -> Program[P, R]: ...
@overload
def program(
    *, name: str | None = None, siblings: Siblings = "cancel", **options: Unpack[Options]
) -> ProgramDecorator: ...
def program(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    siblings: Siblings = "cancel",
    **options: Unpack[Options],
) -> Any:
    """Make a program of a coroutine function: ``@program`` or ``@program(siblings="finish")``.

    When the program raises, ``siblings`` says what becomes of its other steps: ``"cancel"`` ends them, ``"finish"``
    lets them run to their end first. A program called inside another one is a sub-program: a step that holds steps.
    """
    decorator = ProgramDecorator(name, siblings, options)
    return decorator if function is None else decorator(function)


class ProgramDecorator:
    """``@program(...)`` with its options, waiting for its function."""

    def __init__(self, name: str | None, siblings: Siblings, options: Options) -> None:
        self._name = name
        self._siblings = siblings
        self._options = options

    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Program[P, R]:
        """The program. Raises ``ConfigError`` for a plain function."""
        name = self._name or _name(function)
        if not inspect.iscoroutinefunction(function):
            raise ConfigError(f"program {name!r} is not a coroutine function; write `async def {name}(...)`")
        spec = StepSpec(name, "program", function, siblings=self._siblings)
        return Program(changed(spec, self._options), function, tuple(self._options.get("after", ())))
