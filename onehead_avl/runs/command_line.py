"""A configuration as the command line that stands for it."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from onehead_avl.runs.config import Config
from onehead_avl.runs.options import Affects


def command_of(values: Mapping[str, Any]) -> str:
    """The command line that a configuration stands for: what is usual is left out.

    Args:
        values: What :meth:`Config.as_dict` made.
    """
    values = json.loads(json.dumps(values))  # as it is when it was read from a file
    usual = json.loads(json.dumps(Config().as_dict()))
    known = [each.name for each in fields(Config) if each.metadata["affects"] is not Affects.NOTHING]
    given = {name: values[name] for name in known if name in values and values[name] != usual[name]}
    return " ".join(["python -m onehead_avl.benchmark", *(shlex.join(_option(*each)) for each in given.items())])


def words_of(config: Config) -> list[str]:
    """The arguments of a command that has exactly this configuration, whatever is usual where it runs."""
    given = {name: value for name, value in config.as_dict().items() if value not in ((), None) and value is not False}
    return [word for name, value in given.items() for word in _option(name, value)]


def _option(name: str, value: Any) -> list[str]:
    given = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
    return [f"--{name.replace('_', '-')}", *map(str, given)]
