"""The Python environments that instances run in: one for each version of a repository, made by its official recipe.

What a repository needs is installed once, in the cache, and only read from then on. Each work tree has a small
environment of its own beside it, which sees those packages and has the repository's own package installed from the
work tree (``pip install -e``), so that any number of trees can share the rest.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agentrt.engine.environment import translated_oserror, uv
from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Progress, Silent
from agentrt.engine.shell import CommandFailed, Shell
from agentrt.errors import ConfigError, SetupError

_BUILDING: Final = ("setuptools<80", "wheel", "setuptools_scm<9", "toml")
"""What building the repositories takes, since a work tree is installed without looking at the network."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the environment of one version of a repository is made, as the official package says.

    ``python`` is its version, ``packages`` what is installed, ``files`` requirements of the repository's own,
    ``before`` what is done to its files first.
    """

    repo: str
    version: str
    python: str
    packages: tuple[str, ...]
    files: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    @classmethod
    def read(cls, repo: str, version: str, told: Mapping[str, Any] | None) -> Self:
        """From the official specification. Raises ``ConfigError`` for one that takes a container."""
        if told is None:
            raise ConfigError(f"the official package has no recipe for {repo} {version}; run it in a container")
        before = tuple(told.get("pre_install", ()))
        named = str(told.get("packages", ""))
        if any(not one.startswith("sed -i ") for one in before) or named.endswith(".yml"):
            raise ConfigError(
                f"the recipe for {repo} {version} installs more than Python packages; run it in a container"
            )
        files = tuple(told.get("requirements", ())) if named == "requirements.txt" else ()
        packages = () if files else tuple(shlex.split(named))
        pinned = tuple(told.get("pip_packages", ()))
        names = {one.partition("==")[0] for one in pinned}
        loose = tuple(one for one in packages if one not in names)
        return cls(repo, version, told["python"], (*loose, *pinned), files, before)

    def __str__(self) -> str:
        return f"{self.repo} {self.version}"

    def key(self, requires: Sequence[str]) -> str:
        """A name that changes with everything the environment is made of."""
        parts = [repr(self), platform.machine(), *_BUILDING, *requires]
        short = self.repo.rpartition("/")[2]
        return f"{short}-{self.version}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What all work trees of one version share: ``packages`` is its folder of packages, ``prefix`` that of Python."""

    recipe: Recipe
    folder: Path
    python: Path
    packages: Path
    prefix: Path

    @property
    def readable(self) -> tuple[Path, ...]:
        """What a sandbox has to be able to read."""
        return (self.folder, self.prefix)


def shared(
    recipe: Recipe,
    requires: Sequence[str],
    source: Path,
    *,
    progress: Progress | None = None,
    where: Home | None = None,
) -> Shared:
    """The environment of a recipe with what a package of the repository ``requires``, making it if it is not there.

    ``source`` are the repository's files of which the recipe may name some. Safe to call from several processes at
    once. Raises ``SetupError`` with the way out, and ``ConfigError`` when there is no Python of that version.
    """
    progress = progress or Silent()
    folder = (where or home()).cache / "swebench" / "environments" / recipe.key(requires)
    done = folder / "done"
    if not done.exists():
        with locked(folder.with_name(f"{folder.name}.lock"), f"installing {recipe}", progress) as lock:
            if not done.exists():
                _build(recipe, tuple(requires), folder, source, Shell(progress, keep=(lock,)))
    venv = folder / "venv"
    return Shared(recipe, folder, venv / "bin" / "python", _packages(venv), Path(done.read_text().strip()))


def _build(recipe: Recipe, requires: tuple[str, ...], folder: Path, source: Path, shell: Shell) -> None:
    title = f"Installing what {recipe} needs"
    shell.progress.step(title)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        python = find_python(recipe.python, shell)
        venv = folder / "venv"
        shell.run([uv(), "venv", "-q", "--no-project", "--python", str(python), str(venv)])
        _install(shell, venv, *(argument for name in recipe.files for argument in ("-r", str(source / name))))
        _install(shell, venv, *recipe.packages)  # after the files: the official order, and the last word
        _install(shell, venv, *recipe.packages, *_missing(venv, _BUILDING))
        _install(shell, venv, *recipe.packages, *requires)
        (folder / "done.part").write_text(_prefix(python))
        (folder / "done.part").rename(folder / "done")
    except CommandFailed as error:
        raise error.explained(title, folder) from error
    except OSError as error:
        raise translated_oserror(error, title, folder) from error


