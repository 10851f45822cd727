"""From the name of a strategy, or the import path of anybody's, to the strategy."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.errors import UsageError
from onehead_avl.system.importing import import_attribute
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
        built = getattr(import_module(method.module), method.name.replace("-", "_"))(setting, options[method.name])
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
