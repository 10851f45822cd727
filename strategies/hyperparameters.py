"""Hyper-parameters from the command line, ``name.key=value``. Importing it is cheap: no torch, no Avalanche."""

import math
from collections.abc import Sequence

from strategies.named import STRATEGIES, Option


def options_of(names: Sequence[str], settings: Sequence[str]) -> tuple[dict[str, dict[str, Option]], list[str]]:
    """Read ``name.key=value`` settings.

    Args:
        names: The strategies (``a``, ``a+b``, ``module:Class``) and plugins (``module:Class``) that will be built.
        settings: What the command line says.

    Returns:
        The options of each method, the defaults overridden, and of each imported class under its bare name; and what
        is wrong, a sentence each.
    """
    imported = {name.rpartition(":")[2] for name in names if ":" in name}
    named = [part for name in names if ":" not in name for part in name.split("+") if part in STRATEGIES]
    options: dict[str, dict[str, Option]] = {name: dict(STRATEGIES[name].options) for name in named}
    options |= {name: {} for name in imported}
    wrong = []
    for setting in settings:
        target, _, value = setting.partition("=")
        name, _, key = target.partition(".")
        if not (name and key and value):
            wrong.append(f"--set expects name.key=value such as ewc.lambda=100, got {setting!r}")
        elif name not in options:
            wrong.append(f"--set {setting}: {name!r} is none of the strategies of this run, {', '.join(options)}")
        elif name in imported:
            options[name][key] = _parsed(value)
        elif key not in options[name]:
            known = ", ".join(options[name]) or "none"
            wrong.append(f"--set {setting}: unknown option {key!r}, {name} has {known}")
        elif (number := _like(options[name][key], value)) is None:
            kind = "a whole number" if isinstance(options[name][key], int) else "a number"
            wrong.append(f"--set {setting}: expected {kind}, got {value!r}")
        else:
            options[name][key] = number
    return options, wrong


def _like(usual: Option, value: str) -> Option | None:
    """A value of the kind of the usual one; ``None`` if it is none, or not finite."""
    try:
        number = type(usual)(value)
    except ValueError:
        return None
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _parsed(value: str) -> Option:
    """A finite number if it is one."""
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return value
