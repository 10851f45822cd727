"""Where to compute, and what else the numbers of a run depend on."""

import importlib.metadata
import platform

import torch

from onehead_avl import __version__
from onehead_avl.errors import UsageError

_PACKAGES = ("avalanche-lib", "numpy", "pycocotools", "torch", "torchmetrics", "torchvision")


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


def environment(device: torch.device) -> dict:
    """What the numbers of a run depend on beside its configuration."""
    return {
        "onehead-avl": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
