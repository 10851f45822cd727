"""The strategies that the command line knows by name. Importing the table is cheap: no torch, no Avalanche."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avalanche.core import SupervisedPlugin

    from onehead_avl.config import Config


@dataclass(frozen=True)
class Named:
    """A way to learn the stream: the multi-task strategy with these plugins.

    Attributes:
        summary: What it does, in a line.
        plugins: Makes its Avalanche plugins from a configuration.
    """

    summary: str
    plugins: Callable[["Config"], list["SupervisedPlugin"]]


def _naive(config: "Config") -> list["SupervisedPlugin"]:
    return []


def _replay(config: "Config") -> list["SupervisedPlugin"]:
    from strategies.memory import segmentation_replay

    return [segmentation_replay(config.replay_size, config.replay_batch)]


STRATEGIES = {
    "naive": Named("fine-tuning on each task in turn; keeps nothing", _naive),
    "replay": Named("Avalanche's ReplayPlugin, its memory limited to segmentation samples", _replay),
}
"""Strategies by name."""
