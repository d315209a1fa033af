"""A box's own folder, and what boxes of processes that were killed left behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from agentrt.executors.sandbox.inside.cgroups import PREFIX
from agentrt.executors.sandbox.owners import alive, owner


def box_folder(parent: Path) -> Path:
    """A fresh folder for one box, named for this process, with its ``tmp`` and an empty ``root``."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{owner()}-", dir=parent)).resolve()
    (folder / "tmp").mkdir()
    (folder / "root").mkdir()
    return folder


def sweep(parent: Path) -> None:
    """Remove our user's box folders whose process is gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            mine = folder.lstat().st_uid == os.geteuid()
        except FileNotFoundError:
            continue
        if mine and not alive(folder.name.removeprefix(PREFIX)):
            remove(folder)


def remove(folder: Path) -> None:
    """Delete a folder, however deep and closed what ran in it has made it."""
    for command in (["chmod", "-R", "u+rwX", "--"], ["rm", "-rf", "--"]):
        subprocess.run([*command, str(folder)], check=False, capture_output=True)
