"""A place to work on one instance: its files at the base commit, and an environment that they are installed in."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from agentrt.benchmarks.swebench.environments import Recipe, own_environment, prepared
from agentrt.benchmarks.swebench.git import git, take
from agentrt.benchmarks.swebench.instances import Instance
from agentrt.executors.sandbox import remove


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one instance under ``folder``.

    ``tree`` is what is worked on, a repository that holds the base commit and nothing else; ``keeper`` is another one
    of ours, out of reach of whoever works there, that knows what the tree looked like; ``venv`` runs it.
    """

    folder: Path

    @property
    def tree(self) -> Path:
        """The work tree."""
        return self.folder / "tree"

    @property
    def keeper(self) -> Path:
        """Our own repository of the same files."""
        return self.folder / "keeper"

    @property
    def venv(self) -> Path:
        """The environment of the tree."""
        return self.folder / "venv"

    @property
    def made(self) -> bool:
        """Whether it is whole."""
        return self._made.exists()

    @property
    def readable(self) -> tuple[Path, ...]:
        """What else whoever works there has to be able to read: the environment, what it shares, and its Python."""
        return tuple(map(Path, self._made.read_text().splitlines()))

    @property
    def _made(self) -> Path:
        return self.folder / "made"

    async def make(self, instance: Instance, mirror: Path, recipe: Recipe) -> None:
        """Make it, anew if it is not whole. Raises ``SetupError`` and ``ConfigError``."""
        if self.made:
            return
        await self.remove()
        self.folder.mkdir(parents=True)
        await take(mirror, instance.base, self.tree)
        setup = self.folder / "setup"
        if recipe.files:
            await take(mirror, instance.setup, setup)
        await asyncio.to_thread(prepared, recipe, self.tree)
        shared = await asyncio.to_thread(own_environment, recipe, setup, self.tree, self.venv)
        await asyncio.to_thread(shutil.rmtree, setup, ignore_errors=True)
        await git("checkout", "-q", "HEAD", "--", ".", within=self.tree)
        await asyncio.to_thread(shutil.copytree, self.tree / ".git", self.keeper)
        part = self.folder / "made.part"
        part.write_text("\n".join(map(str, (self.venv, *shared.readable))))
        part.rename(self._made)

    async def remove(self) -> None:
        """Remove all of it, whatever was made of the tree."""
        await asyncio.to_thread(remove, self.folder)
