"""What a module is made of: its sources with those of the modules beside it that it imports, and installed packages.

Sources are read and not run. Imports that are computed, and files that a module opens, cannot be seen in them.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import pkgutil
import site
import sys
import sysconfig
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import onehead_avl
from onehead_avl.system.importing import see_working_directory

PROJECT = ("onehead_avl", "scenarios", "strategies")
"""The packages of this project."""


@dataclass(frozen=True)
class Code:
    """What a module is made of.

    Attributes:
        own: What each file of somebody's holds, by the name of its module, wherever the files lie.
        needs: The version of each installed distribution that is imported, by its name.
    """

    own: Mapping[str, bytes]
    needs: Mapping[str, str]

    @property
    def digest(self) -> str | None:
        """A checksum of somebody's own files, or the versions of installed ones; ``None`` for what is neither."""
        if not self.own:
            return ", ".join(f"{name} {version}" for name, version in self.needs.items()) or None
        digest = hashlib.blake2b()
        for name, data in self.own.items():
            digest.update(f"{name} {len(data)} ".encode())
            digest.update(data)
        return digest.hexdigest()


def code_of(module: str) -> Code:
    """Find what a module is made of.

    Followed are the packages that contain it and all that it imports, at its start or later, but for the standard
    library, which goes with Python, and this project, whose sources belong to every run. Of an installed package that
    is imported the version is taken.

    Args:
        module: Its dotted name; one that cannot be found is made of nothing.
    """
    see_working_directory()
    own: dict[str, bytes] = {}
    needs: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = None if name in seen else _spec(name)
        seen.add(name)
        if spec is None or _is_known(name, spec):
            continue
        if versions := _versions(name, spec):
            needs |= versions
            continue
        waiting.append(name.rpartition(".")[0])
        data = _content(spec)
        if data is not None:
            own[name] = data
            inside = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
            waiting += _imported(data, inside) if str(spec.origin).endswith(".py") else ()
    return Code(dict(sorted(own.items())), dict(sorted(needs.items())))


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, which is not imported for that; ``None`` for what is none."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded
    package = name.rpartition(".")[0]
    if package:
        above = _spec(package)
        folders = above.submodule_search_locations if above else None
        return None if folders is None else PathFinder.find_spec(name, folders)
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # as for an empty name
        return None


def _is_known(name: str, spec: ModuleSpec) -> bool:
    """Whether a module is of the standard library or of this project."""
    where = _where(spec)
    if where is None:
        return True
    if name.partition(".")[0] in PROJECT and where.is_relative_to(Path(onehead_avl.__file__).parents[1]):
        return True
    return _lies_in(where, _standard()) and not _lies_in(where, _installed())


def _versions(name: str, spec: ModuleSpec) -> dict[str, str]:
    """The versions of the distributions that a module was installed with; none of what was put there by hand."""
    where = _where(spec)
    if where is None or not _lies_in(where, _installed()):
        return {}
    found = _distributions().get(name.partition(".")[0], ())
    return {each: importlib.metadata.version(each) for each in found}


def _where(spec: ModuleSpec) -> Path | None:
    """The file of a module, or the first folder of a package without one; ``None`` for what is built in."""
    if spec.has_location and spec.origin:
        return Path(spec.origin)
    return next(map(Path, spec.submodule_search_locations or ()), None) if spec.origin is None else None


def _content(spec: ModuleSpec) -> bytes | None:
    """What the file of a module holds, which may lie in an archive; ``None`` without one."""
    if not (spec.has_location and spec.origin):
        return None
    try:
        return Path(spec.origin).read_bytes()
    except OSError:
        read = getattr(spec.loader, "get_data", None)
    try:
        return read(spec.origin) if read else None
    except OSError:  # it was removed since
        return None


def _imported(source: bytes, package: str) -> set[str]:
    """The names that a source of a package imports anywhere in it; some are of what modules hold, and of no module."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python gives them when it compiles the module
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # nor can it be imported
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            found |= {base} | {each for alias in node.names for each in _of(base, alias.name)}
        elif isinstance(node, ast.Call):
            found |= {_absolute(name, package) for name in _named_by(node)}
    return found


def _absolute(name: str, package: str) -> str:
    """A name without leading dots; nothing if they lead too far."""
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return ""


def _of(base: str, name: str) -> list[str]:
    """What ``from base import name`` may import beside ``base``; a star may stand for every module of a package."""
    if name != "*":
        return [f"{base}.{name}"]
    spec = _spec(base)
    folders = spec.submodule_search_locations if spec else None
    return [f"{base}.{each.name}" for each in pkgutil.iter_modules(folders)] if folders else []


def _named_by(call: ast.Call) -> list[str]:
    """The module that a call imports by its name written out."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    if name not in ("import_module", "__import__") or not call.args:
        return []
    first = call.args[0]
    return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []


def _lies_in(where: Path, folders: frozenset[Path]) -> bool:
    return any(where.is_relative_to(folder) for folder in folders)


@cache
def _standard() -> frozenset[Path]:
    """The folders of the standard library."""
    return _as_folders(sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))


@cache
def _installed() -> frozenset[Path]:
    """The folders that packages are installed in."""
    paths = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return _as_folders(*paths, *site.getsitepackages(), site.getusersitepackages())


def _as_folders(*paths: str) -> frozenset[Path]:
    return frozenset(each for path in paths for each in (Path(path), Path(path).resolve()))


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions that a top-level name was installed with."""
    found = {name: list(those) for name, those in importlib.metadata.packages_distributions().items()}
    if sys.version_info < (3, 11):  # which passes over those that name no packages, such as torch
        for each in importlib.metadata.distributions():
            if each.read_text("top_level.txt") is None:
                for name in {file.parts[0].removesuffix(".py") for file in each.files or () if file.suffix == ".py"}:
                    found.setdefault(name, []).append(each.metadata["Name"])
    return found
