"""The matrix "metric of a task after each stage", and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onehead_avl.tasks import Task

SCORES = {Task.SEG: ("mIoU",), Task.DET: ("AP50", "AP"), Task.CLS: ("Top1", "Top5")}
"""The metrics of each task, the one it is judged by first."""


@dataclass(frozen=True)
class Stage:
    """One experience that was learned, or several at once, and the evaluation of all tasks right after it.

    Attributes:
        tasks: The task learned; all of them if they were learned jointly.
        epochs: Epochs trained.
        seconds: Time of training, with the evaluations during the stage but without the one after it.
        scores: Metric values by name; a metric that was not measured is absent or ``None``.
    """

    tasks: tuple[Task, ...]
    epochs: int
    seconds: float
    scores: Mapping[str, float | None]

    @property
    def key(self) -> str:
        """What the stage is called: the key of its task, or ``joint``."""
        return self.tasks[0].key if len(self.tasks) == 1 else "joint"

    @property
    def title(self) -> str:
        """The titles of its tasks."""
        return " + ".join(task.title for task in self.tasks)


@dataclass(frozen=True)
class Outcome:
    """What became of one metric over the stream.

    Attributes:
        task: The task it judges.
        metric: Its name.
        after: Its value after each stage; before the task's own stage that is chance, but it was measured.
        own: The position of the task's own stage.
        single_task: Its value when the task is learned alone from the same start; ``None`` if unknown.
    """

    task: Task
    metric: str
    after: tuple[float | None, ...]
    own: int
    single_task: float | None

    @property
    def just_learned(self) -> float | None:
        """Its value right after its own stage."""
        return self.after[self.own]

    @property
    def final(self) -> float | None:
        """Its value after the last stage."""
        return self.after[-1]

    @property
    def forgetting(self) -> float | None:
        """How much was lost since it was just learned, negative if it rose; ``None`` for the last task."""
        if self._is_last or self.just_learned is None or self.final is None:
            return None
        return self.just_learned - self.final

    @property
    def drop_from_just_learned(self) -> float | None:
        """Forgetting relative to the just-learned value; ``None`` for the last task."""
        return None if self._is_last else _drop(self.just_learned, self.final)

    @property
    def drop_from_single_task(self) -> float | None:
        """The loss relative to the single-task value; ``None`` where that is unknown."""
        return _drop(self.single_task, self.final)

    @property
    def _is_last(self) -> bool:
        return self.own == len(self.after) - 1


def _drop(baseline: float | None, final: float | None) -> float | None:
    """The relative loss; unknown if either value is, or if the baseline is zero, of which nothing can be lost."""
    return None if not baseline or final is None else (baseline - final) / baseline


def outcomes(
    stages: Sequence[Stage], single_task: Mapping[str, float | None] | None = None, *, separate: bool = False
) -> list[Outcome]:
    """Follow every metric of the tasks that a stream learned, in the stream's order.

    Args:
        stages: What was learned, in order.
        single_task: Values by metric of the same model trained on each task alone, where known. The first task of a
            stream was learned alone from the same start, so its own are known anyway.
        separate: Each stage had a model of its own: a task's value is the one after its own stage, and no other means
            anything.
    """
    found = []
    for own, stage in enumerate(stages):
        for task in stage.tasks:
            for metric in SCORES[task]:
                after = tuple(
                    None if separate and position != own else each.scores.get(metric)
                    for position, each in enumerate(stages)
                )
                alone = (single_task or {}).get(metric)
                if alone is None and (separate or (own == 0 and len(stage.tasks) == 1 < len(stages))):
                    alone = after[own]
                found.append(Outcome(task=task, metric=metric, after=after, own=own, single_task=alone))
    return found


def as_json(stages: Sequence[Stage], outcomes: Sequence[Outcome]) -> dict:
    """The metrics of a run as ``results.json`` holds them; unknown values are ``null``."""
    metrics = [metric for metrics in SCORES.values() for metric in metrics]
    return {
        "matrix": [{"after": stage.key, **{m: stage.scores.get(m) for m in metrics}} for stage in stages],
        "outcomes": {
            each.metric: {
                "task": each.task.key,
                "just_learned": each.just_learned,
                "single_task": each.single_task,
                "final": each.final,
                "forgetting": each.forgetting,
                "backward_transfer": None if each.forgetting is None else -each.forgetting,
                "drop_from_just_learned": each.drop_from_just_learned,
                "drop_from_single_task": each.drop_from_single_task,
            }
            for each in outcomes
        },
    }