def prepared(recipe: Recipe, tree: Path) -> None:
    """Do to the files of a work tree what the recipe does before it installs them. Raises ``SetupError``."""
    for line in recipe.before:
        ended = subprocess.run(["bash", "-c", line], cwd=tree, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SetupError(f"{recipe}: {line!r} failed: {ended.stderr.strip()}")


def own_environment(recipe: Recipe, source: Path, tree: Path, venv: Path, *, where: Home | None = None) -> Shared:
    """Make the small environment of one work tree at ``venv``; the shared one that it sees.

    Raises ``SetupError`` and ``ConfigError`` as ``shared`` does.
    """
    builder = shared(recipe, (), source, where=where)
    shell = Shell(Silent(), env={"SETUPTOOLS_SCM_PRETEND_VERSION": f"{recipe.version}.0", "UV_OFFLINE": "1"})
    try:
        shutil.rmtree(venv, ignore_errors=True)
        shell.run([uv(), "venv", "-q", "--no-project", "--python", str(builder.python.resolve()), str(venv)])
        _see(venv, builder)
        _install(shell, venv, "--no-deps", "--no-build-isolation", "-e", str(tree))
    except CommandFailed as error:
        raise error.explained(f"Installing {recipe} from its work tree", venv) from error
    whole = shared(recipe, _requires(venv), source, where=where)
    _see(venv, whole)
    _take_scripts(whole, venv)
    return whole


def _see(venv: Path, other: Shared) -> None:
    """Let an environment see the packages of another one, behind its own."""
    (_packages(venv) / "zz_shared.pth").write_text(f"{other.packages}\n")


def _requires(venv: Path) -> list[str]:
    """What the packages that are installed there require: of extras nothing."""
    found: set[str] = set()
    for told in _packages(venv).glob("*.dist-info/METADATA"):
        lines = told.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
        wanted = (line.partition(":")[2].strip() for line in lines if line.startswith("Requires-Dist:"))
        found.update(one for one in wanted if "extra ==" not in one)
    return sorted(found)


def _take_scripts(other: Shared, venv: Path) -> None:
    """Have the commands of the packages that are seen, run by our own interpreter."""
    theirs = other.folder / "venv"
    for script in (theirs / "bin").iterdir():
        ours = venv / "bin" / script.name
        if script.is_symlink() or ours.exists() or not script.read_bytes().startswith(b"#!"):
            continue
        ours.write_bytes(script.read_bytes().replace(os.fsencode(theirs), os.fsencode(venv), 1))
        ours.chmod(0o755)


def find_python(version: str, shell: Shell) -> Path:
    """An interpreter of that version: pyenv's, the system's, or uv's own, which is fetched if need be.

    Raises ``ConfigError`` naming the ways to get one.
    """
    for candidate in _candidates(version):
        if _version(candidate) == version:
            return candidate
    try:
        shell.progress.note(f"fetching Python {version}")
        shell.run([uv(), "python", "install", "-q", version])
        found = [uv(), "python", "find", "--managed-python", version]
        return Path(subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip())
    except (CommandFailed, subprocess.CalledProcessError) as error:
        raise ConfigError(
            f"this takes Python {version}, as the official environment does, and there is none here: install it with "
            f"`uv python install {version}` (needs the network), `pyenv install {version}`, or the system's packages"
        ) from error


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin" / f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from sorted(root.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    yield from sorted(Path("~/.local/share/uv/python").expanduser().glob(f"cpython-{version}.*/bin/python{version}"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"


def _version(python: Path) -> str:
    """What an interpreter says of itself; empty when it does not run, as pyenv's stand-ins may not."""
    if not python.is_file():
        return ""
    asking = [str(python), "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    return subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip()


def _prefix(python: Path) -> str:
    asking = [str(python), "-c", "import os, sys; print(os.path.realpath(sys.base_prefix))"]
    return subprocess.run(asking, capture_output=True, text=True, check=True).stdout.strip()


def _install(shell: Shell, venv: Path, *what: str) -> None:
    if what:
        shell.run([uv(), "pip", "install", "-q", "--python", str(venv / "bin" / "python"), *what])


def _packages(venv: Path) -> Path:
    return next((venv / "lib").glob("python*/site-packages"))


def _installed(venv: Path) -> set[str]:
    return {one.name.partition("-")[0] for one in _packages(venv).glob("*.dist-info")}


def _missing(venv: Path, wanted: tuple[str, ...]) -> list[str]:
    """Those of which no version is installed: a recipe's own version of setuptools stays."""
    there = _installed(venv)
    return [one for one in wanted if one.partition("<")[0] not in there]
