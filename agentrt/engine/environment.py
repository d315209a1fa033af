"""Build the engine's own environment: stock SGLang and what it needs, apart from the user's packages.

Built step by step; each finished step leaves a marker, so an interrupted build goes on where it stopped. A step that
was interrupted half-way is done again from its downloads, which uv and pip keep.
"""

from __future__ import annotations

import errno
import hashlib
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Progress, Silent
from agentrt.engine.shell import CommandFailed, Shell, disk_full
from agentrt.errors import ConfigError, SetupError

Device = Literal["cpu", "cuda"]

HERE = Path(__file__).parent
TORCH = "2.13.0"
NEEDED_GB: dict[Device, float] = {"cpu": 4.0, "cuda": 20.0}
"""Free disk asked for before a build starts: what it takes, the downloads' caches included."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that can run the engine on ``device``."""

    python: Path
    device: Device


def choose_device(device: str, root: Path = Path("/")) -> Device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into the device to use; ``auto`` is ``cuda`` where an NVIDIA driver runs.

    Raises ``ConfigError`` for another word, and for ``cuda`` without a GPU: that is known before 11 GB are installed.
    """
    if device == "auto":
        return "cuda" if has_gpu(root) else "cpu"
    if device == "cpu":
        return "cpu"
    if device != "cuda":
        raise ConfigError(f"device {device!r} is not known; use auto, cpu or cuda")
    if not has_gpu(root):
        raise ConfigError("device 'cuda': no NVIDIA driver runs here; install it, or use cpu")
    return "cuda"


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether an NVIDIA driver runs: its own files, or under WSL the host's device beside the driver's tool."""
    if any((root / "proc/driver/nvidia/gpus").glob("*")):
        return True
    return (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/nvidia-smi").exists()


def environment(device: Device = "cpu", *, progress: Progress | None = None, where: Home | None = None) -> Environment:
    """The environment for ``device``, building what is missing of it.

    Safe to call from several processes at once: one builds, the others wait and say for whom. Raises
    ``SetupError`` with the way out; calling again goes on where it stopped.
    """
    progress = progress or Silent()
    where = where or home()
    check_platform()
    builder = Builder(device, where.environments / f"{device}-{_key(device)}", progress)
    if not builder.finished:
        with locked(builder.folder.with_suffix(".lock"), "installing the engine", progress) as lock:
            builder.build(lock)
    return Environment(builder.python, device)


def check_platform(system: str | None = None, version: tuple[int, int] | None = None) -> None:
    """Refuse with ``SetupError`` a platform that SGLang has no packages for."""
    system = system or platform.system()
    version = version or sys.version_info[:2]
    way_out = "start a server elsewhere and give its address with --engine URL"
    if system != "Linux":
        raise SetupError(f"the embedded engine runs on Linux, this is {system}; {way_out}")
    if not (3, 11) <= version <= (3, 13):
        raise SetupError(
            f"the embedded engine needs Python 3.11, 3.12 or 3.13, this is {version[0]}.{version[1]}; "
            f"use one of those, or {way_out}"
        )


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds one environment in ``folder``."""

    device: Device
    folder: Path
    progress: Progress

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def finished(self) -> bool:
        """Every step is done, and the Python it was made of is still there."""
        return not self._gone and all(self._marker(name).exists() for name, _, _ in self._steps())

    @property
    def _gone(self) -> bool:
        return self._marker("venv").exists() and not self.python.exists()

    def build(self, lock: int) -> None:
        """Do the steps that are not done yet, holding ``lock``."""
        try:
            self._check_space()
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._gone:
                shutil.rmtree(self.folder)
                self.folder.mkdir()
            shell = Shell(self.progress, keep=(lock,))
            for name, title, step in self._steps():
                if not self._marker(name).exists():
                    self.progress.step(title)
                    self._do(name, title, step, shell)
        except OSError as error:
            raise translated_oserror(error, "Installing the engine", self.folder) from error

    def _do(self, name: str, title: str, step: Callable[[Shell, bool], None], shell: Shell) -> None:
        """Do one step between two markers: begun without done means it was interrupted."""
        begun = self._marker(name).with_suffix(".begun")
        again = begun.exists()
        begun.touch()
        try:
            step(shell, again)
        except CommandFailed as error:
            raise error.explained(title, self.folder) from error
        begun.rename(self._marker(name))

    def _steps(self) -> tuple[tuple[str, str, Callable[[Shell, bool], None]], ...]:
        venv = ("venv", "Creating the engine's environment", self._venv)
        if self.device == "cuda":
            return (venv, ("packages", "Installing SGLang for CUDA (about 11 GB)", self._packages))
        return (
            venv,
            ("torch", f"Installing PyTorch {TORCH} for the CPU", self._torch),
            ("packages", "Installing SGLang for the CPU", self._packages),
            ("stand-in", "Finishing the engine's environment", self._stand_in),
        )

    def _venv(self, shell: Shell, again: bool) -> None:
        shell.run([uv(), "venv", "--seed", "--clear", "--python", sys.executable, str(self.folder / "venv")])

    def _torch(self, shell: Shell, again: bool) -> None:
        """Try the small builds for CPUs first; the build for GPUs runs on a CPU too and takes 5 GB more."""
        small = (self._torch_from_pip, self._torch_from_index)
        for attempt in small if platform.machine() == "x86_64" else ():  # elsewhere PyPI's own build is for CPUs
            try:
                return attempt(shell, again)
            except CommandFailed as error:
                if error.disk_full:
                    raise
        return self._torch_plain(shell, again)

    def _torch_from_pip(self, shell: Shell, again: bool) -> None:
        """Let pip look where its own settings say, for those who keep CPU builds there; uv does not read them."""
        self.progress.note("asking pip for the CPU build")
        wheels = self.folder / "wheels"
        shell.run(
            [str(self.python), "-m", "pip", "download", f"torch=={TORCH}+cpu", "--no-deps", "--only-binary=:all:",
             "--dest", str(wheels), "--progress-bar", "raw", "--disable-pip-version-check"]
        )  # fmt: skip
        self._install(shell, again, *map(str, wheels.glob("torch-*.whl")))
        shutil.rmtree(wheels)

    def _torch_from_index(self, shell: Shell, again: bool) -> None:
        self.progress.note("asking PyTorch's own index for the CPU build")
        self._install(shell, again, f"torch=={TORCH}", "--torch-backend", "cpu")

    def _torch_plain(self, shell: Shell, again: bool) -> None:
        self.progress.note("taking PyPI's build")
        self._install(shell, again, f"torch=={TORCH}")

    def _packages(self, shell: Shell, again: bool) -> None:
        plain = ["--no-deps"] if self.device == "cpu" else []
        self._install(shell, again, *plain, "-r", str(requirements(self.device)))

    def _stand_in(self, shell: Shell, again: bool) -> None:
        """Put our torchvision beside torch: SGLang imports the name, text models never use it."""
        for packages in (self.folder / "venv" / "lib").glob("python*/site-packages"):
            (packages / "torchvision").mkdir(exist_ok=True)
            shutil.copyfile(_STAND_IN, packages / "torchvision" / "__init__.py")

    def _install(self, shell: Shell, again: bool, *what: str) -> None:
        redo = ["--reinstall"] if again else []
        shell.run([uv(), "pip", "install", "--python", str(self.python), *redo, *what])

    def _check_space(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder.parent).free / 1e9
        if not self.folder.exists() and free < NEEDED_GB[self.device]:
            raise SetupError(
                f"the disk that holds {self.folder.parent} has {free:.1f} GB free and the engine takes up to "
                f"{NEEDED_GB[self.device]:.0f} GB; free some space, or set AGENTRT_HOME to a folder on another disk"
            )

    def _marker(self, name: str) -> Path:
        return self.folder / f"{name}.done"


_STAND_IN = HERE / "inside" / "torchvision_stand_in.py"


def requirements(device: Device) -> Path:
    """The list of packages installed for ``device``."""
    return HERE / "requirements" / f"{device}.txt"


def uv() -> str:
    """The path of the installer."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise SetupError("the installer uv is missing; run: python -m pip install uv") from error


def _key(device: Device) -> str:
    """A name that changes with everything the environment is made of."""
    parts = [device, TORCH, platform.machine(), "{}.{}".format(*sys.version_info[:2])]
    parts += [requirements(device).read_text(), _STAND_IN.read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def translated_oserror(error: OSError, what: str, folder: Path) -> SetupError:
    """Say in one line that ``what`` failed because of ``error``; ``folder`` is where it writes."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(what, folder)
    return SetupError(f"{what} failed: {error}; set AGENTRT_HOME to a folder you can write to")
