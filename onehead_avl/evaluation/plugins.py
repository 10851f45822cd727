"""The metrics as Avalanche plugins: their value on every experience, forgetting and backward transfer.

Counting a batch and computing COCO's AP are slow, so each metric is counted once, by its :class:`Score`; the forgetting
and transfer plugins behind it only read the result. They must follow their score in the evaluator's list.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from avalanche.evaluation import GenericPluginMetric, PluginMetric
from avalanche.evaluation.metric_results import MetricResult, MetricValue
from avalanche.evaluation.metric_utils import get_metric_name
from avalanche.evaluation.metrics import EpochLoss, GenericExperienceForgetting, GenericStreamForgetting
from avalanche.evaluation.metrics.mean import Mean
from avalanche.logging import BaseLogger
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.evaluation.metrics import TaskMetric, task_metrics
from onehead_avl.model.layout import Layout


class NamedMetric(Protocol):
    """What scores are made of: a metric with one or more named values, ``None`` where nothing was measured."""

    names: tuple[str, ...]

    def result(self) -> dict[str, float | None]:
        """A value for each name."""

    def reset(self) -> None:
        """Forget everything counted."""


class MeanLoss:
    """The mean of the criterion over samples of any task."""

    names = ("Loss",)

    def __init__(self) -> None:
        self._mean = Mean()

    def update(self, loss: float, samples: int) -> None:
        """Count a minibatch of so many samples."""
        self._mean.update(loss, weight=samples)

    def result(self) -> dict[str, float | None]:
        """The mean, under ``Loss``."""
        return {"Loss": self._mean.result() if self._mean.weight else None}

    def reset(self) -> None:
        """Forget everything counted."""
        self._mean.reset()


class Score(GenericPluginMetric[dict, NamedMetric]):
    """Emits ``<name>_Exp`` for each value of a metric after each experience evaluated; silent on other tasks."""

    def __init__(self, metric: NamedMetric) -> None:
        super().__init__(metric, reset_at="experience", emit_at="experience", mode="eval")

    @abstractmethod
    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the strategy's current minibatch."""

    def _package_result(self, strategy: SupervisedTemplate) -> MetricResult:
        return [
            MetricValue(
                self,
                get_metric_name(f"{name}_Exp", strategy, add_experience=True, add_task=True),
                value,
                strategy.clock.train_iterations,
            )
            for name, value in self.result().items()
            if value is not None
        ]

    def __str__(self) -> str:
        return "/".join(f"{name}_Exp" for name in self._metric.names)


class TaskScore(Score):
    """The score of one kind of task."""

    _metric: TaskMetric

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the network's output on the current minibatch."""
        self._metric.update(strategy.mb_output, strategy.mb_y)


class LossScore(Score):
    """The mean loss of an experience."""

    _metric: MeanLoss

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the loss of the current minibatch."""
        self._metric.update(strategy.loss.item(), len(strategy.mb_y))


class _ReadsScore:
    """What the four plugins below share: they read one value of a metric that a :class:`Score` counts."""

    kind: str
    sign = 1

    def __init__(self, metric: NamedMetric, name: str) -> None:
        super().__init__(metric)
        self.name = name

    def metric_update(self, strategy: SupervisedTemplate) -> None:
        """Nothing: the score has counted the minibatch."""

    def metric_result(self, strategy: SupervisedTemplate) -> float | None:
        value = self._current_metric.result()[self.name]
        # A loss gets worse by growing; forgetting is positive when a task gets worse.
        return -value if self.name == "Loss" and value is not None else value

    def after_eval_exp(self, strategy: SupervisedTemplate) -> MetricResult:
        if self.metric_result(strategy) is None:
            return None
        return super().after_eval_exp(strategy)

    def result_key(self, k: int) -> float | None:
        forgetting = self.forgetting.result_key(k=k)
        return None if forgetting is None else self.sign * forgetting

    def __str__(self) -> str:
        return f"{self.name}_{self.kind}"


class ExperienceForgetting(_ReadsScore, GenericExperienceForgetting):
    """How much worse a metric is than right after its experience was learned; positive is forgetting.

    Chaudhry et al., "Riemannian Walk", ECCV 2018, with the value right after learning in place of the best one: this is
    Avalanche's definition.
    """

    kind = "ExperienceForgetting"

    def result(self) -> dict[int, float]:
        """Forgetting of each experience measured twice."""
        return {key: self.sign * value for key, value in self.forgetting.result().items()}


class ExperienceBackwardTransfer(ExperienceForgetting):
    """How much better a metric is than right after its experience was learned: the negative of forgetting.

    Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017.
    """

    kind = "ExperienceBWT"
    sign = -1


class StreamForgetting(_ReadsScore, GenericStreamForgetting):
    """Forgetting averaged over the experiences that measure the metric and were learned before the last one."""

    kind = "StreamForgetting"

    def _package_result(self, strategy: SupervisedTemplate) -> MetricResult:
        return super()._package_result(strategy) if self.stream_forgetting.weight else None


class StreamBackwardTransfer(StreamForgetting):
    """The negative of stream forgetting."""

    kind = "StreamBWT"
    sign = -1


class ReplayedSamples(GenericPluginMetric):
    """The most samples of other tasks than the current one in any training minibatch of an epoch.

    Silent in experiences that mix tasks, where nothing tells a replayed sample from a current one.
    """

    def __init__(self) -> None:
        super().__init__(Mean(), reset_at="epoch", emit_at="epoch", mode="train")
        self._most: int | None = None

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the current minibatch."""
        if len(strategy.experience.task_labels) == 1:
            replayed = int((strategy.mb_y.task != strategy.experience.task_labels[0]).sum())
            self._most = max(self._most or 0, replayed)

    def reset(self) -> None:
        """Forget everything counted."""
        self._most = None

    def result(self) -> int | None:
        """The largest count, ``None`` if there was none."""
        return self._most

    def _package_result(self, strategy: SupervisedTemplate) -> MetricResult:
        return None if self._most is None else super()._package_result(strategy)

    def __str__(self) -> str:
        return "ReplayedSamples_Epoch"


def metric_plugins(layout: Layout) -> list[PluginMetric]:
    """Everything the benchmark measures, in the order in which the evaluator must hold it."""
    plugins: list[PluginMetric] = [EpochLoss(), ReplayedSamples()]
    scores: list[Score] = [TaskScore(metric) for metric in task_metrics(layout)]
    for score in [*scores, LossScore(MeanLoss())]:
        plugins.append(score)
        for name in score._metric.names:
            plugins += [
                ExperienceForgetting(score._metric, name),
                ExperienceBackwardTransfer(score._metric, name),
                StreamForgetting(score._metric, name),
                StreamBackwardTransfer(score._metric, name),
            ]
    return plugins


def evaluator(layout: Layout, loggers: Sequence[BaseLogger] = ()) -> EvaluationPlugin:
    """The evaluation plugin of this benchmark, for any Avalanche strategy.

    Args:
        layout: The channels of the network's output.
        loggers: Avalanche loggers.
    """
    return EvaluationPlugin(*metric_plugins(layout), loggers=list(loggers))
