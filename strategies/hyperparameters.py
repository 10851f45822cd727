"""Hyper-parameters from the command line, ``name.key=value``. Importing it is cheap: no torch, no Avalanche."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

from strategies.avalanche_classes import missing_settings
from strategies.named import STRATEGIES, Option

OPTIMISATION = "optimisation"
"""The name under which every strategy has the hyper-parameters of how weights are updated."""

FREEZES = ("usual", "none", "stem", "backbone")
"""What of the network may not learn."""

_USUAL: Mapping[str, Option] = {"lr": 1e-3, "backbone_lr": 1e-3, "weight_decay": 0.05, "freeze": "usual"}
"""Those hyper-parameters, each with a value of its type; their usual values depend on the network."""


def options_of(names: Sequence[str], settings: Sequence[str]) -> tuple[dict[str, dict[str, Option]], list[str]]:
    """Read ``name.key=value`` settings.

    ``optimisation.key=value`` is for every strategy, and ``name.optimisation.key=value`` for one of them alone, which
    goes before. Of several values, ``name.key=1,10``, each is checked and the last is taken; :func:`choices` parts
    them.

    Args:
        names: The strategies (``a``, ``a+b``, ``module:Class``) and whatever else has an import path (``module:Class``)
            that will be built.
        settings: What the command line says.

    Returns:
        The options of each method, the defaults overridden, of each imported class under its bare name, and those of
        the optimisation, if any is set; and what is wrong, a sentence each.

    Example:
        >>> options_of(["ewc", "naive"], ["ewc.lambda=10", "optimisation.lr=1e-3"])
        ({'ewc': {'lambda': 10.0}, 'naive': {}, 'optimisation': {'lr': 0.001}}, [])
        >>> options_of(["naive"], ["ewc.lambda=10"])[1]
        ["--set ewc.lambda=10: 'ewc' is nothing that this run is made of, naive"]
    """
    paths = list(dict.fromkeys(name for name in names if ":" in name))
    imported = [path.rpartition(":")[2] for path in paths]
    named = [part for name in names if ":" not in name for part in name.split("+") if part in STRATEGIES]
    options: dict[str, dict[str, Option]] = {name: dict(STRATEGIES[name].options) for name in named}
    options |= {name: {} for name in imported}
    everybodys: dict[str, Option] = {}
    own: dict[str, Option] = {}
    wrong, seen = [], set()
    owners: dict[str, str] = {}
    for setting in settings:
        target, _, value = setting.partition("=")
        name, _, key = target.partition(".")
        if not (name and key and value):
            wrong.append(f"--set expects name.key=value such as ewc.lambda=100, got {setting!r}")
            continue
        if target in seen:
            wrong.append(f"--set names {target} more than once; give it one value, or several as {target}=1,10")
        seen.add(target)
        values = value.split(",")
        if len({_parsed(each) for each in values}) < len(values):
            wrong.append(f"--set {setting}: expected different values, got one of them twice")
        for each in values:
            if name == OPTIMISATION:
                wrong += _take(everybodys, _USUAL, OPTIMISATION, key, each, setting)
            elif name not in options:
                wrong.append(f"--set {setting}: {name!r} is nothing that this run is made of, {', '.join(options)}")
                break
            elif imported.count(name) > 1:
                wrong.append(
                    f"--set {setting}: {imported.count(name)} import paths end with {name}; rename one of them"
                )
                break
            elif key.startswith(f"{OPTIMISATION}."):
                if owners.setdefault(key, name) != name and _together(names, name, owners[key]):
                    wrong.append(f"--set {setting}: {owners[key]}.{key} is set, too, and a run has one of them")
                    break
                wrong += _take(own, _USUAL, OPTIMISATION, key[len(OPTIMISATION) + 1 :], each, setting)
            elif name in imported:
                options[name][key] = _parsed(each)
            else:
                wrong += _take(options[name], STRATEGIES[name].options, name, key, each, setting)
    for path, name in zip(paths, imported, strict=True):
        wrong += missing_settings(path, options[name])
        if name == OPTIMISATION or (name in named and STRATEGIES[name].options):
            wrong.append(
                f"{path}: expected another name than {name}, whose hyper-parameters could not be told from its own; "
                "rename it"
            )
    optimisation = everybodys | own
    return (options | {OPTIMISATION: optimisation} if optimisation else options), wrong


def _together(names: Sequence[str], one: str, other: str) -> bool:
    """Whether two methods are parts of one strategy."""
    return any({one, other} <= set(name.split("+")) for name in names)


def is_grid(settings: Sequence[str]) -> bool:
    """Whether a setting has several values."""
    return any("," in setting.partition("=")[2] for setting in settings)


def choices(names: Sequence[str], settings: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Every combination of the values of those settings that have a bearing on a run.

    Args:
        names: The strategy of the run, and whatever else has an import path that will be built.
        settings: What the command line says, checked.

    Returns:
        For each combination the settings with one value each, and those of them that have others elsewhere.
    """
    known = {name.rpartition(":")[2] if ":" in name else part for name in names for part in name.split("+")}
    own = [setting for setting in settings if setting.partition(".")[0] in known | {OPTIMISATION}]
    parted = [[f"{target}={each}" for each in value.split(",")] for target, _, value in (s.partition("=") for s in own)]
    varied = [target for target, *others in parted if others]
    several = {setting.partition("=")[0] for setting in varied}
    return [
        ([*chosen], [setting for setting in chosen if setting.partition("=")[0] in several])
        for chosen in product(*parted)
    ]


def _take(
    options: dict[str, Option], usual: Mapping[str, Option], name: str, key: str, value: str, setting: str
) -> list[str]:
    """Put a value among some options; or what is wrong with it."""
    if key not in usual:
        return [f"--set {setting}: unknown option {key!r}, {name} has {', '.join(usual) or 'none'}"]
    if isinstance(usual[key], str):
        if value not in FREEZES:
            return [f"--set {setting}: expected one of {', '.join(FREEZES)}, got {value!r}"]
        options[key] = value
        return []
    number = _like(usual[key], value)
    if number is None:
        kind = "a whole number" if isinstance(usual[key], int) else "a number"
        return [f"--set {setting}: expected {kind}, got {value!r}"]
    if name == OPTIMISATION and float(number) < 0:
        return [f"--set {setting}: expected at least 0, got {value}"]
    options[key] = number
    return []


def _like(usual: Option, value: str) -> Option | None:
    """A value of the kind of the usual one; ``None`` if it is none, or not finite."""
    try:
        number = type(usual)(value)
        return number if math.isfinite(float(number)) else None
    except (ValueError, OverflowError):
        return None


def _parsed(value: str) -> Option:
    """A finite number if it is one."""
    for kind in (int, float):
        try:
            number = kind(value)
            if math.isfinite(number):
                return number
        except (ValueError, OverflowError):
            continue
    return value
