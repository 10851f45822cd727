"""Which objects and functions a checkpoint may bring back: a register that others declare theirs in."""

from collections.abc import Callable
from typing import TypeVar

MADE: dict[str, type] = {}
"""Classes of objects that may come into being while a strategy learns, by their full name."""

FUNCTIONS: dict[str, Callable] = {}
"""Functions that such objects may hold, by their name."""

Known = TypeVar("Known", type, Callable)


def full_name(kind: type) -> str:
    """The module and the name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def savable(known: Known) -> Known:
    """Declare a class, the objects of which hold only what can be saved, or a function that such objects hold."""
    if isinstance(known, type):
        MADE[full_name(known)] = known
    else:
        FUNCTIONS[known.__name__] = known
    return known
