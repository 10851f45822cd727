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
    words = ["python -m onehead_avl.benchmark"]
    usual = json.loads(json.dumps(Config().as_dict()))
    for each in fields(Config):
        value = values.get(each.name)
        if value == usual[each.name] or each.metadata["affects"] is Affects.NOTHING:
            continue
        given = [] if value is True else value if isinstance(value, list) else [value]
        words.append(shlex.join([f"--{each.name.replace('_', '-')}", *map(str, given)]))
    return " ".join(words)
