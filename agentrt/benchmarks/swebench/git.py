"""Git, run by us on folders that are ours: without the user's settings, without asking anybody anything."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Final
from urllib.parse import quote

from agentrt.errors import ConfigError, SetupError

_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy")
ENVIRONMENT: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "agentrt",
    "GIT_AUTHOR_EMAIL": "agentrt@localhost",
    "GIT_COMMITTER_NAME": "agentrt",
    "GIT_COMMITTER_EMAIL": "agentrt@localhost",
}
"""What git is told wherever it runs for us, in a sandbox too."""

_SERVING: Final = "git -c safe.directory=* -c uploadpack.allowAnySHA1InWant=true upload-pack"
"""The mirror's side of a fetch: it gives any commit, whoever owns the folder."""


async def git(*arguments: str, within: Path | None = None) -> str:
    """What ``git ARGUMENTS`` writes. Raises ``SetupError`` with its last words when it fails."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | ENVIRONMENT
    try:
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", *arguments, cwd=within, env=environment, stdin=DEVNULL, stdout=PIPE,
            stderr=PIPE, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ConfigError("git is missing; install it (Debian: apt install git)") from error
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        words = err.decode(errors="replace").strip().splitlines()[-5:]
        raise SetupError(f"git {' '.join(arguments[:3])} failed with status {process.returncode}: {' | '.join(words)}")
    return out.decode(errors="replace")


async def take(mirror: Path, commit: str, into: Path) -> None:
    """Make ``into`` a repository with the files of one commit of ``mirror`` and nothing of what came before or after.

    The solution to an issue stands in later commits, so they are not there. The mirror is only read: any number can be
    taken from it at once. Raises ``SetupError`` for a commit it does not have.
    """
    await git("init", "-q", str(into))
    fetch = (
        "fetch",
        "-q",
        "--depth=1",
        "--no-tags",
        f"--upload-pack={_SERVING}",
        f"file://{quote(str(mirror))}",
        commit,
    )
    try:
        await git(*fetch, within=into)
    except SetupError as error:
        raise SetupError(
            f"the mirror {str(mirror)!r} does not give commit {commit[:12]}: bring it up to date ({error})"
        ) from error
    await git("checkout", "-q", "--detach", "FETCH_HEAD", within=into)
    (into / ".git" / "FETCH_HEAD").unlink()
    with (into / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("*.egg-info/\n__pycache__/\n*.pyc\n")  # what installing leaves behind is no change
