"""What logs have in common that are one file which only grows."""

from collections.abc import Sequence
from typing import IO

from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from avalanche.logging import BaseLogger
from avalanche.training.templates import SupervisedTemplate


class GrowingLog(BaseLogger, SupervisedPlugin):
    """A logger that appends to a file, and brings it up to date after every epoch and evaluation.

    Args:
        file: Opened for appending.
    """

    def __init__(self, file: IO) -> None:
        super().__init__()
        self.file = file

    def after_training_epoch(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Bring the file up to date."""
        self.file.flush()

    def after_eval(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Bring the file up to date."""
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
