"""The type of an agent's answer."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from agentrt.errors import ConfigError
from agentrt.sdk.text import problems
from agentrt.types import JsonSchema

_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


class Output:
    """Reads a model's reply as a value of one type; ``str`` takes the reply as it is."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    @cached_property
    def schema(self) -> JsonSchema | None:
        """The JSON schema of the type, ``None`` for text. Raises ``ConfigError`` for a type that has none."""
        if self.kind is str:
            return None
        try:
            return self._adapter.json_schema()
        except PydanticUserError as error:
            raise ConfigError(
                f"output={self.kind!r} has no JSON schema: {error.message}; use a pydantic model"
            ) from error

    def parse(self, reply: str) -> Any:
        """The reply as a value, without a fence of backticks around it. Raises ``ValueError`` saying what is wrong."""
        if self.kind is str:
            return reply
        fenced = _FENCE.match(reply)
        try:
            return self._adapter.validate_json(fenced.group(1) if fenced else reply)
        except ValidationError as error:
            raise ValueError(problems(error)) from error

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(self.kind)
        except PydanticUserError as error:
            raise ConfigError(
                f"output={self.kind!r} cannot be read from JSON: {error.message}; use a pydantic model"
            ) from error
