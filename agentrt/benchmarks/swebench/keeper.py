"""Knows what a work tree looked like: so that what broke off in the middle is done again from where it began.

A call that changes files is marked before it begins. When the process dies in the middle of it and the run goes on, the
call runs again, finds its mark, and puts the tree back first. Marks lie in a repository that agents cannot reach; git
runs in a sandbox, since the tree is theirs and git believes what stands in trees.
"""

from __future__ import annotations

import hashlib
from typing import Final

from agentrt.benchmarks.swebench.place import Place
from agentrt.errors import StepError
from agentrt.executors.sandbox import Sandbox

_WITHIN: Final = 120.0
_TESTS: Final = ("**/tests/**", "testing/**", "test/**", "**/test_*.py", "**/*_test.py")
"""What is left out of a patch: tests are the benchmark's. Packages inside the source that are called so stay in it."""


class Keeper:
    """Marks and restores a place's tree; ``box`` may write the place's ``keeper`` folder."""

    def __init__(self, place: Place, box: Sandbox) -> None:
        self._box = box
        self._head = (
            f"export GIT_DIR='{place.keeper}' GIT_WORK_TREE='{place.tree}'; rm -f \"$GIT_DIR/index.lock\"; set -e; "
        )

    async def begin(self, call: str) -> None:
        """A call begins that may change files: mark the tree, or put it back to the mark if there is one.

        Raises ``StepError`` when git fails.
        """
        mark = f"refs/marks/{hashlib.sha256(call.encode()).hexdigest()[:40]}"
        await self._git(
            f"git add -A; if git rev-parse -q --verify {mark} >/dev/null; then git read-tree -u --reset {mark}; "
            f"else git update-ref {mark} $(git write-tree); fi"
        )

    async def patch(self) -> str:
        """What was changed, but for tests, as git tells it; empty when nothing was."""
        left_out = " ".join(f"':(exclude,glob){one}'" for one in _TESTS)
        return await self._git(f"git add -A; git diff --cached --binary --no-color --no-ext-diff HEAD -- . {left_out}")

    async def _git(self, script: str) -> str:
        ended = await self._box.run(["bash", "-c", self._head + script], timeout=_WITHIN)
        if ended.code or ended.killed_by:
            raise StepError(f"git in the work tree failed ({ended.code}{ended.killed_by}): {ended.err[-500:]}")
        return ended.out
