"""Importing what a user names by ``module:attribute``: the one place where a user's file is trusted to run code."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from onehead_avl.errors import UsageError


def import_attribute(path: str) -> Any:
    """Import what ``module:attribute`` names, the working directory included, as ``python -m`` does.

    Raises:
        UsageError: There is no such module or attribute, or the module cannot be imported.
    """
    module_name, _, attribute = path.partition(":")
    see_working_directory()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module's own code may raise anything
        raise UsageError(
            f"{path}: the module {module_name!r} cannot be imported ({error}); correct the path"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UsageError(
            f"{path}: expected {attribute!r} in module {module_name!r} ({_place(module)}), found no such name; "
            "correct the path"
        ) from None


def see_working_directory() -> None:
    """Have modules of the working directory found."""
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _place(module: ModuleType) -> str:
    """Where a module was found; a built-in one and a bare folder have no file."""
    return getattr(module, "__file__", None) or "no file"
