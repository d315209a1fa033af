"""Mirrors of the benchmark's repositories: those the user has, or cloned once into the cache."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agentrt.benchmarks.swebench.git import git
from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Progress, Silent
from agentrt.errors import SetupError

HOST: Final = "https://github.com"


class Mirrors:
    """Finds mirrors of repositories; ``folders`` hold those the user has, ``host`` is where others are cloned from."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        host: str = HOST,
        progress: Progress | None = None,
        where: Home | None = None,
    ) -> None:
        self._folders = tuple(folders)
        self._host = host
        self._progress = progress or Silent()
        self._cache = (where or home()).cache / "swebench" / "mirrors"
        self._cloning = asyncio.Lock()

    async def find(self, repo: str) -> Path:
        """The mirror of ``owner/name``. Raises ``SetupError`` when there is none and it cannot be cloned."""
        async with self._cloning:
            for folder in (*self._folders, self._cache):
                for place in _places(folder, repo):
                    if is_repository(place):
                        return place
            return await self._clone(repo)

    async def _clone(self, repo: str) -> Path:
        into = self._cache / f"{repo.replace('/', '__')}.git"
        part = into.with_suffix(".part")
        url = f"{self._host}/{repo}"
        self._progress.step(f"Cloning {url}")
        try:
            with locked(into.with_suffix(".lock"), f"cloning {url}", self._progress):
                if not is_repository(into):
                    shutil.rmtree(part, ignore_errors=True)
                    await git("clone", "-q", "--mirror", url, str(part))
                    part.rename(into)
        except SetupError as error:
            looked = ", ".join(map(str, self._folders)) or "no --repo-dir given"
            raise SetupError(
                f"there is no mirror of {repo} ({looked}) and it cannot be cloned: {error}; connect, or make one with "
                f"`git clone --mirror {url} FOLDER/{into.name}` and give --repo-dir FOLDER"
            ) from error
        return into


def _places(folder: Path, repo: str) -> Iterator[Path]:
    """Where the mirror of a repository may lie in a folder, in any sensible layout."""
    owner, _, name = repo.partition("/")
    for stem in (f"{owner}__{name}", f"{owner}+{name}", f"{owner}-{name}", f"{owner}_{name}", f"{owner}/{name}", name):
        for end in ("", ".git", "/repo", "/repo.git", "/.git"):
            yield folder / f"{stem}{end}"


def is_repository(place: Path) -> bool:
    """Whether git can take commits from there: a bare repository, or one with a work tree."""
    return any((one / "HEAD").is_file() and (one / "objects").is_dir() for one in (place, place / ".git"))
