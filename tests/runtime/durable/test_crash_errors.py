"""Failures are told again as they were, whatever they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from agentrt import program, step
from agentrt.errors import OutputError, Refused, StepError
from agentrt.store.codec import decode, encode

from .cutting import Cutter, note


class Odd(OSError):
    """An error whose arguments are not those of its class."""

    def __init__(self, code: int) -> None:
        super().__init__(code, "odd")
        self.code = code


class Empty(Exception):
    """An error that makes its own text."""

    def __str__(self) -> str:
        return "nothing is there"


def raised(make: Callable[[], Any]) -> BaseException:
    """The error that a call raises."""
    try:
        make()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("it raises nothing")


class Form(BaseModel):
    """Something that not everything fits."""

    count: int


ERRORS = [
    ValueError("broken"),
    TimeoutError(),
    TimeoutError("too late"),
    ConnectionError("down"),
    ConnectionRefusedError(111, "refused"),
    FileNotFoundError(2, "No such file", "a.txt"),
    raised(lambda: open("/nowhere/at/all")),  # noqa: SIM115, PTH123 - it raises
    raised(lambda: b"\xff".decode()),
    raised(lambda: json.loads("{")),
    raised(lambda: dict[str, int]()["key"]),
    raised(lambda: int("x")),
    raised(lambda: compile("a b", "file", "exec")),
    raised(lambda: sqlite3.connect(":memory:").execute("no")),
    ExceptionGroup("several", [ValueError(1), TimeoutError("late")]),
    SystemExit(3),
    StopAsyncIteration(),
    httpx.ReadTimeout("slow"),
    Refused("no", status=503),
    OutputError("does not fit", reply="x"),
    Odd(5),
    Empty(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: type(one).__name__)
def test_an_error_comes_back_as_it_was(error: BaseException) -> None:
    """Its class, what it says, and what it holds."""
    back = decode(encode(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert [str(one) for one in back.args] == [str(one) for one in error.args]
    assert vars(back).keys() == vars(error).keys()
    for name in ("errno", "filename", "start", "code", "lineno", "status", "pos"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_an_error_that_only_its_own_code_makes_keeps_its_text() -> None:
    """It is a step's error then, which says what it was."""
    error = raised(lambda: Form.model_validate({"count": "many"}))
    assert isinstance(error, ValidationError)
    back = decode(encode(error))
    assert type(back) is StepError
    assert "should be a valid integer" in str(back)
    assert "pydantic_core._pydantic_core:ValidationError" in str(back)


@pytest.mark.parametrize("error", [TimeoutError("late"), FileNotFoundError(2, "gone", "a.txt")], ids=str)
async def test_a_run_goes_on_after_a_failure_that_it_caught(cuts: Callable[..., Cutter], error: OSError) -> None:
    """The program catches it again, and the step is not run again."""

    @step
    async def fails() -> None:
        note()
        raise error

    @program
    async def catches() -> str:
        try:
            await fails()
        except type(error) as caught:
            return str(caught)
        return ""

    cutter = cuts()
    first = await cutter.run(catches)
    resumed = await cutter.resume(catches, await cutter.cut(first.recording, len(first.recording.entries) - 1))
    assert (resumed.result.output, resumed.ran) == (first.result.output, [])
