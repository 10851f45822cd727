"""The third step of a run: what was learned becomes a record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.evaluation.intervals import image_intervals, measure
from onehead_avl.evaluation.outcomes import Scores, Stage
from onehead_avl.evaluation.record import Learned, Record, Rule
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report.checklist import applies, checklist, latency
from onehead_avl.report.cost import peak_memory, stored_bytes
from onehead_avl.runs.preparation import Prepared
from onehead_avl.system.device import environment
from scenarios.experience import Experience
from strategies.named import Method, parts_of


def summarise(
    prepared: Prepared,
    untrained: Scores,
    stages: Sequence[Stage],
    single_task: Scores,
    depends_on: Mapping[str, Any],
) -> Record:
    """Make the record of a run that has learned everything.

    Args:
        prepared: What the run is made of.
        untrained: The scores of the untrained network.
        stages: What was learned.
        single_task: The scores of the same network trained on each experience alone, where known.
        depends_on: All that the results depend on.
    """
    config, strategy, model = prepared.config, prepared.strategy, trained_model(prepared)
    methods = _methods(prepared.name)
    separate = any(method.separate for method in methods)
    record = Record(
        strategy=prepared.name,
        options=prepared.options,
        seed=prepared.seed,
        stream=prepared.stream.name,
        experiences=tuple(_learned(each) for each in prepared.stream.experiences),
        order=tuple(config.order),
        stages=tuple(stages),
        separate=separate,
        untrained=untrained,
        single_task=single_task,
        # Of separate models only the last is left to be measured.
        intervals=_intervals(prepared, model, stages[-1].experiences if separate else config.order),
        manifest_sha256=prepared.manifest_sha256,
        peak_memory_bytes=peak_memory() if prepared.memory_is_measured else None,
        stored_bytes=None if isinstance(strategy, JointTraining) else stored_bytes(strategy, config.image_size),
        environment=environment(prepared.device),
        depends_on=depends_on,
    )
    if config.described.file is not None or not applies(record):  # a file may have any name
        return record
    return replace(record, checklist=_checklist(prepared, record, methods))


def trained_model(prepared: Prepared) -> OneHeadNet:
    """The network at the end; a strategy may have replaced it, or have wrapped it."""
    model = prepared.strategy.model
    return model if isinstance(model, OneHeadNet) else prepared.model


def _checklist(prepared: Prepared, record: Record, methods: Sequence[Method]) -> tuple[Rule, ...]:
    model = trained_model(prepared)
    rules = checklist(
        model=model,
        latency_ms=latency(model, prepared.device),
        record=record,
        replayed=None if any(method.unseen for method in methods) else _replayed(prepared.strategy),
        keeps=", ".join(method.stores for method in methods) or None,
        keeps_allowed=not any(method.breaks for method in methods) if methods else None,
    )
    return tuple(rules)


def _methods(name: str) -> Sequence[Method]:
    """The methods that a strategy is made of; none is known of an import path."""
    return () if ":" in name else parts_of(name)


def _learned(experience: Experience) -> Learned:
    return Learned(
        name=experience.name,
        kind=experience.kind.path,
        head=experience.head,
        classes=experience.classes,
        metrics={metric.name: metric.higher_is_better for metric in experience.kind.metrics},
        train=len(experience.train),
        val=len(experience.val),
    )


def _intervals(
    prepared: Prepared, model: OneHeadNet, names: Sequence[str]
) -> dict[str, dict[str, tuple[float, float] | None]]:
    """The intervals over validation images of the final values of every metric of some experiences."""
    model.eval()
    found = {}
    for experience in prepared.benchmark.test_stream:
        name, part = model.layout.names[experience.task_label], model.layout.parts[experience.task_label]
        if name in names:
            metric = part.kind.metric(part.classes)
            measure(model, experience.dataset, part, metric, prepared.config.batch_size)
            found[name] = image_intervals(metric)
    return found


def _replayed(strategy: BaseTemplate) -> int | None:
    """The most samples of other experiences in a minibatch; ``None`` if that could not be told."""
    emitted = strategy.evaluator.get_all_metrics()
    counts = [max(values) for name, (_, values) in emitted.items() if name.startswith("ReplayedSamples_Epoch")]
    return max(counts, default=None)
