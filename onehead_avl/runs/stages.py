"""The weights after each stage, in files of their own."""

from collections.abc import Sequence

from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import JointTraining
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.runs.preparation import Prepared
from onehead_avl.runs.writing import save_network

STAGES = "stages"
"""The folder of these files in that of a run."""


class KeptStages(SupervisedPlugin):
    """Writes ``stages/<number>_<experience>.safetensors`` at the end of each stage.

    Args:
        prepared: What the run is made of.
        names: The names of the experiences in the order in which they are learned.
    """

    UNSAVED = frozenset(("_prepared", "_names"))

    def __init__(self, prepared: Prepared, names: Sequence[str]) -> None:
        super().__init__()
        self._prepared = prepared
        self._names = tuple(names)

    def after_training(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Write the weights."""
        number = strategy.clock.train_exp_counter  # the clock, a plugin before this one, has counted the stage
        name = "joint" if isinstance(strategy, JointTraining) else self._names[number - 1]
        folder = self._prepared.folder / STAGES
        folder.mkdir(exist_ok=True)
        save_network(self._prepared, folder / f"{number}_{name}.safetensors")
