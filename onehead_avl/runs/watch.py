"""A loss that is no number, or out of all proportion, ends a run at once."""

import math

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.errors import TrainingError
from onehead_avl.model.layout import Layout

LARGEST = 1e6
"""A loss above this will not come back: the losses of the experiences are below ten after the first steps."""


class FiniteLoss(SupervisedPlugin):
    """Stops training before a step that a loss without meaning would spoil.

    Args:
        layout: The experiences that a loss may be of.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Look at the loss, after all plugins have added to it."""
        _check(self.layout, strategy, strategy.clock.train_epoch_iterations + 1)

    def after_training_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Look at it again, for strategies with steps of another kind; the clock, a plugin before, has counted."""
        _check(self.layout, strategy, strategy.clock.train_epoch_iterations)


def _check(layout: Layout, strategy: SupervisedTemplate, iteration: int) -> None:
    loss = strategy.loss.item()
    if not (math.isfinite(loss) and abs(loss) <= LARGEST):
        epoch, stage = strategy.clock.train_exp_epochs + 1, strategy.clock.train_exp_counter + 1
        raise TrainingError(
            f"expected a loss of at most {LARGEST:g}, found {loss:g} in iteration {iteration} of epoch {epoch} of "
            f"stage {stage}, from {_offender(layout, strategy)}; lower the strategy's step sizes or penalties with "
            "--set"
        )


def _offender(layout: Layout, strategy: SupervisedTemplate) -> str:
    """Which term of the loss it is."""
    output, target = strategy.mb_output, strategy.mb_y
    if output is None or len(output) != len(target):
        return "the loss of the experiences or of the strategy"
    if not output.isfinite().all():
        return "the network's output, which holds infinities or not-a-numbers"
    for task, name in enumerate(layout.names):
        chosen = target.of(task).nonzero().flatten()
        if len(chosen):
            part = strategy._criterion(output[chosen], target[chosen]).item()
            if not math.isfinite(part) or abs(part) > LARGEST:
                return f"the loss of {name}"
    return "what the strategy adds to the loss of the experiences"
