"""The dataset's file: one that is named, one of the user's folder, or fetched once into the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from agentrt.engine.paths import Home, home
from agentrt.errors import SetupError

FOLDER_VARIABLE: Final = "AGENTRT_SWEBENCH_DATA"
HOST: Final = "https://huggingface.co/datasets/SWE-bench"
NAMES: Final = {"verified": "SWE-bench_Verified", "lite": "SWE-bench_Lite"}

HELP: Final = (
    f"verified, lite, or a parquet or JSON lines file with the columns of SWE-bench 5; the first two are taken from "
    f"the folder {FOLDER_VARIABLE} (as SWE-bench_Verified-test.parquet) or fetched once: "
    f"{HOST}/SWE-bench_Verified/resolve/main/data/test-00000-of-00001.parquet (verified)"
)


def dataset(name: str, *, where: Home | None = None, host: str = HOST) -> Path:
    """The file of a dataset. Raises ``SetupError`` when it is not there and cannot be fetched."""
    official = NAMES.get(name)
    if official is None:
        file = Path(name).expanduser()
        if not file.is_file():
            raise SetupError(f"dataset {name!r}: there is no such file; name one, or {' or '.join(NAMES)}")
        return file
    folder = os.environ.get(FOLDER_VARIABLE)
    cached = (where or home()).cache / "swebench" / f"{official}-test.parquet"
    there = [Path(folder).expanduser() / cached.name] if folder else []
    for file in (*there, cached):
        if file.is_file():
            return file
    return _fetched(f"{host}/{official}/resolve/main/data/test-00000-of-00001.parquet", cached)


def _fetched(url: str, into: Path) -> Path:
    import httpx

    part = into.with_suffix(f".{os.getpid()}.part")  # another process may fetch it, too
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                file.write(chunk)
        part.rename(into)
    except (httpx.HTTPError, OSError) as error:
        raise SetupError(
            f"the dataset cannot be fetched ({error}); fetch {url} elsewhere and name the file with --dataset, or put "
            f"it as {into.name} into the folder that {FOLDER_VARIABLE} names"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return into
