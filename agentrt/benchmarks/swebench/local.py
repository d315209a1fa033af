"""The way without containers: a work tree and an environment of our own making for each candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agentrt.benchmarks.swebench.boxes import TESTS, boxed
from agentrt.benchmarks.swebench.instances import Instance
from agentrt.benchmarks.swebench.mirrors import Mirrors
from agentrt.benchmarks.swebench.official import Official
from agentrt.benchmarks.swebench.place import Place

TESTING: Final = "testing"
"""The purpose of the places that tests run in."""

_TIMED_OUT: Final = "\n>>>>> Tests Timed Out after {:g} s\n"


class Local:
    """Makes places to work on instances under ``folder``, and runs tests in them."""

    def __init__(self, folder: Path, official: Official, mirrors: Mirrors) -> None:
        self._folder = folder.absolute()
        self._official = official
        self._mirrors = mirrors

    def where(self, instance: Instance, purpose: str) -> Place:
        """Where the place for that purpose is, or would be."""
        return Place(self._folder / purpose / instance.id)

    async def place(self, instance: Instance, purpose: str) -> Place:
        """A place for that purpose, made if it is not there. Raises ``SetupError`` and ``ConfigError``."""
        place = self.where(instance, purpose)
        recipe = await self._official.recipe(instance)
        await place.make(instance, await self._mirrors.find(instance.repo), recipe)
        return place

    async def test(self, instance: Instance, patch: str, within: float) -> str:
        """See ``Way``: in a fresh place, which is removed."""
        await self.where(instance, TESTING).remove()  # of a run that was killed, with what its tests left there
        place = await self.place(instance, TESTING)
        script = instance.testing(str(place.tree), patched=bool(patch.strip()))
        whole = patch if patch.endswith("\n") else patch + "\n"
        try:
            async with boxed(place, TESTS) as box:
                ended = await box.run(["bash", "-c", script], timeout=within, stdin=whole.encode())
        finally:
            await place.remove()
        return ended.out + (_TIMED_OUT.format(within) if ended.killed_by == "time" else _killed(ended.killed_by))


def _killed(by: str) -> str:
    return f"\n>>>>> Tests Errored: killed by its limit of {by}\n" if by else ""
