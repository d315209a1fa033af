"""What every screen looks like, light and dark, in a small and in a large terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style

from tests.ui.watch.snapshots import FOLDER, VARIABLE, compare, drawn
from tests.ui.watch.stage import SCENES, SIZES, THEMES, Scene, staged, strips

CASES = [
    pytest.param(scene, theme, size, id=f"{scene.name}-{theme}-{size}")
    for scene in SCENES
    for size in SIZES
    for theme in THEMES
]
NO_COLOR = [scene for scene in SCENES if scene.name in ("graph", "kv", "step-failed")]


@pytest.mark.parametrize(("scene", "theme", "size"), CASES)
async def test_a_screen_looks_as_it_did(scene: Scene, theme: str, size: str, all_runs: Path) -> None:
    """Every screen, at a moment that stands still, has the characters and styles that its file has."""
    async with staged(all_runs, scene, theme, SIZES[size]) as shown:
        compare(f"{scene.name}-{theme}-{size}", drawn(strips(shown.app)))


@pytest.mark.parametrize("scene", NO_COLOR, ids=lambda scene: scene.name)
async def test_a_screen_without_colour(scene: Scene, all_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``NO_COLOR`` a screen has no colour but greys, and says the same."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(all_runs, scene, "dark", SIZES["80x24"]) as shown:
        seen = drawn(strips(shown.app))
    compare(f"{scene.name}-nocolor-80x24", seen)
    colours = [word for word in seen.rpartition("\n\n")[2].split() if word.startswith("#")]
    assert colours
    assert all(one[1:3] == one[3:5] == one[5:7] for one in colours)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_themes_differ_in_colours_only(scene: Scene, size: str) -> None:
    """What is said does not depend on the theme."""
    dark, light = ((FOLDER / f"{scene.name}-{theme}-{size}.txt").read_text().split("\n\n")[0] for theme in THEMES)
    assert dark == light


def test_every_file_belongs_to_a_screen() -> None:
    """No snapshot is left of a screen that there is no more."""
    known = {str(case.id) for case in CASES} | {f"{scene.name}-nocolor-80x24" for scene in NO_COLOR}
    assert {file.stem for file in FOLDER.glob("*.txt")} == known


# -- the files themselves --------------------------------------------------------------------------------------------

RED = Style.parse("bold #ff0000 on #000000")
PLAIN = Style.parse("#ffffff on #000000")


def test_a_screen_is_text_styles_and_their_meaning() -> None:
    """The characters come first, then the styles of each line, then what their letters mean."""
    text, styles, legend = drawn([[Segment("all ", PLAIN), Segment("is well ", PLAIN)], [Segment("no", RED)]]).split(
        "\n\n"
    )
    assert text.splitlines() == ["|all is well |", "|no|"]
    letter = styles.splitlines()[1].split()[1][0]
    assert styles.splitlines() == ["  1 .12", f"  2 {letter}2"]
    assert legend.splitlines() == [". #ffffff on #000000", f"{letter} bold #ff0000 on #000000"]


def test_a_difference_is_shown_as_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs stands in the message, with what it should be and how to keep it."""
    before = drawn([[Segment("well", PLAIN)], [Segment("more", PLAIN)]])
    monkeypatch.setenv(VARIABLE, "update")
    compare("it", before, tmp_path)
    monkeypatch.delenv(VARIABLE)
    compare("it", before, tmp_path)
    with pytest.raises(AssertionError) as caught:
        compare("it", drawn([[Segment("ill!", PLAIN)], [Segment("more", PLAIN)]]), tmp_path)
    said = str(caught.value).splitlines()
    assert said[0] == "it looks otherwise; AGENTRT_SNAPSHOTS=update keeps it so:"
    assert "-|well|" in said
    assert "+|ill!|" in said
    assert " |more|" in said


def test_a_screen_without_a_file_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new screen has to be looked at before it is right."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(AssertionError, match="new looks otherwise"):
        compare("new", drawn([[Segment("x", PLAIN)]]), tmp_path)
