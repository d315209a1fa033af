"""Reading and writing beneath a folder that is not to be trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentrt.errors import UsageError
from agentrt.executors.sandbox import Item
from agentrt.executors.sandbox.files import listing, read, write


def test_a_file_is_written_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    """Folders on the way are made; nothing else is left beside it."""
    write(tmp_path, "a/b/c.txt", b"one")
    (tmp_path / "a/b/c.txt").chmod(0o750)
    write(tmp_path, "a/b/c.txt", b"two")
    assert read(tmp_path, "a/b/c.txt", 10) == b"two"
    assert (tmp_path / "a/b/c.txt").stat().st_mode & 0o777 == 0o750
    assert [file.name for file in (tmp_path / "a/b").iterdir()] == ["c.txt"]


def test_links_inside_are_followed(tmp_path: Path) -> None:
    """Relative ones, absolute ones beneath the folder, chains, folders; a link to a file stays a link."""
    write(tmp_path, "real/file", b"1")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "chain").symlink_to("folder/../folder/file")
    (tmp_path / "absolute").symlink_to(tmp_path / "chain")
    write(tmp_path, "absolute", b"2")
    assert (tmp_path / "absolute").is_symlink()
    assert (tmp_path / "real/file").read_bytes() == b"2"
    for path in ("chain", "folder/file", "./real//file", "real/../chain", str(tmp_path / "absolute")):
        assert read(tmp_path, path, 10) == b"2"
    write(tmp_path, "folder/new/deep", b"3")
    assert (tmp_path / "real/new/deep").read_bytes() == b"3"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", ".."),
        ("link", "../outside"),
        ("link", "/etc/passwd"),
        ("folder/link", "../../outside"),
        ("folder/link", "./././../../outside"),
        ("link", "folder/../.."),
    ],
)
def test_links_that_lead_out_are_refused(tmp_path: Path, path: str, target: str) -> None:
    """For reading, writing and listing, and wherever they stand."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (root / path).symlink_to(target)
    for attempt in (lambda: read(root, path, 10), lambda: write(root, path, b"x"), lambda: listing(root, path)):
        with pytest.raises(UsageError, match="leads out of the work folder"):
            attempt()
    assert (tmp_path / "outside").read_text() == "secret"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """They are told as the system tells them."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many links"):
        read(tmp_path, "a", 10)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe (which would hold the reader) and a socket's like."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in ("folder", ".", "folder/.."):
        with pytest.raises(IsADirectoryError):
            read(tmp_path, path, 10)
        with pytest.raises(IsADirectoryError):
            write(tmp_path, path, b"x")
    for attempt in (lambda: read(tmp_path, "pipe", 10), lambda: write(tmp_path, "pipe", b"x")):
        with pytest.raises(UsageError, match="no plain file"):
            attempt()


def test_errors_name_the_path_that_was_asked_for(tmp_path: Path) -> None:
    """Not the name it failed at."""
    write(tmp_path, "file", b"x")
    with pytest.raises(FileNotFoundError, match="a/b/c"):
        read(tmp_path, "a/b/c", 10)
    with pytest.raises(NotADirectoryError, match="file/below"):
        read(tmp_path, "file/below", 10)
    with pytest.raises(UsageError, match="zero byte"):
        read(tmp_path, "a\0b", 10)


def test_a_long_file_is_refused(tmp_path: Path) -> None:
    """A file of any length costs no more memory than was allowed."""
    with (tmp_path / "long").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match="longer than 1,000 bytes"):
        read(tmp_path, "long", 1000)


def test_a_folder_is_listed(tmp_path: Path) -> None:
    """By name, links as links."""
    write(tmp_path, "b", b"12")
    (tmp_path / "a").mkdir()
    (tmp_path / "c").symlink_to("/etc/passwd")
    items = listing(tmp_path, ".")
    assert [(item.name, item.kind) for item in items] == [("a", "folder"), ("b", "file"), ("c", "link")]
    assert items[1] == Item("b", "file", 2)
    assert listing(tmp_path, "a") == []
