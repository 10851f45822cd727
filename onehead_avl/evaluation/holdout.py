"""The score of held-out training images after every epoch, and early stopping by it."""

import sys
from collections.abc import Mapping

from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from avalanche.evaluation.metric_utils import get_metric_name
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor
from torch.utils.data import Dataset

from onehead_avl.evaluation.intervals import measure
from onehead_avl.kinds.kind import Values
from onehead_avl.model.layout import Layout
from onehead_avl.system.labels import labels_of
from onehead_avl.system.modes import evaluating
from onehead_avl.system.randomness import undisturbed


class HeldOut(SupervisedPlugin):
    """Measures the experience that is learned on its held-out images after every epoch, which changes nothing else.

    The values are logged as ``<name>_Holdout``. With patience, the weights at the end of an experience are those of its
    best epoch by the primary metric, and the experience ends when that has not improved for so many epochs (Prechelt,
    "Early Stopping - But When?", 1998). A value that cannot be measured is no improvement.

    Args:
        images: Of each experience, by its task label, as the network sees them.
        layout: The channels of the network's output.
        batch_size: Images at a time.
        patience: Epochs without improvement; 0 for no early stopping.
    """

    UNSAVED = frozenset(("_images", "_total"))

    def __init__(self, images: Mapping[int, Dataset], layout: Layout, batch_size: int, patience: int = 0) -> None:
        super().__init__()
        self._images = images
        self._layout = layout
        self._batch_size = batch_size
        self._patience = patience
        self._total = 0
        self._best: float | None = None
        self._weights: dict[str, Tensor] = {}
        self.best_epoch: int | None = None

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Begin anew: another experience has another metric."""
        self._total = strategy.train_epochs
        self._best, self._weights, self.best_epoch = None, {}, None

    def after_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Measure and log; keep the best weights, and stop if it is time."""
        learned = {*strategy.adapted_dataset.targets_task_labels.uniques, *labels_of(strategy.experience)}
        tasks = sorted(learned & self._images.keys())
        with undisturbed(), evaluating(strategy.model):
            measured = {task: self._measured(strategy, task) for task in tasks}
        for task, values in measured.items():
            _log(strategy, task, values)
        if self._patience:
            self._stop_in_time(strategy, measured)

    def _measured(self, strategy: SupervisedTemplate, task: int) -> Values:
        part = self._layout.parts[task]
        metric = part.kind.metric(part.classes)
        return measure(strategy.model, self._images[task], part, metric, self._batch_size)

    def _stop_in_time(self, strategy: SupervisedTemplate, measured: Mapping[int, Values]) -> None:
        (task,) = labels_of(strategy.experience)
        primary = self._layout.parts[task].kind.metrics[0]
        value = measured[task][primary.name]
        epoch = strategy.clock.train_exp_epochs  # the clock, a plugin before this one, has counted the epoch
        if value is not None and not primary.higher_is_better:
            value = -value
        if self.best_epoch is None or (value is not None and (self._best is None or value > self._best)):
            self._best, self.best_epoch = value, epoch
            self._weights = {name: each.detach().clone() for name, each in strategy.model.state_dict().items()}
        stops = epoch - self.best_epoch >= self._patience
        if stops or epoch == self._total:
            strategy.model.load_state_dict(self._weights)
            self._weights = {}
        if stops and epoch < self._total:
            strategy.stop_training()
            name = self._layout.names[task]
            print(
                f"note: {name} ends after epoch {epoch} of {self._total}: its held-out {primary.name} was best after "
                f"epoch {self.best_epoch}, of which the weights are kept",
                file=sys.stderr,
            )


def _log(strategy: SupervisedTemplate, task: int, values: Values) -> None:
    """Have the loggers write the values at their next turn."""
    for name, value in values.items():
        if value is not None:
            full = get_metric_name(f"{name}_Holdout", strategy, add_experience=True, add_task=task)
            strategy.evaluator.publish_metric_value(MetricValue(full, full, value, strategy.clock.train_iterations))
