"""What a device may be called on the command line. Importing it is cheap: no torch."""

import re

DEVICES = ("auto", "cpu", "cuda", "cuda:N", "mps")
"""The names: ``cuda:N`` is the GPU of that number, ``mps`` that of a Mac, ``auto`` a GPU where there is one."""

PRECISIONS = ("float32", "bf16")
"""What a network computes with; ``bf16`` is bfloat16."""

_NAME = re.compile("auto|cpu|cuda(:(0|[1-9][0-9]*))?|mps")


def wrong_device(name: str) -> list[str]:
    """What is wrong with the name of a device: nothing if such a device may be there."""
    if _NAME.fullmatch(name):
        return []
    *others, last = DEVICES
    return [f"--device expects {', '.join(others)} or {last}, got {name!r}"]
