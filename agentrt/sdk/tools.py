"""Tools: steps that a model can call too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from agentrt.errors import ConfigError, ToolError
from agentrt.runtime import Handle, StepSpec, call
from agentrt.sdk.steps import Options, Step, _name, body_of, changed
from agentrt.sdk.text import problems
from agentrt.types import ToolSpec

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


class Tool(Step[P, R]):
    """A step with a name, a description and a JSON schema that models are told of.

    The schema comes from the function's type hints through pydantic; the description is its docstring.
    """

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Tool[Concatenate[Any, Q], R], instance: object, owner: type | None = None) -> Tool[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """In a class, the tool of a method; models are told nothing of ``self``."""
        return self._bound(instance, owner)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The pydantic model of the arguments. Raises ``ConfigError`` for a hint that has no JSON schema."""
        return arguments_model(self.name, self.function)

    @cached_property
    def told(self) -> ToolSpec:
        """What a model is told of this tool."""
        try:
            schema = self.arguments.model_json_schema(schema_generator=_Schema)
        except PydanticUserError as error:
            raise ConfigError(f"tool {self.name!r}: its type hints give no JSON schema: {error.message}") from error
        schema.pop("title", None)
        return ToolSpec(self.name, inspect.getdoc(self.function) or "", schema)

    def call_json(self, text: str) -> Handle[R]:
        """Call the tool as a model does, with arguments as JSON text. Raises ``ToolError`` if they do not fit."""
        try:
            checked = self.arguments.model_validate_json(text or "{}")
        except ValidationError as error:
            raise ToolError(f"tool {self.name!r}: the arguments {text!r} do not fit: {problems(error)}") from error
        parameters = inspect.signature(self.function).parameters
        values = {name: getattr(checked, field_name(name)) for name in parameters}
        args, kwargs = _as_call(parameters, values)
        return call(self.spec, args, kwargs, self._after, depth=0)

    def with_(self, **options: Unpack[Options]) -> Self:
        """The same tool, run with other options; this one stays as it is."""
        return super().with_(**options)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class _Schema(GenerateJsonSchema):
    """Leaves a default that JSON does not have out of the schema, without a warning at the user."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


def field_name(parameter: str) -> str:
    """What a parameter is called in ``arguments_model``; pydantic has some names for itself, as ``json`` and ``_x``."""
    reserved = parameter.startswith(("_", "model_")) or hasattr(_Arguments, parameter)
    return f"argument_{parameter}" if reserved else parameter


def arguments_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of a function's arguments. Raises ``ConfigError`` for hints that cannot be read."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise ConfigError(f"{name!r}: cannot read its type hints: {error}; import what they name") from error
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigError(
                f"{name!r}: *{parameter.name} cannot be described to a model or a command line; name each argument"
            )
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        name_there = field_name(parameter.name)
        fields[name_there] = (hint, default if name_there == parameter.name else Field(default, alias=parameter.name))
    try:
        return create_model(name, __base__=_Arguments, **fields)
    except PydanticUserError as error:
        raise ConfigError(f"{name!r}: its type hints cannot be used: {error.message}") from error


def _as_call(
    parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    positional = tuple(values[name] for name, one in parameters.items() if one.kind is one.POSITIONAL_ONLY)
    return positional, {
        name: value for name, value in values.items() if parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    }


@overload
def tool(function: Callable[P, Coroutine[Any, Any, R]], /) -> Tool[P, R]: ...
@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(*, name: str | None = None, **options: Unpack[Options]) -> ToolDecorator: ...
def tool(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Unpack[Options]) -> Any:
    """Make a tool: ``@tool`` or ``@tool(retries=2, timeout=30)``. Programs call it like any step, agents by JSON.

    A coroutine function runs in the event loop, a plain one in a thread (see ``step``).
    """
    decorator = ToolDecorator(name, options)
    return decorator if function is None else decorator(function)


class ToolDecorator:
    """``@tool(...)`` with its options, waiting for its function."""

    def __init__(self, name: str | None, options: Options) -> None:
        self._name = name
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Tool[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Tool[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        """The tool."""
        spec = StepSpec(self._name or _name(function), "tool", body_of(function), lane="tool")
        return Tool(changed(spec, self._options), function, tuple(self._options.get("after", ())))
