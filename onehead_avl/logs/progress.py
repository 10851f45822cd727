"""A quiet progress bar for training and evaluation, on standard error."""

import sys
from collections.abc import Sequence

from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from avalanche.logging import BaseLogger
from avalanche.training.templates import SupervisedTemplate
from tqdm import tqdm

from onehead_avl.evaluation.plugins import counted
from onehead_avl.system.labels import labels_of

_PLAIN_INTERVAL = 15.0
"""Seconds between lines where standard error is a file."""

_MOST_MEASURED = 6  # experiences of which the bar of a stage shows the last evaluation


class Progress(BaseLogger, SupervisedPlugin):
    """Shows stage, epoch, loss, the last evaluation and the time left.

    Args:
        names: The names of the experiences by task label.
    """

    UNSAVED = frozenset(("_training", "_evaluation", "_measured"))

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)
        self._training = self._evaluation = tqdm(disable=True)
        self._measured: dict[str, str] = {}

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Nothing: the text log holds the values."""

    def before_training_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Begin the bar of a stage."""
        labels = sorted(strategy.adapted_dataset.targets_task_labels.uniques)
        self._training = _bar(
            f"stage {strategy.experience.current_experience + 1} {' + '.join(self._names[label] for label in labels)}",
            strategy.train_epochs * len(strategy.dataloader),
        )

    def after_training_iteration(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Advance the bar."""
        epoch = f"{strategy.clock.train_exp_epochs + 1}/{strategy.train_epochs}"
        told = {"epoch": epoch, "loss": f"{strategy.loss.item():.3f}", **self._measured}
        self._training.set_postfix(told, refresh=False)
        # The difference, because a continued run begins where it was interrupted.
        self._training.update(strategy.clock.train_exp_iterations + 1 - self._training.n)

    def after_training_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """End the bar."""
        self._training.close()

    def before_eval_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Begin the bar of an evaluation, which vanishes when it is over."""
        names = " + ".join(self._names[label] for label in sorted(labels_of(strategy.experience)))
        self._evaluation = _bar(f"evaluating {names}", len(strategy.dataloader), leave=False)

    def after_eval_iteration(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Advance the bar."""
        self._evaluation.update()

    def after_eval_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """End the bar."""
        self._evaluation.close()

    def after_eval(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Take the primary metric of the experiences that were evaluated, of no more than a line has room for."""
        metrics = list(counted(strategy.evaluator).items())[:_MOST_MEASURED]
        values = {name: metric.result()[metric.names[0]] for name, metric in metrics}
        self._measured = {name: "-" if value is None else f"{value:.3f}" for name, value in values.items()}

    def close(self) -> None:
        """End what is shown, wherever training was interrupted."""
        self._training.close()
        self._evaluation.close()


def _bar(description: str, total: int, leave: bool = True) -> tqdm:
    interval = 0.5 if sys.stderr.isatty() else _PLAIN_INTERVAL
    return tqdm(desc=description, total=total, unit="step", leave=leave, mininterval=interval, maxinterval=4 * interval)
