"""Plugins, metrics and loggers of anybody's, attached to a strategy by their import paths."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.evaluation import PluginMetric
from avalanche.logging import BaseLogger

from onehead_avl.errors import UsageError
from onehead_avl.system.importing import call_attribute, import_attribute
from strategies.avalanche_classes import plugin_refusal
from strategies.named import Option

Options = Mapping[str, Mapping[str, Option]]


@dataclass(frozen=True)
class _Sort:
    """What an option takes.

    Attributes:
        option: Of the command line.
        name: What it is called.
        belongs: Tells one from what belongs to another option.
    """

    option: str
    name: str
    belongs: Callable[[Any], bool]


_METRIC = _Sort("--metric", "metric", lambda made: isinstance(made, PluginMetric))
_LOGGER = _Sort("--logger", "logger", lambda made: isinstance(made, BaseLogger))
# Avalanche's metrics and loggers have all of a plugin's methods, so they come first.
_PLUGIN = _Sort("--plugin", "plugin", lambda made: hasattr(made, "before_training"))
_SORTS = (_METRIC, _LOGGER, _PLUGIN)


def import_plugins(paths: Sequence[str], options: Options) -> list[SupervisedPlugin]:
    """Build plugins from ``module:Class`` paths; a function that returns one, or several, will do as well.

    Raises:
        UsageError: A path leads nowhere, or what it names cannot be built or is no plugin.
        TrainingError: Somebody's own code raised an error.
    """
    for path in paths:
        if (refusal := plugin_refusal(import_attribute(path))) is not None:
            raise UsageError(f"{path}: {refusal}")
    return [each for path in paths for each in _built(path, _PLUGIN, options, {})]


def import_metrics(paths: Sequence[str], options: Options, known: Sequence[PluginMetric]) -> list[PluginMetric]:
    """Build metrics likewise.

    Args:
        paths: Import paths.
        options: Their arguments, by the bare name of what a path names.
        known: The metrics of the benchmark, which none of them may be again.

    Raises:
        UsageError: As for plugins, or a metric has the name of another one.
        TrainingError: Somebody's own code raised an error.
    """
    names = {str(metric) for metric in known}
    found = []
    for path in paths:
        for metric in _built(path, _METRIC, options, {}):
            if str(metric) in names:
                raise UsageError(f"{path}: expected a metric of another name, found {metric}, which is measured anyway")
            names.add(str(metric))
            found.append(metric)
    return found


def import_logger(path: str, options: Options, folder: Path) -> list[BaseLogger]:
    """Build a logger likewise; the folder of the run is handed to what has a parameter ``folder``.

    Raises:
        UsageError: As for plugins.
        TrainingError: Somebody's own code raised an error.
    """
    made = import_attribute(path)
    given = {"folder": folder} if callable(made) and "folder" in _parameters(made) else {}
    return _built(path, _LOGGER, options, given)


def _parameters(made: Callable) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(made).parameters
    except ValueError:  # of some that are built in
        return {}


def _built(path: str, sort: _Sort, options: Options, arguments: Mapping[str, Any]) -> list:
    made = call_attribute(path, arguments, options.get(path.rpartition(":")[2], {}))
    several = list(made) if isinstance(made, list | tuple) else [made]
    if not several:
        raise UsageError(f"{path}: expected a {sort.name} of Avalanche's or several, found none; set what it asks for")
    for each in several:
        found = next((other for other in _SORTS if other.belongs(each)), None)
        if found is not sort:
            what = "" if found is None else f", a {found.name}; give it as {found.option}"
            raise UsageError(f"{path}: expected a {sort.name} of Avalanche's, found {type(each).__name__}{what}")
    return several
