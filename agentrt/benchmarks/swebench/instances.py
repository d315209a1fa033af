"""The benchmark's instances: what is to be solved, and how it is tested."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from agentrt.benchmarks.harness.entries import Entry
from agentrt.errors import ConfigError

START: Final = ">>>>> Start Test Output"
END: Final = ">>>>> End Test Output"

_SHAPES: Final = {
    "instance_id": re.compile(r"\w[\w.-]*"),
    "repo": re.compile(r"\w[\w.-]*/\w[\w.-]*"),
    "version": re.compile(r"\w[\w.+-]*"),
    "base_commit": re.compile(r"[0-9a-f]{40,64}"),
    "image": re.compile(r"\w[\w./:@-]*"),
    "environment_setup_commit": re.compile(r"([0-9a-f]{40,64})?"),
}
"""What becomes part of paths and command lines of ours."""

PROVEN: Final = ("sympy/sympy", "pytest-dev/pytest", "pallets/flask")
"""Repositories whose instances resolve with the reference patch, and not without it, outside containers too."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One issue of one repository. ``row`` is the dataset's own, ``patch`` the reference solution."""

    id: str
    repo: str
    version: str
    base: str
    setup: str
    problem: str
    patch: str
    test_patch: str
    script: str
    image: str
    row: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the dataset, one with the columns of SWE-bench 5.

        Raises ``ConfigError`` for one whose names could lead a path or a command astray.
        """
        for column, shape in _SHAPES.items():
            value = row[column] or ("" if column == "environment_setup_commit" else None)
            if not isinstance(value, str) or not shape.fullmatch(value):
                raise ConfigError(
                    f"instance {row['instance_id']!r}: its {column} is {value!r}, expected what fits {shape.pattern}"
                )
        return cls(
            id=row["instance_id"],
            repo=row["repo"],
            version=row["version"],
            base=row["base_commit"],
            setup=row["environment_setup_commit"] or row["base_commit"],
            problem=row["problem_statement"],
            patch=row["patch"],
            test_patch=row["test_patch"],
            script=row["eval_script"],
            image=row["image"],
            row=row,
        )

    @property
    def entry(self) -> Entry:
        """What the harness is told of it; programs look the rest up by its id."""
        return Entry(self.id, self.repo, {"instance": self.id})

    def testing(self, tree: str, *, patched: bool) -> str:
        """The shell script that applies the patch on its standard input in ``tree`` and runs the instance's tests.

        What the official script does from where it puts the tests in place, with the exit status of the tests recorded
        as the official harness does; a patch is tried as there too, unless it is not ``patched``. Both streams go to
        standard output. Raises ``ConfigError`` for a script of another shape.
        """
        lines = self.script.split("\n")
        first = next((n for n, line in enumerate(lines) if line.startswith(f"git checkout {self.base} ")), None)
        if first is None:
            raise ConfigError(
                f"instance {self.id!r}: its eval_script has no `git checkout {self.base[:12]}`; run it in a container"
            )
        taking = [f"cat > {_PATCH}", *_applying(_PATCH)] if patched else []
        head = ["exec 2>&1", f"cd {shlex.quote(tree)}", *taking, "set -uxo pipefail"]
        return "\n".join([*head, *self._recorded(lines[first:], after=False)]) + "\n"

    def contained(self, given: str, *, patched: bool) -> str:
        """The whole official script, for a container of the official image that finds the patch in folder ``given``."""
        lines = self.script.split("\n")
        taking = _applying(f"{given}/candidate.patch") if patched else []
        return "\n".join(["exec 2>&1", "cd /testbed", *taking, *self._recorded(lines, after=True)]) + "\n"

    def _recorded(self, lines: list[str], *, after: bool) -> list[str]:
        """The lines with the exit status of the tests told, with or without what comes after the tests."""
        last = next((n for n, line in enumerate(lines) if END in line), None)
        if last is None:
            raise ConfigError(f"instance {self.id!r}: its eval_script has no line with {END!r}")
        told = ["tested=$?", lines[last], 'echo ">>>>> Test Exit Code: $tested"']
        return [*lines[:last], *told, *(lines[last + 1 :] if after else ())]


_PATCH: Final = "/tmp/candidate.patch"  # noqa: S108 - inside the sandbox, where it is private
_ATTEMPTS: Final = (
    "git apply --verbose",
    "git apply --verbose --3way",
    "git apply --verbose --reject",
    "patch --batch --forward --fuzz=5 -p1 -i",
)
"""How the official harness tries to apply a patch, each time on a clean tree."""


def _applying(patch: str) -> list[str]:
    """Lines that apply the patch in that file, or end the script as the official harness ends."""
    tries = " || ".join(f"{{ fresh; {one} {patch}; }}" for one in _ATTEMPTS)
    return [
        "fresh() { git checkout -q HEAD -- . ; git clean -fdq; }",
        f"{tries} || git apply --check --reverse {patch} || {{ echo '>>>>> Patch Apply Failed'; exit 0; }}",
        "echo '>>>>> Applied Patch'",
    ]


def chosen(instances: Iterable[Instance], repos: Iterable[str] | None) -> list[Instance]:
    """Those of the repositories, all with ``None``."""
    wanted = None if repos is None else set(repos)
    return [one for one in instances if wanted is None or one.repo in wanted]
