"""What a run costs beside time: the memory of the process, and what the strategy keeps for later."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy
from avalanche.benchmarks import CLExperience
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.logging import BaseLogger
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates.base import BaseTemplate
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from onehead_avl.checkpoint.plugin import Checkpoints

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")

_NOT_KEPT = (BaseTemplate, Checkpoints, EvaluationPlugin, BaseLogger, CLExperience, Optimizer, DataLoader, Dataset)
"""What a strategy may refer to and does not keep: the run around it."""

_OF_THE_MOMENT = frozenset(
    (
        *("model", "optimizer", "evaluator", "dataloader", "adapted_dataset", "experience"),
        *("mbatch", "mb_output", "loss", "batch_logits"),
    )
)
"""Attributes of a strategy that it holds during an experience and not for later ones."""


def start_peak_memory() -> bool:
    """Have the system forget the largest memory of the process so far; whether it can (Linux)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def peak_memory() -> int | None:
    """The largest resident memory of the process in bytes since :func:`start_peak_memory`; ``None`` if unknown."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def stored_bytes(strategy: BaseTemplate, image_size: int) -> int:
    """What a strategy keeps from one experience to the next, beside its model.

    Tensors and models count as they are, and a stored sample as its image at the network's size, a byte for each
    channel and pixel.

    Args:
        strategy: After its last experience.
        image_size: Side of the square the network is fed, in pixels.
    """
    seen = {value.data_ptr() for value in strategy.model.state_dict().values()}
    own = [value for name, value in vars(strategy).items() if name not in _OF_THE_MOMENT and name != "plugins"]
    return _bytes([own, *strategy.plugins], seen, 3 * image_size**2)


def _bytes(value: Any, seen: set[int], sample: int) -> int:
    """The bytes of everything reachable from a value that was not seen before."""
    if value is None or isinstance(value, bool | int | float | str):
        return 0
    key = value.data_ptr() if isinstance(value, Tensor) else id(value)
    if key in seen:
        return 0
    seen.add(key)
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, numpy.ndarray):
        return value.nbytes
    if isinstance(value, nn.Module):
        return sum(_bytes(part, seen, sample) for part in value.state_dict().values())
    if isinstance(value, AvalancheDataset):
        outputs: Sequence[Tensor] = getattr(value, "logits", ())  # of dark experience replay
        return len(value) * (sample + (outputs[0].nbytes if len(outputs) else 0))
    if isinstance(value, dict):
        return sum(_bytes(part, seen, sample) for part in value.values())
    if isinstance(value, list | tuple | set):
        return sum(_bytes(part, seen, sample) for part in value)
    if isinstance(value, _NOT_KEPT):
        return 0
    # What a continued run does without is not kept for later.
    unsaved: Collection[str] = getattr(type(value), "UNSAVED", ())
    held = getattr(value, "__dict__", {}).items()
    return sum(_bytes(part, seen, sample) for name, part in held if name not in unsaved)
