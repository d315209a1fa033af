"""A program's inputs from the command line: ``name=value`` words, read by the parameters' types."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import ProgramError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from agentrt.sdk import Program

_NO_JSON: Final = object()


def read_inputs(
    program: Program[..., Any], words: Sequence[str], file: str | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """The positional and keyword arguments for a program, from ``name=value`` words laid over a JSON file.

    A ``str`` takes its text as it is; other types are read as JSON first, then from the text, by pydantic. What is not
    given keeps the program's own default. ``file`` holds one JSON object; ``-`` is standard input. Raises
    ``ProgramError`` for an input that is unknown, missing or does not fit, with the program's inputs.
    """
    fields = _fields(program)
    values = {name: _fit(program, fields, name, value) for name, value in _from_file(program, fields, file).items()}
    for name, text in _split(program, fields, words).items():
        values[name] = _read(program, fields, name, text)
    missing = [name for name, field in fields.items() if field.is_required() and name not in values]
    if missing:
        raise ProgramError(f"program {program.name!r} needs {_options(missing)}; {describe_inputs(program)}")
    return _as_call(program, values)


def describe_inputs(program: Program[..., Any]) -> str:
    """A program's inputs in one line: ``its inputs: topic: str, sections: int = 3``."""
    shown = [_described(name, field) for name, field in _fields(program).items()]
    return f"its inputs: {', '.join(shown)}" if shown else "it has no inputs"


def _fields(program: Program[..., Any]) -> Mapping[str, FieldInfo]:
    from agentrt.sdk.tools import arguments_model, field_name

    fields = arguments_model(program.name, program.function).model_fields
    return {name: fields[field_name(name)] for name in inspect.signature(program.function).parameters}


def _described(name: str, field: FieldInfo) -> str:
    default = "" if field.is_required() else f" = {field.default!r}"
    return f"{name}: {type_name(field.annotation)}{default}"


def type_name(hint: Any) -> str:
    """A type as its author wrote it: ``int``, ``list[str]``, ``str | None``."""
    return inspect.formatannotation(hint).replace("typing.", "") if hint is not None else "None"


def _options(names: Iterable[str]) -> str:
    return " ".join(f"--input {name}=..." for name in names)


def _split(program: Program[..., Any], fields: Mapping[str, FieldInfo], words: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ProgramError(f"--input {word!r}: expected name=value; {describe_inputs(program)}")
        if name in values:
            raise ProgramError(f'--input {name} is given twice; a list is written as JSON: {name}=\'["a", "b"]\'')
        _check_known(program, fields, name)
        values[name] = text
    return values


def _check_known(program: Program[..., Any], fields: Mapping[str, FieldInfo], name: str) -> None:
    if name in fields:
        return
    near = get_close_matches(name, fields, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ProgramError(f"program {program.name!r} has no input {name!r}{hint}; {describe_inputs(program)}")


def _from_file(program: Program[..., Any], fields: Mapping[str, FieldInfo], file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = json.loads(sys.stdin.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        raise ProgramError(f"cannot read --inputs {file!r}: {error.strerror}") from error
    except ValueError as error:
        raise ProgramError(f"--inputs {file!r} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ProgramError(f"--inputs {file!r} holds a {type(values).__name__}; expected one JSON object of inputs")
    for name in values:
        _check_known(program, fields, name)
    return values


def _read(program: Program[..., Any], fields: Mapping[str, FieldInfo], name: str, text: str) -> Any:
    """The value that a text stands for."""
    if fields[name].annotation is str:
        return _fit(program, fields, name, text)
    value = _json(text)
    if value is _NO_JSON:
        return _fit(program, fields, name, text)
    try:
        return _fit(program, fields, name, value)
    except ProgramError as no_json:
        try:
            return _fit(program, fields, name, text)  # "12" for a `str | None`
        except ProgramError:
            raise no_json from no_json.__cause__


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _NO_JSON


def _fit(program: Program[..., Any], fields: Mapping[str, FieldInfo], name: str, value: Any) -> Any:
    """The value as the parameter's type."""
    from pydantic import ConfigDict, ValidationError, create_model

    from agentrt.sdk.text import problems

    kind: Any = fields[name].rebuild_annotation()
    one = create_model("Input", __config__=ConfigDict(arbitrary_types_allowed=True), value=(kind, ...))
    try:
        return one.model_validate({"value": value}).value  # type: ignore[attr-defined]  # the field made above
    except ValidationError as error:
        why = problems(error).removeprefix("value: ").replace("value.", f"{name}.")
        wanted = type_name(fields[name].annotation)
        raise ProgramError(
            f"input {name}={_cut(value)} does not fit {wanted}: {why}; {describe_inputs(program)}"
        ) from error


def _cut(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= most else text[:most] + "...")


def _as_call(program: Program[..., Any], values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    positional = []
    for name, parameter in inspect.signature(program.function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY and name in values:
            positional.append(values.pop(name))
    return positional, values
