"""From the name of a strategy, or the import path of anybody's, to the strategy."""

from collections.abc import Mapping
from importlib import import_module

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.errors import UsageError
from onehead_avl.system.importing import call_attribute, import_attribute
from strategies.avalanche_classes import refusal
from strategies.multitask import MultiTask
from strategies.named import Method, Option, parts_of
from strategies.optimisation import absent_part, optimisation_of, whose
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
        UsageError: An import path leads nowhere, what it names is one of Avalanche's classes that cannot learn the
            stream, does not take the arguments, does not return a strategy or does not use what it is handed, or a
            method or a hyper-parameter asks for a network of another make.
        TrainingError: Somebody's own code raised an error.
    """
    strategy = _imported(name, setting, options) if ":" in name else _named(name, setting, options)
    if setting.optimisation and optimisation_of(strategy) is None:
        given = ", ".join(f"optimisation.{key}" for key in setting.optimisation)
        raise UsageError(
            f"{name} trains by itself, with {whose(strategy)['optimizer']}, so {given} would change "
            "nothing; set what it offers itself, or have it keep the optimizer that it is handed"
        )
    if absent := absent_part(strategy.model, setting.optimisation):
        key, part = absent
        raise UsageError(
            f"{name}: optimisation.{key} expects a network with a {part}, which {type(strategy.model).__name__} does "
            "not have; leave it out"
        )
    return strategy


def _named(name: str, setting: Setting, options: Options) -> BaseTemplate:
    plugins: list[SupervisedPlugin] = []
    for method in sorted(parts_of(name), key=lambda method: not method.grows):  # what is new is seen by all others
        _require_network(method, setting.model)
        built = getattr(import_module(method.module), method.name.replace("-", "_"))(setting, options[method.name])
        if method.whole:
            return built
        plugins += built
    return MultiTask(**setting.optimised(plugins))


def _imported(path: str, setting: Setting, options: Options) -> BaseTemplate:
    if unfit := refusal(import_attribute(path)):
        raise UsageError(f"{path}: {unfit}")
    setting.model.to(memory_format=torch.contiguous_format)  # it may not know of others, as A-GEM does not
    arguments = setting.optimised()
    strategy = call_attribute(path, arguments, options.get(path.rpartition(":")[2], {}))
    if not isinstance(strategy, BaseTemplate):
        raise UsageError(f"{path}: expected a strategy of Avalanche's, found {type(strategy).__name__}")
    if getattr(strategy, "evaluator", None) is not setting.evaluator:
        raise UsageError(
            f"{path}: expected the strategy to measure with the evaluator that it is handed, found another or none; "
            "hand evaluator on to Avalanche's template, and give more metrics with --metric"
        )
    lost = [plugin for plugin in arguments["plugins"] if not any(plugin is kept for kept in strategy.plugins)]
    if lost:
        raise UsageError(
            f"{path}: expected the strategy to keep the plugins that it is handed, found that it lacks "
            f"{', '.join(type(plugin).__name__ for plugin in lost)}; hand plugins on to Avalanche's template, with its "
            "own beside them"
        )
    return strategy


def _require_network(method: Method, model: torch.nn.Module) -> None:
    missing = [name for name in method.asks if not hasattr(model, name)]
    if missing:
        raise UsageError(
            f"strategy {method.name}: expected a network with {', '.join(missing)}, which {type(model).__name__} does "
            "not have; choose another strategy, or see OneHeadNet for what these are"
        )
