"""Fields of a dataclass that are options of a command line, and what each has a bearing on."""

from dataclasses import MISSING, Field, field
from enum import Enum, auto
from typing import Any


class Affects(Enum):
    """What the value of an option has a bearing on; what follows from it for caches and folders follows for all."""

    RESULTS = auto()
    """The results of every run."""
    COURSE = auto()
    """What is learned when, which a baseline knows in the order of the stream's definition."""
    CONTENT = auto()
    """The results too, but by the contents of what the option names."""
    METHODS = auto()
    """The results of methods, and not of baselines."""
    ENTRIES = auto()
    """Which runs there are: a comparison may be added to with other values."""
    LOGS = auto()
    """What is written beside the results while they come about; a run that continues goes on as it began."""
    NOTHING = auto()
    """No result."""


def option(default: Any, text: str, affects: Affects = Affects.RESULTS, **argument: Any) -> Any:
    """Declare a field that is also an option of the command line.

    Args:
        default: The value without the option.
        text: What ``--help`` says of it; the default is added where the text does not name one.
        affects: What its value has a bearing on.
        argument: What else :meth:`argparse.ArgumentParser.add_argument` is given.
    """
    return field(default=default, metadata={"affects": affects, "argument": {"help": text, **argument}})


def argument_of(each: Field) -> dict[str, Any]:
    """What :meth:`argparse.ArgumentParser.add_argument` is given for a field that :func:`option` declared."""
    assert each.default is not MISSING
    argument = dict(each.metadata["argument"])
    if each.default not in (None, (), False) and "default" not in argument["help"]:
        shown = " ".join(map(str, each.default)) if isinstance(each.default, tuple) else each.default
        argument["help"] += f" (default: {shown})"
    extends = argument.get("action") == "extend"  # which changes its default in place
    return {"default": [*each.default] if extends else each.default, **argument}
