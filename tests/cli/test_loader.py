"""Programs found by what a user types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrt.errors import GraphError, ProgramError
from agentrt.sdk.loader import check_graph, load_program
from agentrt.targets import split_target

Write = Callable[[str, str], Path]

_TWO = """
    from agentrt import program

    @program(name="second")
    async def other() -> None: ...

    @program
    async def first() -> None: ...

    if __name__ == "__main__":
        raise SystemExit("run as a script")
"""


@pytest.fixture(autouse=True)
def as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test in its own folder, with the modules and the path as they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_program_is_found_by_variable_or_by_its_own_name(write: Write) -> None:
    """FILE.py:NAME takes the variable's name and the name given to the decorator."""
    write("two.py", _TWO)
    assert load_program("two.py:other").name == "second"
    assert load_program("two.py:second").name == "second"
    assert load_program("two.py:first").name == "first"


def test_an_imported_program_does_not_count(write: Write) -> None:
    """A file's own program is meant, not those it imports; those can be named."""
    write("two.py", _TWO)
    write("one.py", "from two import first, other\nfrom agentrt import program\n@program\nasync def own(): ...\n")
    assert load_program("one.py").name == "own"
    assert load_program("one.py:first").name == "first"


def test_a_file_may_have_the_name_of_a_module(write: Write) -> None:
    """A program in json.py neither gets the library's json nor replaces it."""
    import json

    write("deep/json.py", "from agentrt import program\n@program\nasync def mine(): ...\n")
    assert load_program("deep/json.py").name == "mine"
    assert sys.modules["json"] is json


def test_a_module_is_found_from_the_current_folder(write: Write) -> None:
    """package.module:name imports as Python does from here."""
    write("pack/__init__.py", "")
    write("pack/inner.py", _TWO)
    assert load_program("pack.inner:first").name == "first"


def test_a_file_that_failed_leaves_no_half_module(write: Write) -> None:
    """After a failed import the same file can be mended and loaded."""
    path = write("mend.py", "1 / 0\n")
    with pytest.raises(ProgramError, match=r"ZeroDivisionError: division by zero \(mend.py:1\)"):
        load_program("mend.py")
    path.write_text("from agentrt import program\n\n@program\nasync def mended(): ...\n# longer than before\n")
    assert load_program("mend.py").name == "mended"


def test_the_users_own_line_is_named(write: Write) -> None:
    """The line is the last one of the user's code, not of the library that it called."""
    write("calls.py", "import json\n\n\njson.loads('{')\n")
    with pytest.raises(ProgramError, match=r"JSONDecodeError: .*\(calls.py:4\)"):
        load_program("calls.py")


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("a.py", ("a.py", None)),
        ("a.py:b", ("a.py", "b")),
        ("a.py:", ("a.py", None)),
        ("x/y.py:z", ("x/y.py", "z")),
        ("C:/y.py", ("C:/y.py", None)),
        ("pack.mod:z", ("pack.mod", "z")),
    ],
)
def test_targets_are_split_at_their_last_colon(target: str, parts: tuple[str, str | None]) -> None:
    """A name follows the last colon; a path may have colons of its own."""
    assert split_target(target) == parts


def test_an_impossible_graph_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """A cycle is named with its place in the source, and no step of the program is called."""
    source = tmp_path / "knot.py"
    source.write_text(
        "from agentrt import program, step\n"
        "@step\nasync def f(x: int) -> int: return x\n"
        "@program\nasync def main() -> int:\n    a = f(b)\n    b = f(a)\n    return await b\n"
    )
    with pytest.raises(GraphError, match=r"knot\.py:6: a cycle: 'b' needs 'a' needs 'b'"):
        check_graph(load_program(str(source)))


def test_a_program_without_code_of_its_own_is_not_refused(tmp_path: Path) -> None:
    """A partial has no source to be read, and a wrapped function has that of what it wraps."""
    source = tmp_path / "made.py"
    source.write_text(
        "from functools import partial, wraps\n"
        "from agentrt import program\n"
        "async def add(a: int, b: int) -> int: return a + b\n"
        "main = program(partial(add, 1))\n"
        "def same(f):\n    @wraps(f)\n    async def g(*a, **k): return await f(*a, **k)\n    return g\n"
        "@program\n@same\nasync def other() -> int: return 1\n"
    )
    for name in ("main", "other"):
        check_graph(load_program(f"{source}:{name}"))
