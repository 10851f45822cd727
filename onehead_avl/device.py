"""Where to compute."""

import torch

from onehead_avl.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device of an option: ``auto`` is a GPU where there is one.

    Raises:
        UsageError: A GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: expected a GPU, found none; use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
