"""The script behind ``make``: what is there already stays."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path) -> ModuleType:
    """The script as a module, for an empty checkout of its own."""
    spec = importlib.util.spec_from_file_location("setup_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "pyproject.toml").write_text("")
    script.ROOT, script.VENV = tmp_path, tmp_path / ".venv"
    script.VENV.mkdir()
    return script


@pytest.mark.parametrize(("installed", "wanted", "enough"), [(0, 0, True), (0, 1, False), (1, 0, True), (1, 1, True)])
def test_what_is_installed_is_not_installed_again(
    setup: ModuleType, installed: bool, wanted: bool, enough: bool
) -> None:
    """An environment for developing is enough for users, not the other way round."""
    setup.marker(installed).write_text(setup.fingerprint())
    assert setup.ready(wanted) is enough


def test_changed_requirements_are_installed(setup: ModuleType) -> None:
    """What was installed for another ``pyproject.toml`` is not enough."""
    setup.marker(True).write_text(setup.fingerprint())
    (setup.ROOT / "pyproject.toml").write_text("changed")
    assert not setup.ready(True)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("Error: ensurepip is not available", "python3-venv"),
        ("OSError: [Errno 28] No space left on device", "make room"),
        ("error sending request", "check the network"),
    ],
)
def test_a_failure_says_the_way_out(setup: ModuleType, output: str, advice: str) -> None:
    """Each common failure has its own advice."""
    assert advice in setup.way_out(output)


@pytest.mark.parametrize(
    ("version", "there", "stale"), [("own", True, False), ("3.9", True, True), ("own", False, True)]
)
def test_the_environment_of_another_python_is_made_anew(
    setup: ModuleType, version: str, there: bool, stale: bool
) -> None:
    """What was made of another Python, or of one that was removed since, is cleared away, the lock excepted."""
    own = "{}.{}".format(*sys.version_info[:2])
    (setup.VENV / "pyvenv.cfg").write_text(f"version = {own if version == 'own' else version}.1\n")
    (setup.VENV / "bin").mkdir()
    (setup.VENV / "bin" / "python").symlink_to(sys.executable if there else "/gone/python")
    (setup.VENV / ".setup.lock").touch()
    setup.marker(True).write_text(setup.fingerprint())
    assert setup.stale() is stale
    assert setup.ready(True) is not stale
    setup.clear()
    assert [each.name for each in setup.VENV.iterdir()] == [".setup.lock"]
