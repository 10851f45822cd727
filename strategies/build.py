"""From the name of a strategy, or the import path of anybody's, to the strategy."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.errors import UsageError
from strategies import methods
from strategies.multitask import MultiTask
from strategies.named import Option, parts_of
from strategies.setting import Setting

Options = Mapping[str, Mapping[str, Option]]


def build(name: str, setting: Setting, options: Options) -> BaseTemplate:
    """Build a strategy.

    Args:
        name: A name of :data:`~strategies.named.STRATEGIES`, several joined by ``+``, or ``module:attribute``: a class
            or a function that takes the keyword arguments that Avalanche's strategies share, and returns a strategy.
        setting: What it is given.
        options: Hyper-parameters by method or by the bare name of the attribute.

    Raises:
        UsageError: An import path leads nowhere, what it names does not take the arguments or does not return a
            strategy, or a method needs a package that is not installed.
    """
    if ":" in name:
        own = import_attribute(name)
        setting.model.to(memory_format=torch.contiguous_format)  # it may not know of others, as A-GEM does not
        optimised = isinstance(own, type) and issubclass(own, MultiTask)  # by itself
        strategy = _call(name, options, setting.arguments() if optimised else setting.optimised())
        if not isinstance(strategy, BaseTemplate):
            raise UsageError(f"{name}: expected a strategy of Avalanche's, found {type(strategy).__name__}")
        return strategy
    plugins: list[SupervisedPlugin] = []
    for method in parts_of(name):
        built = getattr(methods, method.name.replace("-", "_"))(setting, options[method.name])
        if method.whole:
            return built
        plugins += built
    return MultiTask(**setting.arguments(plugins))


def import_plugins(paths: Sequence[str], options: Options) -> list[SupervisedPlugin]:
    """Build plugins from ``module:Class`` paths.

    Raises:
        UsageError: A path leads nowhere, or what it names cannot be built or is no plugin.
    """
    plugins = [_call(path, options, {}) for path in paths]
    for path, plugin in zip(paths, plugins, strict=True):
        if not hasattr(plugin, "before_training"):
            raise UsageError(f"{path}: expected a plugin of Avalanche's, found {type(plugin).__name__}")
    return plugins


def import_attribute(path: str) -> Callable[..., Any]:
    """Import what ``module:attribute`` names, the working directory included, as ``python -m`` does.

    This runs the module's code: the one place where a user's file is trusted to do so.

    Raises:
        UsageError: There is no such module or attribute, or the module cannot be imported.
    """
    module_name, _, attribute = path.partition(":")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
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


def _place(module: ModuleType) -> str:
    """Where a module was found; a built-in one and a bare folder have no file."""
    return getattr(module, "__file__", None) or "no file"


def _call(path: str, options: Options, arguments: Mapping[str, Any]) -> Any:
    attribute = import_attribute(path)
    own = options.get(path.rpartition(":")[2], {})
    try:
        return attribute(**arguments, **own)
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be called with {', '.join([*arguments, *own]) or 'no arguments'} ({error}); "
            "give it what is missing with --set, or correct it"
        ) from error
