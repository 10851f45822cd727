"""A metric and a logger of one's own.

``python -m onehead_avl.benchmark --metric examples.own_metric:OutputNorm --logger examples.own_metric:Lines``

The metric tells how large the network's outputs are on each experience; the logger writes every value that any metric
emits into ``lines.txt`` in the run's folder, a line each.
"""

from pathlib import Path

from avalanche.evaluation import GenericPluginMetric
from avalanche.evaluation.metrics import Mean
from avalanche.logging import BaseLogger
from avalanche.training.templates import SupervisedTemplate


class OutputNorm(GenericPluginMetric):
    """The mean absolute value of the output on an experience: ``OutputNorm_Exp``."""

    def __init__(self) -> None:
        super().__init__(Mean(), reset_at="experience", emit_at="experience", mode="eval")

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the current minibatch."""
        self._metric.update(strategy.mb_output.abs().mean().item(), weight=len(strategy.mb_y))

    def __str__(self) -> str:
        return "OutputNorm_Exp"


class Lines(BaseLogger):
    """Writes ``<name> <value> <iteration>`` lines; the benchmark hands in the folder.

    A file for appending that a logger has as its ``file`` is cut back when an interrupted run continues, so that no
    line stands in it twice.

    Args:
        folder: Of the run.
    """

    UNSAVED = frozenset(("file",))  # what cannot be saved in a checkpoint, and is made anew in a run that continues

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = (folder / "lines.txt").open("a", encoding="utf-8")

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Write a value."""
        print(name, value, x_plot, file=self.file, flush=True)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
