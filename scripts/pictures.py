"""Draw the screens into ``docs/pictures``: the same scenes as in the tests, from the same recordings.

    make pictures

Nothing in a picture comes from the network: the fonts that the drawing would fetch are left out, the reader's own
monospaced one is taken. Blanks are kept, also by viewers that would take them together.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.ui.watch.stage import SCENES, Scene, journal_of_all, staged  # noqa: E402 - the tests are no package of ours

FOLDER: Final = ROOT / "docs" / "pictures"
SIZE: Final = (120, 34)
LARGEST: Final = 150_000

_FONTS: Final = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_FAMILY: Final = re.compile(r"font-family:\s*(?:Fira Code|arial)[^;]*;")
_OWN: Final = 'font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;'


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: a scene in a theme."""

    scene: Scene
    theme: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.scene.name}{'' if self.theme == 'dark' else '-' + self.theme}.svg"


PICTURES: Final = (
    *(Picture(scene, "dark") for scene in SCENES),
    *(Picture(scene, "light") for scene in SCENES if scene.name in ("graph", "kv")),
)


async def picture(file: Path, wanted: Picture) -> str:
    """One of them, as SVG; ``file`` is the journal with all recordings."""
    async with staged(file, wanted.scene, wanted.theme, SIZE) as shown:
        svg = shown.app.export_screenshot(title=f"agentrt watch: {wanted.scene.about}", simplify=True)
    svg = _FAMILY.sub(_OWN, _FONTS.sub("", svg)).replace('-matrix">', '-matrix" xml:space="preserve">')
    return "\n".join(line.rstrip() for line in svg.strip().splitlines()) + "\n"


async def main(names: Sequence[str]) -> None:
    """Draw those of these names, or all."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        journal = await journal_of_all(Path(folder, "journal.db"))
        for wanted in PICTURES:
            if not names or wanted.name in names:
                svg = await picture(journal, wanted)
                (FOLDER / wanted.name).write_text(svg, encoding="utf-8")
                print(f"docs/pictures/{wanted.name}: {len(svg):,} characters")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
