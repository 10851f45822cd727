"""What a user names by ``module:attribute`` is imported and called here: a user's file is trusted to run code."""

import importlib
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from onehead_avl.errors import OneHeadError, TrainingError, UsageError
from onehead_avl.system.blame import place_of, takes_part

_OTHER_ARGUMENTS = re.compile(
    r"unexpected keyword|missing \d+ required|multiple values|not callable|takes \d+ positional"
)
"""What Python, or a template of Avalanche's, says of a call with arguments that are not those of what is called."""


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
        refusal = UsageError(f"{path}: the module {module_name!r} cannot be imported ({error}); correct the path")
        raise (refusal if _is_absent(module_name, error) else refusal.showing(error)) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UsageError(
            f"{path}: expected {attribute!r} in module {module_name!r} ({_place(module)}), found no such name; "
            "correct the path"
        ) from None


def call_attribute(path: str, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Call what ``module:attribute`` names.

    Args:
        path: What is called.
        arguments: What the benchmark hands in, by name.
        options: What the user does.

    Raises:
        UsageError: It leads nowhere, or takes other arguments.
        TrainingError: Its own code raised an error, which is shown.
    """
    attribute = import_attribute(path)
    try:
        return attribute(**arguments, **options)
    except OneHeadError:
        raise
    except Exception as error:
        if isinstance(error, TypeError) and _is_of_the_call(error, options):
            raise UsageError(
                f"{path} cannot be called with {', '.join([*arguments, *options]) or 'no arguments'} ({error}); "
                "give it what is missing with --set, or correct it"
            ) from error
        raise TrainingError(
            f"{path} could not be built: {type(error).__name__} in {place_of(error)} ({error}); nothing was trained or "
            "written yet: correct the code, of which this is the traceback, or its options"
        ).showing(error) from error


def _is_of_the_call(error: TypeError, options: Collection[str]) -> bool:
    """Whether what is called takes other arguments, and not something that somebody's own code calls in turn.

    That code may hand on the user's options, which it does not know itself.
    """
    said = str(error)
    if not _OTHER_ARGUMENTS.search(said):
        return False
    handed_on = any(re.search(rf"unexpected keyword.*\b{re.escape(name)}\b", said) for name in options)
    return handed_on or not takes_part(error)


def _is_absent(name: str, error: Exception) -> bool:
    """Whether an import failed because there is no module of the name, and not because of what is in it."""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    return not name or (missing is not None and f"{name}.".startswith(f"{missing}."))


def see_working_directory() -> None:
    """Have modules of the working directory found."""
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _place(module: ModuleType) -> str:
    """Where a module was found; a built-in one and a bare folder have no file."""
    return getattr(module, "__file__", None) or "no file"
