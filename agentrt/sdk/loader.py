"""Finds a program by what a user types: ``report.py``, ``report.py:report`` or ``package.module:report``."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from agentrt.errors import ProgramError
from agentrt.sdk.agents import Agent
from agentrt.sdk.steps import Program
from agentrt.targets import split_target

_SHOWN: Final = 6  # names in a message; more only hide the right one


def load_program(target: str) -> Program[..., Any]:
    """The program that ``target`` names: ``FILE.py`` or ``package.module``, with ``:name`` where there are several.

    The name is the variable's or the program's own. The file is imported as a module of its own, its folder on
    ``sys.path``, its ``if __name__ == "__main__"`` part not run. Raises ``ProgramError`` for what is not there or does
    not import, naming the line.
    """
    where, name = split_target(target)
    module = _load_file(Path(where)) if _is_file(where) else _load_module(where)
    return _choose(module, where, name)


def check_graph(program: Program[..., Any]) -> None:
    """Read the program's step graph from its source. Raises ``GraphError`` with the place of what cannot work.

    That is before anything runs or costs tokens: a cycle, an unknown tool, two steps of one name. A source that cannot
    be read (code made at run time, one too deep for the reader) is no reason to refuse a program that Python accepts.
    """
    from agentrt.graph import read_template

    function = inspect.unwrap(program.function)
    code = getattr(function, "__code__", None)  # a partial has none
    if code is None:
        return
    with suppress(OSError, ProgramError, UnicodeError):
        source = Path(code.co_filename)
        read_template(source.read_text(encoding="utf-8"), str(source), function.__name__)


def asks_a_model(program: Program[..., Any]) -> bool:
    """Whether the program's module has agents in it, its own or imported: then a model is most likely asked."""
    module = sys.modules.get(program.function.__module__)
    return any(isinstance(value, Agent) for value in vars(module).values()) if module else False


def _is_file(where: str) -> bool:
    return "/" in where or where.endswith(".py") or Path(where).exists()


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise ProgramError(f"{str(path)!r} is a folder; name a file in it: {_python_files(path)}")
    if not path.exists():
        raise ProgramError(f"there is no file {str(path)!r}; {_nearest_files(path)}")
    path = path.resolve()
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # what the file imports from beside it is found, as when Python runs it
    loader = SourceFileLoader(f"agentrt_program_{path.stem}", str(path))  # no name that something else may have
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None, "a loader of its own gives a spec"
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[loader.name]
        raise _does_not_import(str(path), error) from error
    return module


def _load_module(where: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and (where == error.name or where.startswith(f"{error.name}.")):
            raise ProgramError(f"there is no file or module {where!r}; {_nearest_files(Path(where))}") from error
        raise _does_not_import(where, error) from error
    except (Exception, SystemExit) as error:
        raise _does_not_import(where, error) from error


def _does_not_import(where: str, error: BaseException) -> ProgramError:
    what = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    shown = _shown(where) if where.endswith(".py") else where
    if isinstance(error, SystemExit):
        what = f"it ends the process ({what}); put that under `if __name__ == '__main__':`"
    return ProgramError(f"{shown} does not import: {' '.join(what.split())} ({_place(error)})")


def _place(error: BaseException) -> str:
    """The line to look at: of the innermost frame that is the user's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    return f"{_shown(own[-1].filename)}:{own[-1].lineno}" if own else "before its first line"


def _is_users(file: str) -> bool:
    if file.startswith("<") or "site-packages" in file:
        return False
    path = Path(file)
    ours = Path(__file__).parents[1]
    return not any(path.is_relative_to(root) for root in (ours, *_standard_library()))


def _standard_library() -> Iterable[Path]:
    return {Path(traceback.__file__).parent, Path(traceback.__file__).resolve().parent}


def _shown(file: str) -> str:
    """The path as the user would type it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _choose(module: ModuleType, where: str, name: str | None) -> Program[..., Any]:
    found = {key: value for key, value in vars(module).items() if isinstance(value, Program)}
    if name is not None:
        return _named(found, module, where, name)
    own = {key: one for key, one in found.items() if one.function.__module__ == module.__name__} or found
    if len({id(one) for one in own.values()}) == 1:
        return next(iter(own.values()))
    if not own:
        raise ProgramError(f"{where} has no program; put @program over the async function to run")
    raise ProgramError(f"{where} has several programs; name one: {_listed(f'{where}:{key}' for key in own)}")


def _named(found: dict[str, Program[..., Any]], module: ModuleType, where: str, name: str) -> Program[..., Any]:
    if name in found:
        return found[name]
    for one in found.values():
        if one.name == name:
            return one
    if hasattr(module, name):
        raise ProgramError(f"{where}: {name!r} is no program; put @program over the async function to run")
    near = get_close_matches(name, found, n=1)
    way_out = f"did you mean {where}:{near[0]}?" if near else f"its programs are: {_listed(found) or 'none'}"
    raise ProgramError(f"{where} has no program {name!r}; {way_out}")


def _nearest_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r} either"
    if path.suffix != ".py" and Path(f"{path}.py").exists():
        return f"did you mean {path}.py?"
    near = get_close_matches(path.name, [one.name for one in folder.glob("*.py")], n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(str(folder / one) for one in near)}?"
    return f"Python files in {str(folder)!r}: {_python_files(folder)}"


def _python_files(folder: Path) -> str:
    return _listed(sorted(one.name for one in folder.glob("*.py"))) or "none"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
