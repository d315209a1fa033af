"""Mirrors and the trees taken from them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentrt.benchmarks.swebench.git import take
from agentrt.benchmarks.swebench.mirrors import Mirrors
from agentrt.engine.paths import Home
from agentrt.errors import SetupError
from tests.benchmarks.swebench.tiny import Tiny, git, tiny


@pytest.fixture
def made(tmp_path: Path) -> Tiny:
    """The tiny benchmark."""
    return tiny(tmp_path)


async def test_a_tree_holds_its_commit_and_nothing_later(made: Tiny, tmp_path: Path) -> None:
    """The solution stands in a later commit, which is neither named nor there."""
    tree = tmp_path / "tree"
    mirror = made.mirrors / "tiny__counting.git"
    await take(mirror, made.row["base_commit"], tree)
    assert git(tree, "log", "--all", "--format=%H").split() == [made.row["base_commit"]]
    later = git(mirror, "rev-parse", "HEAD").strip()
    objects = git(tree, "cat-file", "--batch-all-objects", "--batch-check")
    assert later not in objects
    assert git(tree, "status", "--porcelain") == ""


async def test_many_trees_are_taken_from_one_mirror_at_once(made: Tiny, tmp_path: Path) -> None:
    """The mirror is only read, so nobody waits for anybody, and it stays as it was."""
    mirror = made.mirrors / "tiny__counting.git"
    before = sorted(str(one) for one in mirror.rglob("*"))
    await asyncio.gather(*(take(mirror, made.row["base_commit"], tmp_path / f"tree{n}") for n in range(8)))
    assert all((tmp_path / f"tree{n}" / "counting").is_dir() for n in range(8))
    assert sorted(str(one) for one in mirror.rglob("*")) == before


async def test_a_commit_that_is_not_there_is_named(made: Tiny, tmp_path: Path) -> None:
    """An old mirror is told to be brought up to date."""
    with pytest.raises(SetupError, match="does not give commit 123412341234: bring it up to date"):
        await take(made.mirrors / "tiny__counting.git", "1234" * 10, tmp_path / "tree")


@pytest.mark.parametrize(
    "layout", ["tiny__counting.git", "tiny__counting", "tiny+counting/repo", "tiny/counting", "counting"]
)
async def test_mirrors_are_found_in_any_layout(made: Tiny, tmp_path: Path, layout: str) -> None:
    """A folder of bare repositories or of work trees, however they are called."""
    folder = tmp_path / "other"
    (folder / layout).parent.mkdir(parents=True)
    (made.mirrors / "tiny__counting.git").rename(folder / layout)
    mirrors = Mirrors([tmp_path / "nothing", folder], where=Home(tmp_path / "cache", tmp_path / "state"))
    assert await mirrors.find("tiny/counting") == folder / layout


async def test_a_repository_is_cloned_once(made: Tiny, tmp_path: Path) -> None:
    """Without a mirror it is cloned into the cache, and found there the next time."""
    host = tmp_path / "host"
    (host / "tiny").mkdir(parents=True)
    (made.mirrors / "tiny__counting.git").rename(host / "tiny" / "counting")
    mirrors = Mirrors(host=f"file://{host}", where=Home(tmp_path / "cache", tmp_path / "state"))
    first, second = await asyncio.gather(mirrors.find("tiny/counting"), mirrors.find("tiny/counting"))
    assert first == second
    await take(first, made.row["base_commit"], tmp_path / "tree")


async def test_a_mirror_that_cannot_be_had_says_how_to_make_one(tmp_path: Path) -> None:
    """The message has the command that makes a mirror elsewhere."""
    mirrors = Mirrors(host=f"file://{tmp_path}/nowhere", where=Home(tmp_path / "cache", tmp_path / "state"))
    with pytest.raises(SetupError, match=r"git clone --mirror .*--repo-dir FOLDER"):
        await mirrors.find("tiny/counting")
