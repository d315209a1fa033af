"""The pictures of the manual: made by a command, whole in themselves, and as the screens are now."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.pictures import FOLDER, LARGEST, PICTURES, Picture, picture
from tests.ui.watch.stage import SCENES


@pytest.mark.parametrize("wanted", PICTURES, ids=lambda one: one.name)
async def test_a_picture_is_up_to_date(wanted: Picture, all_runs: Path) -> None:
    """Drawn again, a picture is the one that is there; ``make pictures`` draws them all."""
    assert await picture(all_runs, wanted) == (FOLDER / wanted.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("wanted", PICTURES, ids=lambda one: one.name)
def test_a_picture_fetches_nothing(wanted: Picture) -> None:
    """A picture is well-formed, of a fair size, and names no address but that of its own language."""
    text = (FOLDER / wanted.name).read_text(encoding="utf-8")
    ET.fromstring(text)
    assert len(text) < LARGEST
    drawn = re.sub(r"<!--.*?-->", "", text)
    assert set(re.findall(r"https?://[^\s\"'<)]+", drawn)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in drawn


def test_every_screen_has_its_picture() -> None:
    """There is one of each scene, and none of what is not there any more."""
    assert {one.scene.name for one in PICTURES} == {scene.name for scene in SCENES}
    assert {file.name for file in FOLDER.glob("*.svg")} == {one.name for one in PICTURES}
