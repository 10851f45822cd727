"""The metrics as Avalanche plugins: their value on every experience, forgetting and backward transfer.

Counting a batch and computing COCO's AP are slow, so each metric is counted once, by its :class:`Score`; the forgetting
and transfer plugins behind it only read the result. They must follow their score in the evaluator's list.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from avalanche.evaluation import GenericPluginMetric, PluginMetric
from avalanche.evaluation.metric_results import MetricResult, MetricValue
from avalanche.evaluation.metric_utils import get_metric_name
from avalanche.evaluation.metrics import EpochLoss, Forgetting, GenericExperienceForgetting, GenericStreamForgetting
from avalanche.evaluation.metrics.mean import Mean
from avalanche.logging import BaseLogger
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import Metric, Values
from onehead_avl.model.layout import Layout
from onehead_avl.system.labels import labels_of


class NamedMetric(Protocol):
    """What scores are made of: a metric with one or more named values, ``None`` where nothing was measured."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values."""

    def result(self) -> dict[str, float | None]:
        """A value for each name."""

    def reset(self) -> None:
        """Forget everything counted."""


class MeanLoss:
    """The mean of the criterion over samples of any experience."""

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
    """Emits ``<name>_Exp`` for each value of a metric after each experience evaluated."""

    UNSAVED = frozenset(("_metric",))  # an evaluation that was interrupted is done again from its start

    def __init__(self, metric: NamedMetric) -> None:
        super().__init__(metric, reset_at="experience", emit_at="experience", mode="eval")

    @abstractmethod
    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the strategy's current minibatch."""

    def _package_result(self, strategy: SupervisedTemplate, task: int | bool = True) -> MetricResult:
        """Name the values by a task label, or with ``True`` by that of the experience, if it has a single one."""
        return [
            MetricValue(
                self,
                get_metric_name(f"{name}_Exp", strategy, add_experience=True, add_task=task),
                value,
                strategy.clock.train_iterations,
            )
            for name, value in self.result().items()
            if value is not None
        ]

    def __str__(self) -> str:
        return "/".join(f"{name}_Exp" for name in self._metric.names)


class ExperienceScore(Score):
    """The score of the samples of one task label; it keeps its values until such samples are evaluated again.

    Args:
        metric: Counts the outputs.
        task: The task label.
        layout: The channels of the network's output.
    """

    UNSAVED = Score.UNSAVED | {"_counts"}
    _metric: Metric

    def __init__(self, metric: Metric, task: int, layout: Layout) -> None:
        super().__init__(metric)
        self.task = task
        self.layout = layout
        self._counts = False

    @property
    def metric(self) -> Metric:
        """The metric, as it was counted last."""
        return self._metric

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the network's output on the samples of the current minibatch that have the task label."""
        output, target = strategy.mb_output, strategy.mb_y
        own = target.of(self.task)
        if not own.all():
            output, target = output[own], target[own]
        self._metric.update(self.layout.parts[self.task].of(output).float(), target)

    def before_eval_exp(self, strategy: SupervisedTemplate) -> None:
        """Wait for a sample with the task label."""
        self._counts = False

    def after_eval_iteration(self, strategy: SupervisedTemplate) -> None:
        """Count the minibatch, beginning anew with the first of an experience, if it holds samples of the task."""
        if strategy.mb_y.of(self.task).any():
            if not self._counts:
                self.reset()
            self._counts = True
            self.update(strategy)

    def after_eval_exp(self, strategy: SupervisedTemplate) -> MetricResult:
        """Emit the values, if anything was counted."""
        return self._package_result(strategy, self.task) if self._counts else None


