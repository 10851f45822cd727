"""Evaluation during training, which changes nothing in it."""

from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.system.randomness import undisturbed


class PeriodicEvaluation(SupervisedPlugin):
    """Evaluates after every so many epochs of an experience, but for its last one: the stage's evaluation follows.

    Avalanche's own periodic evaluation comes before the first epoch and after epochs 1, N + 1, 2N + 1, ..., repeats
    that of the end of an experience, and draws from the random numbers that training goes on with.

    Args:
        every: Epochs between evaluations.
        stream: The experiences to evaluate.
        workers: Processes that load images.
    """

    UNSAVED = frozenset(("_stream", "_epochs"))

    def __init__(self, every: int, stream: Any, workers: int = 0) -> None:
        super().__init__()
        self._every = every
        self._stream = stream
        self._workers = workers
        self._epochs = 0

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note how long the experience is learned."""
        self._epochs = strategy.train_epochs

    def after_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Evaluate, if it is time."""
        done = strategy.clock.train_exp_epochs  # the clock, a plugin before this one, has counted the epoch
        if done % self._every == 0 and done < self._epochs:
            evaluate_undisturbed(strategy, self._stream, self._workers)


def evaluate_undisturbed(strategy: BaseTemplate, stream: Any, workers: int) -> None:
    """Evaluate a strategy on a stream; it learns later what it would have learned anyway.

    Data loaders draw random numbers: they are drawn again.
    """
    with undisturbed():
        strategy.eval(stream, num_workers=workers)
