"""What a finished run leaves: ``results.json``, written and read by one typed record."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Measure, Outcome, Scores, Stage, mean, outcomes, single_task_shares

VERSION = 4
"""Of the file. It counts up whenever a field changes its meaning; files of other versions are refused."""


@dataclass(frozen=True)
class Rule:
    """A row of the challenge's checklist.

    Attributes:
        name: What is limited.
        measured: What was measured, ready to print; ``None`` if it was not.
        limit: What is allowed, ready to print.
        passed: Whether they agree; ``None`` if it was not measured.
    """

    name: str
    measured: str | None
    limit: str
    passed: bool | None


@dataclass(frozen=True)
class Learned:
    """An experience of the stream, as far as results need to know it.

    Attributes:
        name: Its name.
        kind: What names its kind.
        head: The part of the output it uses.
        classes: Class names in index order.
        metrics: Its metrics and whether a higher value is better, the primary one first.
        train: Training images.
        val: Validation images.
        held_out: Training images that were held out.
    """

    name: str
    kind: str
    head: str
    classes: tuple[str, ...]
    metrics: Mapping[str, bool]
    train: int
    val: int
    held_out: int = 0

    @property
    def measures(self) -> list[Measure]:
        """Its metrics, the primary one first."""
        return [
            Measure(self.name, metric, higher, primary=position == 0)
            for position, (metric, higher) in enumerate(self.metrics.items())
        ]


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        strategy: Its name.
        options: Its hyper-parameters, by method.
        seed: Its random seed.
        stream: The name of the stream.
        experiences: All experiences of the stream, in the order of their definition.
        order: The names of those that were learned, in order.
        stages: What was learned, and how everything was scored after it.
        separate: Whether each stage had a model of its own, as the single-task baseline has.
        untrained: The scores of the network before any training.
        single_task: The scores of the same network trained on each experience alone, where known.
        intervals: How far final values may move with other validation images: by experience and metric.
        mistakes: By how much the primary value would rise in the end if all mistakes of a type were mended: by
            experience and type; nothing of a kind that tells no types apart.
        checklist: The challenge's rules; ``None`` where they do not apply.
        manifest_sha256: The checksum of the data's manifest; ``None`` without one.
        peak_memory_bytes: Of the process; ``None`` if it could not be measured.
        stored_bytes: What the strategy keeps beside the model; ``None`` if that means nothing.
        environment: What numbers depend on beside the configuration.
        optimisation: Who updated the weights: ``by`` the benchmark or the strategy, and with which ``optimizer``.
        weights_agree: Whether the saved weights by themselves emit what was evaluated; ``None`` if that is unknown.
        depends_on: All that the results depend on, by what messages call it: options, and digests of data and code.
    """

    strategy: str
    options: Mapping[str, Mapping[str, Any]]
    seed: int
    stream: str
    experiences: tuple[Learned, ...]
    order: tuple[str, ...]
    stages: tuple[Stage, ...]
    separate: bool = False
    untrained: Scores = field(default_factory=dict)
    single_task: Scores = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, Sequence[float] | None]] = field(default_factory=dict)
    mistakes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    checklist: tuple[Rule, ...] | None = None
    manifest_sha256: str | None = None
    peak_memory_bytes: int | None = None
    stored_bytes: int | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    optimisation: Mapping[str, Any] = field(default_factory=dict)
    weights_agree: bool | None = None
    depends_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measures(self) -> list[Measure]:
        """Every metric of every experience of the stream."""
        return [measure for experience in self.experiences for measure in experience.measures]

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What became of every metric, in the order in which the experiences were learned."""
        return outcomes(self.measures, self.stages, self.untrained, self.single_task, separate=self.separate)

    @property
    def seconds(self) -> float:
        """The time of training."""
        return sum(stage.seconds for stage in self.stages)

    def outcome(self, measure: Measure) -> Outcome | None:
        """What became of one metric; ``None`` if its experience was not learned."""
        return next((each for each in self.outcomes if each.measure.title == measure.title), None)

    def with_single_task(self, scores: Scores | None) -> "Record":
        """The same run beside other single-task scores; its own where ``None``."""
        return self if scores is None else replace(self, single_task=scores)

    def as_json(self) -> dict[str, Any]:
        """The content of ``results.json``: the fields, and what follows from them for whoever reads the file."""
        shares = single_task_shares(self.outcomes)
        return {
            "version": VERSION,
            **asdict(self),
            "outcomes": {
                name: {each.measure.metric: _outcome(each) for each in self.outcomes if each.measure.experience == name}
                for name in self.order
            },
            "share_of_single_task": {"after": shares, "final": shares[-1] if shares else None, "course": mean(shares)},
        }

    @classmethod
    def from_json(cls, content: Any, where: object) -> "Record":
        """Read what :meth:`as_json` made.

        Args:
            content: Parsed JSON.
            where: The file, for messages.

        Raises:
            OutputError: It is of another version, or no results at all.
        """
        version = content.get("version") if isinstance(content, dict) else None
        if version != VERSION:
            found = "none" if version is None else repr(version)
            raise OutputError(
                f"{where}: expected results of version {VERSION}, found {found}: another version of onehead-avl wrote "
                "them; read them with that one, or run again in a new folder"
            )
        try:
            stages = [Stage(**{**each, "experiences": tuple(each["experiences"])}) for each in content["stages"]]
            learned = [Learned(**{**each, "classes": tuple(each["classes"])}) for each in content["experiences"]]
            rules = content["checklist"]
            intervals = {
                name: {metric: _interval(ends) for metric, ends in metrics.items()}
                for name, metrics in content["intervals"].items()
            }
            record = cls(
                **{
                    **{name: content[name] for name in cls.__dataclass_fields__},
                    "experiences": tuple(learned),
                    "order": tuple(content["order"]),
                    "stages": tuple(stages),
                    "intervals": intervals,
                    "checklist": None if rules is None else tuple(Rule(**rule) for rule in rules),
                    "depends_on": {**content["depends_on"]},
                }
            )
            record._require_names()
            record.as_json()  # what follows from the values is computed here, so that a wrong one is found here
            return record
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OutputError(
                f"{where}: expected the results of a run, found other content ({error}); remove it"
            ) from None

    def _require_names(self) -> None:
        if not isinstance(self.strategy, str) or not isinstance(self.seed, int):
            raise TypeError("its strategy and its seed are none")
        known = {each.name for each in self.experiences}
        for name in (*self.order, *(name for stage in self.stages for name in stage.experiences)):
            if name not in known:
                raise ValueError(f"no experience is called {name!r}")


def _interval(ends: Sequence[float] | None) -> tuple[float, float] | None:
    if ends is None:
        return None
    low, high = ends
    return low, high


def _outcome(each: Outcome) -> dict[str, float | bool | None]:
    return {
        "higher_is_better": each.measure.higher_is_better,
        "just_learned": each.just_learned,
        "single_task": each.single_task,
        "final": each.final,
        "forgetting": each.forgetting,
        "backward_transfer": each.backward_transfer,
        "forward_transfer": each.forward_transfer,
        "drop_from_just_learned": each.drop_from_just_learned,
        "drop_from_single_task": each.drop_from_single_task,
    }