class LossScore(Score):
    """The mean loss of an experience."""

    _metric: MeanLoss

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the loss of the current minibatch."""
        self._metric.update(strategy.loss.item(), len(strategy.mb_y))


class _ReadsScore:
    """What the four plugins below share: they read one value of the metric that a :class:`Score` counts.

    Args:
        metrics: By the task label of the samples that are measured by the value.
        name: Of the value.
        higher_is_better: Its direction; forgetting is positive when it gets worse.
    """

    UNSAVED = frozenset(("_metrics", "_current_metric", "_seen"))
    kind: str
    sign = 1
    forgetting: Forgetting

    def __init__(self, metrics: Mapping[int, NamedMetric], name: str, higher_is_better: bool) -> None:
        super().__init__(None)  # type: ignore[call-arg]  # Avalanche's class, which stands behind this one
        self._metrics = metrics
        self._seen: set[int] = set()
        self.name = name
        self.higher_is_better = higher_is_better

    def before_eval_exp(self, strategy: SupervisedTemplate) -> None:
        """Begin to note task labels; the score begins to count."""
        self._seen = set()

    def metric_update(self, strategy: SupervisedTemplate) -> None:
        """Note the task labels of the minibatch; the score has counted it."""
        self._seen.update(strategy.mb_y.task.tolist())

    def metric_result(self, strategy: SupervisedTemplate) -> float | None:
        """The value of the experience; ``None`` where none was measured, or several of different task labels."""
        found = {id(self._metrics[task]): self._metrics[task] for task in self._seen & self._metrics.keys()}
        if len(found) != 1:
            return None
        (metric,) = found.values()
        value = metric.result()[self.name]
        return value if value is None or self.higher_is_better else -value

    def after_eval_exp(self, strategy: SupervisedTemplate) -> MetricResult:
        if self.metric_result(strategy) is None:
            return None
        return super().after_eval_exp(strategy)  # type: ignore[misc]  # likewise

    def result_key(self, k: int) -> float | None:
        forgetting = self.forgetting.result_key(k=k)
        return None if forgetting is None else self.sign * forgetting

    def __str__(self) -> str:
        # Avalanche's loggers tell metrics apart by how a name begins: none of these begins as that of a score does.
        return f"{self.name}_{self.kind}"


class ExperienceForgetting(_ReadsScore, GenericExperienceForgetting):
    """How much worse a metric is than right after its experience was learned; positive is forgetting.

    Chaudhry et al., "Riemannian Walk", ECCV 2018, with the value right after learning in place of the best one: this is
    Avalanche's definition.
    """

    kind = "Forgetting_Exp"

    def result(self) -> dict[int, float]:
        """Forgetting of each experience measured twice."""
        return {key: self.sign * value for key, value in self.forgetting.result().items()}


class ExperienceBackwardTransfer(ExperienceForgetting):
    """How much better a metric is than right after its experience was learned: the negative of forgetting.

    Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017.
    """

    kind = "BWT_Exp"
    sign = -1


class StreamForgetting(_ReadsScore, GenericStreamForgetting):
    """Forgetting averaged over the experiences that measure the metric and were learned before the last one."""

    kind = "Forgetting_Stream"

    def _package_result(self, strategy: SupervisedTemplate) -> MetricResult:
        return super()._package_result(strategy) if self.stream_forgetting.weight else None


class StreamBackwardTransfer(StreamForgetting):
    """The negative of stream forgetting."""

    kind = "BWT_Stream"
    sign = -1


class ReplayedSamples(GenericPluginMetric):
    """The most samples of other experiences than the current one in any training minibatch of an epoch.

    Silent in experiences that mix task labels, where nothing tells a replayed sample from a current one.
    """

    def __init__(self) -> None:
        super().__init__(Mean(), reset_at="epoch", emit_at="epoch", mode="train")
        self._most: int | None = None

    def update(self, strategy: SupervisedTemplate) -> None:
        """Count the current minibatch."""
        labels = labels_of(strategy.experience)
        if len(labels) == 1:
            (label,) = labels
            self._most = max(self._most or 0, int((strategy.mb_y.task != label).sum()))

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
    """Everything the benchmark measures, in the order in which the evaluator must hold it.

    Raises:
        UsageError: Two kinds measure a value of the same name in different directions, or a kind gives a value a name
            that it cannot have.
    """
    plugins: list[PluginMetric] = [EpochLoss(), ReplayedSamples()]
    scores = [ExperienceScore(part.kind.metric(part.classes), task, layout) for task, part in enumerate(layout.parts)]
    loss = LossScore(MeanLoss())
    plugins += [*scores, loss]
    for name, higher_is_better in _directions(layout).items():
        measured = {score.task: score.metric for score in scores if name in score.metric.names}
        plugins += _follow(measured, name, higher_is_better)
    return plugins + _follow(dict.fromkeys(range(len(layout.parts)), loss._metric), "Loss", higher_is_better=False)


def _follow(metrics: Mapping[int, NamedMetric], name: str, higher_is_better: bool) -> list[PluginMetric]:
    followers = (ExperienceForgetting, ExperienceBackwardTransfer, StreamForgetting, StreamBackwardTransfer)
    return [follower(metrics, name, higher_is_better) for follower in followers]


def _directions(layout: Layout) -> dict[str, bool]:
    """Whether a higher value is better, by the name of the value."""
    directions: dict[str, bool] = {}
    for part in layout.heads:
        names = [metric.name for metric in part.kind.metrics]
        for metric in part.kind.metrics:
            if metric.name in MeanLoss.names or set("_/") & set(metric.name) or names.count(metric.name) > 1:
                raise UsageError(
                    f"kind {part.kind.name}: expected names of values without _ and /, each once and none of them "
                    f"{MeanLoss.names[0]}, found {metric.name!r}; rename it"
                )
            if directions.setdefault(metric.name, metric.higher_is_better) != metric.higher_is_better:
                raise UsageError(f"expected one direction of the metric {metric.name}, found two; rename one of them")
    return directions


def evaluator(layout: Layout, loggers: Sequence[BaseLogger] = ()) -> EvaluationPlugin:
    """The evaluation plugin of this benchmark, for any Avalanche strategy.

    Args:
        layout: The channels of the network's output.
        loggers: Avalanche loggers.
    """
    return EvaluationPlugin(*metric_plugins(layout), loggers=list(loggers))


def counted(evaluator: EvaluationPlugin) -> dict[str, Metric]:
    """The metric of each experience as its last evaluation counted it; experiences that had none are absent.

    Args:
        evaluator: Of :func:`evaluator`.
    """
    scores = [each for each in evaluator.metrics if isinstance(each, ExperienceScore) and len(each.metric)]
    return {each.layout.names[each.task]: each.metric for each in scores}


def measured(evaluator: EvaluationPlugin) -> tuple[dict[str, Values], dict[str, dict[str, Values]]]:
    """What the last evaluation of each experience measured.

    Args:
        evaluator: Of :func:`evaluator`.

    Returns:
        The values by experience and metric, and those of single classes by experience, value and class; experiences
        that were not evaluated are absent.
    """
    named = counted(evaluator)
    return (
        {name: metric.result() for name, metric in named.items()},
        {name: metric.per_class() for name, metric in named.items()},
    )
