"""A stand-in for torchvision, installed in the engine's own environment and nowhere else.

SGLang and transformers import names from torchvision at start-up for image models alone, and torchvision has no
CPU build on PyPI. Every name is there; using one says what is missing.
"""

from __future__ import annotations

import enum
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

__version__ = "0.0.0"


class InterpolationMode(enum.Enum):
    """The ways to resize an image; read at import time."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


class _Missing:
    """Stands for any class or function."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("images need torchvision, and this engine serves text models only")


def __getattr__(name: str) -> type[_Missing]:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Missing


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(f"{__name__}.{name}", __doc__)
    module.__spec__ = ModuleSpec(module.__name__, None, is_package=True)
    module.__path__ = []
    vars(module).update(__getattr__=__getattr__, InterpolationMode=InterpolationMode)
    sys.modules[module.__name__] = module
    return module


io = _module("io")
transforms = _module("transforms")
vars(transforms).update(functional=_module("transforms.functional"), v2=_module("transforms.v2"))
vars(transforms.v2).update(functional=_module("transforms.v2.functional"))
