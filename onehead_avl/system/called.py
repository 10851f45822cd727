"""How a command was called, which its usage line says."""

import sys


def called(name: str) -> str:
    """The words that call a command: ``python -m`` and its module, unless it was called as a sub-command.

    Args:
        name: What the command is called, which is the name of its module in ``onehead_avl``.
    """
    first = sys.argv[0]  # a file, or what the command of all commands says instead
    return first if first.endswith(f" {name}") else f"python -m onehead_avl.{name}"
