"""The names a source file defines, and which of them are steps."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentrt.errors import ProgramError

if TYPE_CHECKING:
    from agentrt.graph.compile.values import Value

MAX_TEXT = 48


class Module:
    """One source file: its tree, and what its names are once its top level has been read.

    ``near`` gives the module of a file in the same folder for a name that ``import`` could mean, ``None`` for all
    others.
    """

    def __init__(self, source: str, file: str, near: Callable[[str], Module | None]) -> None:
        self.file = file
        self.near = near
        self.tree = parse(source, file)
        self.names: dict[str, Value] = {}
        self.top = frozenset(map(id, self.tree.body))
        self._lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def text(self, node: ast.AST) -> str:
        """What the source says there, on one line of at most 48 characters."""
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", None)
        if not first or last is None:
            return ""
        lines = [line.encode() for line in self._lines[first - 1 : last]]
        if not lines:
            return ""
        lines[-1] = lines[-1][: node.end_col_offset]  # type: ignore[attr-defined]
        lines[0] = lines[0][node.col_offset :]  # type: ignore[attr-defined]
        text = " ".join(b"".join(lines).decode(errors="replace").split())
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def parse(source: str, file: str) -> ast.Module:
    """The source's tree. Raises ``ProgramError`` with the place when it is not Python."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a program is its own business
            return ast.parse(source, file)
    except SyntaxError as error:
        place = f"{file}:{error.lineno}" if error.lineno else file
        raise ProgramError(f"{place}: not valid Python: {error.msg}") from error
    except (RecursionError, MemoryError) as error:
        raise too_deep(file) from error
    except ValueError as error:
        raise ProgramError(f"{file}: not valid Python: {error}") from error


def too_deep(file: str) -> ProgramError:
    """The error for a source that nests deeper than Python's own stack."""
    return ProgramError(
        f"{file}: the source nests too deeply to be read; shorten its longest expression or chain of elifs"
    )
