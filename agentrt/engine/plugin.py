"""Make this package importable inside the engine without installing it there.

SGLang finds plugins through installed distributions' entry points. A folder with a link to this package and a
hand-written ``dist-info`` is such a distribution; put alone on ``PYTHONPATH`` it adds nothing else to the engine.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import agentrt
from agentrt.engine.paths import Home, private_folder

ENTRY_POINTS = """\
[sglang.srt.platforms]
agentrt_cpu = agentrt.kvcache.sglang:cpu_platform

[sglang.srt.plugins]
agentrt = agentrt.kvcache.sglang:register
"""
"""The same as in ``pyproject.toml``; a test holds them together."""


def plugin_folder(where: Home) -> Path:
    """The folder to put on the engine's ``PYTHONPATH``, creating it if needed."""
    package = Path(agentrt.__file__).resolve().parent
    parts = f"{package}\n{agentrt.__version__}\n{ENTRY_POINTS}"
    folder = private_folder(where.plugins) / hashlib.sha256(parts.encode()).hexdigest()[:12]
    info = folder / f"agentrt-{agentrt.__version__}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    _link(folder / "agentrt", package)
    _write(info / "entry_points.txt", ENTRY_POINTS)
    _write(info / "METADATA", f"Metadata-Version: 2.1\nName: agentrt\nVersion: {agentrt.__version__}\n")
    return folder


def _link(link: Path, target: Path) -> None:
    with suppress(FileExistsError):  # the folder's name holds the target, so it is the same
        link.symlink_to(target)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
