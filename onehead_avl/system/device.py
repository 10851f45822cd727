"""Where to compute, and what else the numbers of a run depend on."""

import importlib.metadata
import os
import platform

import torch

from onehead_avl import __version__
from onehead_avl.errors import UsageError
from onehead_avl.system.device_names import wrong_device
from onehead_avl.system.launched import position, processes

_PACKAGES = ("avalanche-lib", "numpy", "pycocotools", "torch", "torchmetrics", "torchvision")
_OPTIONAL = ("timm",)


def choose_device(name: str) -> torch.device:
    """The device of an option: ``auto`` is a GPU where there is one, for each process of ``torchrun`` its own.

    Raises:
        UsageError: The name is none, or a GPU is asked for that is not there.
    """
    if wrong := wrong_device(name):
        raise UsageError(*wrong)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mac = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if gpus else "mps" if mac and processes() == 1 else "cpu"
    if name == "cuda" and gpus and processes() > 1:
        name = f"cuda:{position()}"  # each process has one
        if position() >= gpus:
            raise UsageError(f"torchrun expects a process for each GPU, of which there are {gpus}; or use --device cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and not gpus:
        raise UsageError(f"--device {name}: expected a GPU, found none; use --device cpu")
    if number and int(number) >= gpus:
        found = ", ".join(f"cuda:{each}" for each in range(gpus))
        raise UsageError(f"--device {name}: expected a GPU that is there, found {gpus}; use one of {found}")
    if kind == "mps" and not mac:
        raise UsageError("--device mps: expected a Mac with a GPU of its own, found none; use --device cpu")
    return torch.device(name)


def usual_workers(device: torch.device) -> int:
    """How many processes that load images pay beside a training on a device.

    On a CPU all cores compute, and a process that loads takes from them what it gives; macOS starts processes anew for
    every epoch, which takes longer than an epoch of a small set.
    """
    cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(8, max(1, cores - 1)) if device.type == "cuda" else 0


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _called(device: torch.device) -> str:
    """What a device is called by those who made it, as far as PyTorch can tell."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps" and hasattr(torch.backends.mps, "get_name"):  # older versions of PyTorch cannot tell
        return torch.backends.mps.get_name()
    return device.type


def environment(device: torch.device) -> dict:
    """What the numbers of a run depend on beside its configuration."""
    return {
        "onehead-avl": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": _called(device),
        "threads": torch.get_num_threads(),
        **({"processes": processes()} if processes() > 1 else {}),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        **{name: importlib.metadata.version(name) for name in _OPTIONAL if _is_installed(name)},
    }


def _is_installed(package: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=package))
