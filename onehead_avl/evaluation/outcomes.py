"""The matrix "metric of an experience after each stage", and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Scores = Mapping[str, Mapping[str, float | None]]
"""Values by experience and metric; ``None``, or nothing, where a value was not measured."""


@dataclass(frozen=True)
class Measure:
    """A metric of an experience.

    Attributes:
        experience: The name of the experience.
        metric: The name of the value.
        higher_is_better: Its direction.
        primary: Whether the experience is judged by it.
    """

    experience: str
    metric: str
    higher_is_better: bool = True
    primary: bool = True

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.experience} {self.metric}"

    def of(self, scores: Scores) -> float | None:
        """Its value among others."""
        return scores.get(self.experience, {}).get(self.metric)

    def gain(self, start: float | None, end: float | None) -> float | None:
        """How much better the end is than the start, in the unit of the value; ``None`` if one is unknown."""
        if start is None or end is None:
            return None
        return end - start if self.higher_is_better else start - end

    def drop(self, baseline: float | None, value: float | None) -> float | None:
        """How much worse a value is, relative to a baseline; unknown also for a baseline of zero."""
        loss = self.gain(value, baseline)
        return None if loss is None or not baseline else loss / abs(baseline)

    def share(self, value: float | None, reference: float | None) -> float | None:
        """Which share of a reference a value reaches: 1 is as good, more is better, whatever the direction."""
        above, below = (value, reference) if self.higher_is_better else (reference, value)
        return None if above is None or not below else above / below


@dataclass(frozen=True)
class Stage:
    """One experience that was learned, or several at once, and the evaluation of all experiences right after it.

    Attributes:
        experiences: The names of what was learned; all of them if they were learned jointly.
        epochs: Epochs trained.
        seconds: Time of training, with the evaluations during the stage but without the one after it.
        scores: What the evaluation after it measured.
        per_class: The same of single classes: by experience, name of the value and class.
        best_epoch: With early stopping, the epoch of which the weights were kept; ``None`` without.
    """

    experiences: tuple[str, ...]
    epochs: int
    seconds: float
    scores: Scores
    per_class: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    best_epoch: int | None = None

    @property
    def title(self) -> str:
        """What the stage is called: the name of its experience, or ``joint``."""
        return self.experiences[0] if len(self.experiences) == 1 else "joint"


@dataclass(frozen=True)
class Outcome:
    """What became of one metric of an experience over the stream.

    Attributes:
        measure: The metric and its experience.
        before: Its value before any training; ``None`` if it was not measured.
        after: Its value after each stage; before the own stage of its experience that is chance, but it was measured.
        own: The position of the stage that taught the experience.
        single_task: Its value when the experience is learned alone from the same start; ``None`` if unknown.
    """

    measure: Measure
    before: float | None
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
        """How much worse it is than just learned, negative if it is better; ``None`` for the last experience."""
        return None if self._is_last else self.measure.gain(self.final, self.just_learned)

    @property
    def backward_transfer(self) -> float | None:
        """How much better it is than just learned (Lopez-Paz and Ranzato, NeurIPS 2017): the negative of forgetting."""
        return None if self._is_last else self.measure.gain(self.just_learned, self.final)

    @property
    def forward_transfer(self) -> float | None:
        """How much better it is right before its own stage than in the untrained network (Lopez-Paz and Ranzato).

        ``None`` for the first experience.
        """
        return self.measure.gain(self.before, self.after[self.own - 1]) if self.own else None

    @property
    def drop_from_just_learned(self) -> float | None:
        """Forgetting relative to the just-learned value; ``None`` for the last experience."""
        return None if self._is_last else self.measure.drop(self.just_learned, self.final)

    @property
    def drop_from_single_task(self) -> float | None:
        """The loss relative to the single-task value; ``None`` where that is unknown."""
        return self.measure.drop(self.single_task, self.final)

    @property
    def share_of_single_task(self) -> float | None:
        """Which share of the single-task value the final one reaches; ``None`` where one is unknown."""
        return self.measure.share(self.final, self.single_task)

    @property
    def _is_last(self) -> bool:
        return self.own == len(self.after) - 1


def outcomes(
    measures: Sequence[Measure],
    stages: Sequence[Stage],
    untrained: Scores | None = None,
    single_task: Scores | None = None,
    *,
    separate: bool = False,
) -> list[Outcome]:
    """Follow every metric of the experiences that a stream learned, in the stream's order.

    Args:
        measures: What is measured.
        stages: What was learned, in order.
        untrained: What the evaluation before any training measured.
        single_task: What the same model reaches when it is trained on each experience alone, where known. A strategy
            may learn even the first experience of a stream otherwise.
        separate: Each stage had a model of its own: an experience's value is the one after its own stage, and no
            other means anything.
    """
    found = []
    for own, stage in enumerate(stages):
        for name in stage.experiences:
            for measure in measures:
                if measure.experience != name:
                    continue
                after = tuple(
                    None if separate and position != own else measure.of(each.scores)
                    for position, each in enumerate(stages)
                )
                alone = measure.of(single_task or {})
                if alone is None and separate:
                    alone = after[own]
                before = None if separate else measure.of(untrained or {})
                found.append(Outcome(measure, before, after, own, alone))
    return found


def single_task_shares(outcomes: Sequence[Outcome]) -> list[float | None]:
    """After each stage, the mean over the experiences learned so far of the share of their single-task performance.

    Of primary metrics alone; ``None`` where a value is unknown. The last entry is the final one, and the mean over all
    of them tells the course of the stream.
    """
    primary = [each for each in outcomes if each.measure.primary]
    stages = len(primary[0].after) if primary else 0
    return [
        mean([each.measure.share(each.after[stage], each.single_task) for each in primary if each.own <= stage])
        for stage in range(stages)
    ]


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of some values; ``None`` if one of them is unknown, or there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
