"""The tools of an agent that works in a repository, each run in the sandbox of its work tree."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Self

from pydantic import Field

from agentrt.benchmarks.swebench.boxes import COMMANDS, OURS, boxed
from agentrt.benchmarks.swebench.calls import Calls
from agentrt.benchmarks.swebench.edits import lines_replaced, replaced
from agentrt.benchmarks.swebench.keeper import Keeper
from agentrt.benchmarks.swebench.place import Place
from agentrt.benchmarks.swebench.texts import numbered, shortened
from agentrt.errors import SetupError, ToolError
from agentrt.executors.sandbox import Finished, Sandbox
from agentrt.kvcache.estimators import first_word
from agentrt.runtime import owner
from agentrt.sdk.attempts import idempotency_key
from agentrt.sdk.tools import Tool, tool

WORKING: Final = "working"
"""The purpose of the places that agents work in."""

_LINES: Final = 120
_FOUND: Final = 60
_AROUND: Final = 4
_QUICK: Final = 60.0

Line = Annotated[int, Field(ge=1)]


class Workbench:
    """Tools that work in a place. ``most`` characters of an output are shown; a command may take ``within`` seconds.

    Calls run one after another, in the order in which they came. What they took lies in the place's ``calls`` folder,
    so that it is known also of those that ran in an earlier process.
    """

    def __init__(self, place: Place, *, most: int, within: float) -> None:
        self._place = place
        self._most = most
        self._within = within
        self._calls = Calls(place.folder / "calls")
        self._one = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._open: tuple[Sandbox, Keeper] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def tools(self) -> list[Tool[..., Any]]:
        """What the model may call."""
        return [self.bash, self.read, self.search, self.edit, self.edit_lines, self.submit]

    # -- what models call --------------------------------------------------------------------------------------------

    @tool(idempotent=True)
    async def bash(self, command: str) -> str:
        """Run a shell command in the repository's folder, without network; see its output and exit status."""
        return self._told(await self._ran(command))

    @tool(idempotent=True)
    async def read(self, path: str, start: Line = 1, lines: Line = _LINES) -> str:
        """Show lines of a file with their numbers."""
        async with self._one:
            text = await self._text(path)
            self._note("read", f"{path}:{start}")
        return numbered(text, start, lines, self._most)

    @tool(idempotent=True)
    async def search(self, pattern: str, path: str = ".") -> str:
        """Find lines that match a regular expression, in a file or below a folder."""
        argv = ["grep", "-rnIE", "--exclude-dir=.git", "-m", "20", "-e", pattern, "--", path]
        async with self._one:
            box, _ = await self._opened()
            ended = await box.run(argv, timeout=_QUICK)
            self._note("search", f"{pattern} in {path}", ended)
        if ended.code > 1:
            raise ToolError(f"search: {ended.err.strip()[: _FOUND * 4] or ended.killed_by}")
        lines = ended.out.splitlines()
        more = f"\n[... {len(lines) - _FOUND} more lines; search in a smaller folder]" if len(lines) > _FOUND else ""
        return shortened("\n".join(lines[:_FOUND]), self._most) + more if lines else f"nothing matches {pattern!r}"

    @tool(idempotent=True)
    async def edit(self, path: str, old: str, new: str) -> str:
        """Replace text that stands in a file exactly once; an empty old makes a new file."""
        async with self._one:
            _, keeper = await self._opened()
            await keeper.begin(idempotency_key())
            self._note("edit", path)
            if not old and await self._is_new(path):
                return await self._write(path, new, 1, new.count("\n") + 1)
            text, line = replaced(path, await self._text(path), old, new)
            return await self._write(path, text, line, line + new.count("\n"))

    @tool(idempotent=True)
    async def edit_lines(self, path: str, start: Line, end: Annotated[int, Field(ge=0)], text: str) -> str:
        """Replace lines start to end of a file, as read shows them, with text; end = start - 1 inserts before start."""
        async with self._one:
            _, keeper = await self._opened()
            await keeper.begin(idempotency_key())
            self._note("edit_lines", f"{path}:{start}-{end}")
            whole = lines_replaced(path, await self._text(path), start, end, text)
            return await self._write(path, whole, start, start + text.count("\n"))

    @tool(idempotent=True)
    async def submit(self) -> str:
        """Say that the issue is solved. What was changed in the repository is the solution."""
        async with self._one:
            self._note("submit", "")
            self._submitted.touch()
        return _SUBMITTED

    # -- what programs call ------------------------------------------------------------------------------------------

    @tool(idempotent=True)
    async def execute(self, command: str) -> dict[str, Any]:
        """Run a shell command for an agent that has its own way of showing outputs: output and exit status."""
        ended = await self._ran(command)
        why = "" if not ended.killed_by else f"the command reached its limit of {ended.killed_by} and was ended"
        return {"output": ended.out + ended.err, "returncode": ended.code, "exception_info": why}

    @tool(idempotent=True)
    async def look(self) -> dict[str, Any]:
        """How far it is: whether it was submitted, the patch so far, and all calls with what they took."""
        async with self._one:
            _, keeper = await self._opened()
            patch = await keeper.patch()
            return {"submitted": self._submitted.exists(), "patch": patch, "calls": self._calls.told()}

    # -- how -----------------------------------------------------------------------------------------------------------

    async def _ran(self, command: str) -> Finished:
        """A command that may change anything in the tree."""
        owner.get().node.word = first_word(command)  # what it waits for: pytest takes other times than ls
        async with self._one:
            box, keeper = await self._opened()
            await keeper.begin(idempotency_key())
            ended = await box.run(["bash", "-c", command], timeout=self._within)
            self._note("bash", command, ended)
        return ended

    @property
    def _submitted(self) -> Path:
        return self._place.folder / "submitted"

    async def _opened(self) -> tuple[Sandbox, Keeper]:
        """The sandboxes, opened when the first call needs them: a run that only goes over what it did needs none."""
        if self._open is None:
            place = self._place
            if not place.made:
                raise SetupError(f"the work tree of this run is gone ({place.tree}); begin anew with another --out")
            box = await self._stack.enter_async_context(boxed(place, COMMANDS))
            keeping = await self._stack.enter_async_context(boxed(place, OURS, writable=(place.keeper,)))
            self._open = box, Keeper(place, keeping)
        return self._open

    async def _text(self, path: str) -> str:
        """The text of a file. Raises ``ToolError`` for none."""
        box, _ = await self._opened()
        try:
            data = await box.read(path)
        except FileNotFoundError:
            raise ToolError(f"there is no file {path}; look with search or bash: ls") from None
        except OSError as error:
            raise ToolError(f"{path}: {error.strerror or error}") from error
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise ToolError(f"{path} is no UTF-8 text") from None

    async def _is_new(self, path: str) -> bool:
        """Whether there is no such file, but its folder. Raises ``ToolError`` when there is no folder: models imagine
        paths, and would never learn that they did."""
        box, _ = await self._opened()
        try:
            await box.list(str(PurePosixPath(path).parent))
        except (FileNotFoundError, NotADirectoryError):
            raise ToolError(f"there is no folder for {path}; look with search or bash: ls, or make it") from None
        try:
            await box.read(path)
        except FileNotFoundError:
            return True
        return False

    async def _write(self, path: str, text: str, first: int, last: int) -> str:
        box, _ = await self._opened()
        await box.write(path, text.encode())
        start = max(1, first - _AROUND)
        shown = numbered(text, start, last + _AROUND - start + 1, self._most)
        return f"{path} is now:\n{shown}{await self._complaint(path, text)}"

    async def _complaint(self, path: str, text: str) -> str:
        """What Python says of a Python file that it cannot read; empty when it can."""
        if not path.endswith(".py"):
            return ""
        box, _ = await self._opened()
        check = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
        ended = await box.run(["python", "-c", check], timeout=_QUICK, stdin=text.encode())
        last = ended.err.strip().splitlines()[-3:]
        return "\nBut Python cannot read it any more; repair that:\n" + "\n".join(last) if ended.code else ""

    def _told(self, ended: Finished) -> str:
        out = shortened((ended.out + ended.err).strip(), self._most)
        end = f"[exit status {ended.code}]"
        if ended.killed_by == "time":
            end = f"[ended after {self._within:g} s, which is all the time that a command has]"
        elif ended.killed_by:
            end = f"[ended: it reached its limit of {ended.killed_by}]"
        after = f"\n{_SUBMITTED}" if self._submitted.exists() else ""
        return f"{out}\n{end}{after}".lstrip()

    def _note(self, name: str, what: str, ended: Finished | None = None) -> None:
        self._calls.note(idempotency_key(), name, what, ended)


async def left_in(place: Place) -> str:
    """The changes that stand in a place that is not worked in any more; empty when it was never made."""
    if not place.made:
        return ""
    async with boxed(place, OURS, writable=(place.keeper,)) as box:
        return await Keeper(place, box).patch()


_SUBMITTED: Final = "The solution is submitted. Reply DONE, without calling a tool."
