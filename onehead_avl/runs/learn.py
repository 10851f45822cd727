"""Learning a stream: training on each experience in turn, evaluating all of them before and after."""

from collections.abc import Callable, Sequence

import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.errors import TrainingError
from onehead_avl.evaluation.holdout import HeldOut
from onehead_avl.evaluation.outcomes import Scores, Stage
from onehead_avl.evaluation.periodic import evaluate_undisturbed
from onehead_avl.evaluation.plugins import measured


def learn(
    strategy: BaseTemplate,
    benchmark: CLScenario,
    order: Sequence[str],
    epochs: Sequence[int],
    workers: int,
    checkpoints: Checkpoints,
    ended: Callable[[int], None] = lambda number: None,
) -> tuple[Scores, list[Stage]]:
    """Train on each experience in turn, evaluating the whole test stream after each, and once before any training.

    Joint training learns all at once, for the mean number of epochs, so that it sees as many images.

    Args:
        strategy: What learns.
        benchmark: What is learned.
        order: The names of its experiences.
        epochs: Epochs of each.
        workers: Processes that load images.
        checkpoints: Knows what was learned before, if the run is continued.
        ended: Is called with the number of a stage, from 1, when all was evaluated after it.

    Returns:
        The scores of the untrained network, and the stages.

    Raises:
        TrainingError: Training ended with weights that are no numbers, or the strategy left nothing measured.
        Stopped: The process was asked to stop.
    """
    if checkpoints.untrained is None:
        checkpoints.untrained = _untrained(strategy, benchmark, workers)
    stages = checkpoints.stages
    for number, (experiences, names, n) in enumerate(_stages(strategy, benchmark, order, epochs)):
        if number < len(stages):
            continue
        if not checkpoints.learned(number):
            strategy.train_epochs = n
            strategy.train(experiences, eval_streams=[benchmark.test_stream], num_workers=workers)
            require_finite(strategy.model, n)
            checkpoints.stage_ended(strategy)
        seconds = checkpoints.seconds
        strategy.eval(benchmark.test_stream, num_workers=workers)
        scores, per_class = _measured(strategy)
        # The clock counts the epochs of the last experience that was trained on: some may end early.
        ended(number + 1)
        stages.append(Stage(names, strategy.clock.train_exp_epochs, seconds, scores, per_class, _best_epoch(strategy)))
    return checkpoints.untrained, stages


def _best_epoch(strategy: BaseTemplate) -> int | None:
    """The epoch that early stopping went back to."""
    return next((plugin.best_epoch for plugin in strategy.plugins if isinstance(plugin, HeldOut)), None)


def _stages(
    strategy: BaseTemplate, benchmark: CLScenario, order: Sequence[str], epochs: Sequence[int]
) -> list[tuple[object, tuple[str, ...], int]]:
    """What is trained on together, its names, and for how many epochs."""
    if isinstance(strategy, JointTraining):
        return [(list(benchmark.train_stream), tuple(order), max(1, round(sum(epochs) / len(epochs))))]
    return [(each, (name,), n) for each, name, n in zip(benchmark.train_stream, order, epochs, strict=True)]


def _untrained(strategy: BaseTemplate, benchmark: CLScenario, workers: int) -> Scores:
    """Measure the network before any training."""
    evaluate_undisturbed(strategy, benchmark.test_stream, workers)
    return _measured(strategy)[0]


def _measured(strategy: BaseTemplate) -> tuple[Scores, dict]:
    """What the last evaluation gave."""
    scores, per_class = measured(strategy.evaluator)
    if not scores:
        raise TrainingError(
            f"expected {type(strategy).__name__} to evaluate with the evaluator that it was given, found nothing "
            "measured; have it keep that evaluator"
        )
    return scores, per_class


def require_finite(model: torch.nn.Module, epochs: int) -> None:
    """Refuse weights that are no numbers.

    Raises:
        TrainingError: Some are.
    """
    lost = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if lost:
        raise TrainingError(
            f"expected finite weights after {epochs} epochs, found infinities or not-a-numbers in {len(lost)} tensors, "
            f"the first of them {lost[0]}; lower the strategy's step sizes or penalties with --set"
        )
