"""Knows what a work tree looked like: so that what broke off in the middle is done again from where it began.

A call that changes files is marked before it begins. When the process dies in the middle of it and the run goes on, the
call runs again, finds its mark, and puts the tree back first. Marks lie in a repository that agents cannot reach; git
runs in a sandbox, since the tree is theirs and git believes what stands in trees.
"""

from __future__ import annotations

import hashlib
from shlex import quote
from typing import Final

from agentrt.benchmarks.swebench.place import Place
from agentrt.errors import StepError
from agentrt.executors.sandbox import Sandbox

_WITHIN: Final = 120.0
_TESTS: Final = ("**/tests/**", "**/tests", "testing", "test", "**/test_*.py", "**/*_test.py")
"""What is left out of a patch: tests are the benchmark's. Packages inside the source that are called so stay in it."""

_ADD: Final = "git add -A 2>/dev/null || { chmod -R u+rwX .; git add -A --ignore-errors || test $? = 1; }; "
"""What may not be read is made readable; what git cannot take all the same, a repository without a commit, is left."""

_AS_IT_IS: Final = "* !working-tree-encoding"
_AS_BYTES: Final = f"{_AS_IT_IS} -diff"
"""Attributes that stand above those of the tree: no file has another encoding; and none is text."""

_NO_TEXT: Final = "\N{REPLACEMENT CHARACTER}"
"""Where a stream of the box has bytes that are no UTF-8."""


class Keeper:
    """Marks and restores a place's tree; ``box`` may write the place's ``keeper`` folder."""

    def __init__(self, place: Place, box: Sandbox) -> None:
        self._box = box
        folders = f"GIT_DIR={quote(str(place.keeper))} GIT_WORK_TREE={quote(str(place.tree))}"
        self._head = f'export {folders}; rm -f "$GIT_DIR/index.lock"; set -e; '

    async def begin(self, call: str) -> None:
        """A call begins that may change files: mark the tree, or put it back to the mark if there is one.

        Raises ``StepError`` when git fails.
        """
        mark = f"refs/marks/{hashlib.sha256(call.encode()).hexdigest()[:40]}"
        await self._git(
            f"{_ADD}if git rev-parse -q --verify {mark} >/dev/null; then git read-tree -u --reset {mark}; "
            f"else git update-ref {mark} $(git write-tree); fi"
        )

    async def patch(self) -> str:
        """What was changed, but for tests, as git tells it; empty when nothing was.

        When that is more than git can do in its box, files that are new are left out. Raises ``StepError`` when it
        fails all the same.
        """
        options: tuple[str, ...] = ()
        try:
            found = await self._difference(_AS_IT_IS)
        except StepError:
            options = ("--diff-filter=a",)
            found = await self._difference(_AS_IT_IS, *options)
        return await self._difference(_AS_BYTES, *options) if _NO_TEXT in found else found

    async def _difference(self, attributes: str, *options: str) -> str:
        left_out = " ".join(f"':(exclude,glob){one}'" for one in _TESTS)
        how = " ".join(("--binary", "--no-color", "--no-ext-diff", *options))
        return await self._git(f"{_ADD}git diff --cached {how} HEAD -- . {left_out}", attributes)

    async def _git(self, script: str, attributes: str = _AS_IT_IS) -> str:
        told = f"echo '{attributes}' > \"$GIT_DIR/info/attributes\"; "
        ended = await self._box.run(["bash", "-c", self._head + told + script], timeout=_WITHIN)
        if ended.code or ended.killed_by:
            why = f"limit of {ended.killed_by}" if ended.killed_by else f"status {ended.code}"
            raise StepError(f"git in the work tree failed ({why}): {ended.err[-500:]}")
        return ended.out
