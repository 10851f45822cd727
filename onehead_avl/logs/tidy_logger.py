"""Every value that any metric emits, one a line, for pandas and the like."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from avalanche.evaluation.metric_results import MetricValue
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.logs.growing import GrowingLog

COLUMNS = ("run", "seed", "strategy", "train_exp", "epoch", "eval_exp", "metric", "value", "experience")
"""What stands in a line of ``metrics.csv``."""


class TidyLogger(GrowingLog):
    """Writes ``metrics.csv`` with the columns :data:`COLUMNS`.

    ``train_exp`` and ``epoch`` say how far training was (epochs of that experience completed), ``eval_exp`` what was
    evaluated; it is empty for values of the training itself and of whole streams. These are positions in the stream as
    it was learned; ``experience`` is the name of what was evaluated.

    Args:
        folder: An existing folder.
        names: The names of the experiences in the order in which they are learned.
        run: The name of the run.
        seed: Its random seed.
        strategy: The name of its strategy.
    """

    def __init__(self, folder: Path, names: Sequence[str], run: str, seed: int, strategy: str) -> None:
        super().__init__((folder / "metrics.csv").open("a", newline="", encoding="utf-8"))
        self._table = csv.writer(self.file, lineterminator="\n")
        self._table.writerow(COLUMNS)
        self._run = (run, seed, strategy)
        self._names = tuple(names)
        self._train_exp: int | str = ""
        self._epoch = 0

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Write a value; what is no number (a picture, say) has no place in a table."""
        if isinstance(value, int | float):
            metric, _, rest = name.partition("/")
            experience = re.search(r"/Exp(\d+)$", rest)
            exp, called = ("", "") if experience is None else (int(experience[1]), self._names[int(experience[1])])
            self._table.writerow([*self._run, self._train_exp, self._epoch, exp, metric, value, called])

    def before_training_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Note which experience is being learned."""
        self._train_exp, self._epoch = strategy.experience.current_experience, 0

    def before_training_iteration(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Count the epoch that is under way as completed: its values come at its end."""
        self._epoch = strategy.clock.train_exp_epochs + 1
