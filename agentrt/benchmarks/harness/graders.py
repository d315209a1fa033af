"""Official graders: an environment of their own in the user's cache, and a process in it that answers questions.

    environment = grader("bfcl", ["bfcl-eval==2026.3.23", ...], python=">=3.10,<3.13")
    async with Grader(environment, WORKER, log=folder / "grader.log") as official:
        verdict = await official.ask("judge", entry="simple_python_0", result=[...])

``WORKER`` is a file of ours that runs there: its functions are what can be asked. It may import the standard library
and what is installed there, nothing of this package.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agentrt.engine.environment import translated_oserror, uv
from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.process import tail
from agentrt.engine.progress import Progress, Silent
from agentrt.engine.shell import CommandFailed, Shell, own_python
from agentrt.errors import ConfigError, ExecutorError, StepTimeout, Unreachable

PYTHON: Final = ">=3.10,<3.14"
_SERVE: Final = Path(__file__).parent / "inside" / "serve.py"
_LONGEST_LINE: Final = 1 << 30
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""What a grader sees of our environment variables: nothing that could be a secret."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A grader's environment: its interpreter, and the folder that it is in."""

    python: Path
    folder: Path


def grader(
    name: str,
    requirements: Sequence[str],
    *,
    python: str = PYTHON,
    progress: Progress | None = None,
    where: Home | None = None,
) -> Environment:
    """The environment with exactly these packages, making it if it is not there.

    ``requirements`` are all of them, each with its version (``mpmath==1.3.0``): what they require in turn is not
    installed. ``python`` is the version as uv understands it. Safe to call from several processes at once. Raises
    ``ConfigError`` for a requirement without a version, ``SetupError`` with the way out; calling again starts anew from
    what was downloaded.
    """
    if loose := [one for one in requirements if "==" not in one and "@" not in one]:
        raise ConfigError(f"grader {name!r}: {', '.join(loose)}: expected an exact version, as in mpmath==1.3.0")
    where, progress = where or home(), progress or Silent()
    folder = where.cache / "graders" / f"{name}-{_key(python, requirements)}"
    made = Environment(folder / "venv" / "bin" / "python", folder)
    if not _finished(made):
        with locked(folder.with_suffix(".lock"), f"installing the grader {name}", progress) as lock:
            if not _finished(made):  # another process may have made it while we waited
                _build(name, made, requirements, python, Shell(progress, keep=(lock,)))
    return made


def _finished(made: Environment) -> bool:
    return (made.folder / "done").exists() and made.python.exists()


def _build(name: str, made: Environment, requirements: Sequence[str], python: str, shell: Shell) -> None:
    title = f"Installing the grader {name}"
    shell.progress.step(title)
    try:
        shutil.rmtree(made.folder, ignore_errors=True)
        made.folder.mkdir(parents=True)
        shell.run([uv(), "venv", "--no-project", "--python", python, str(made.python.parents[1])])
        shell.run([uv(), "pip", "install", "--python", str(made.python), "--no-deps", *requirements])
        (made.folder / "done").touch()
    except CommandFailed as error:
        raise error.explained(f"{title} (Python {python})", made.folder) from error
    except OSError as error:
        raise translated_oserror(error, title, made.folder) from error


def _key(python: str, requirements: Sequence[str]) -> str:
    """A name that changes with everything the environment is made of."""
    parts = [python, platform.machine(), *sorted(requirements)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


class Grader:
    """A process in a grader's environment that calls functions of ``worker`` for us, one after another.

    It starts with the ``async with`` block or the first question, and again when it had to be ended: a worker that
    keeps state must be told what it needs with each question. ``variables`` are set for it; ``memory`` is the most
    bytes that one of its processes may take; what it prints goes to the file ``log``. It ends with us, however we end.
    """

    def __init__(
        self,
        environment: Environment,
        worker: Path,
        *,
        log: Path,
        variables: Mapping[str, str] | None = None,
        memory: int = 8 << 30,
    ) -> None:
        self._argv = (str(environment.python), str(_SERVE), str(worker), str(memory))
        self._log = log
        self._variables = {"PYTHONUNBUFFERED": "1", **(variables or {})}
        self._asking = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, question: str, *, within: float = 60.0, alone: float | None = None, **given: Any) -> Any:
        """What the worker's function of that name answers to these arguments, all of it plain JSON.

        With ``alone`` it runs in a fork of the process, for at most so many seconds, so that nothing of it stays.
        Raises ``StepTimeout`` after ``within`` seconds, ``Unreachable`` when the process dies, and ``ExecutorError``
        with the words of the error that the function raised.
        """
        asked = json.dumps({"ask": question, "with": given, "alone": alone}).encode() + b"\n"
        async with self._asking:
            try:
                async with asyncio.timeout(within):
                    line = await self._exchange(asked)
            except TimeoutError:
                await self._end()
                raise StepTimeout(f"grader: {question} took longer than {within:g} s") from None
            except BaseException:
                await self._end()  # its answer would be taken for that to the next question
                raise
        told = json.loads(line)
        if "error" in told:
            raise ExecutorError(f"grader: {question}: {told['error']}")
        return told["answer"]

    async def _exchange(self, asked: bytes) -> bytes:
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(asked)
            await process.stdin.drain()
            line = await process.stdout.readline()
        except ConnectionError:
            line = b""
        if not line.endswith(b"\n"):
            raise Unreachable(f"the grader's process ended; its last words ({self._log}):\n{tail(self._log, 5)}")
        return line

    async def _start(self) -> asyncio.subprocess.Process:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=own_python(variables) | self._variables,
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()

    async def close(self) -> None:
        """End the process; twice is fine."""
        async with self._asking:
            await self._end()

    async def __aenter__(self) -> Self:
        """Start it at once, so that it is ready when the first question comes."""
        async with self._asking:
            await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
