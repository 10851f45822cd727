"""The third step of a run: what was learned becomes a record."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate
from torch import nn

from onehead_avl.evaluation.agreement import LastEvaluated
from onehead_avl.evaluation.intervals import image_intervals
from onehead_avl.evaluation.outcomes import Scores, Stage
from onehead_avl.evaluation.plugins import counted
from onehead_avl.evaluation.record import Learned, Record, Rule
from onehead_avl.model.probe import unwrapped
from onehead_avl.report.checklist import applies, checklist, latency
from onehead_avl.report.cost import peak_memory, stored_bytes
from onehead_avl.runs.preparation import Prepared
from onehead_avl.system.device import environment
from scenarios.experience import Experience
from strategies.named import Method, parts_of
from strategies.optimisation import whose


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
    config, strategy = prepared.config, prepared.strategy
    methods = _methods(prepared.name)
    separate = any(method.separate for method in methods)
    # Of separate models only the last was measured on what it had learned.
    names = stages[-1].experiences if separate else config.order
    measured = {name: metric for name, metric in counted(strategy.evaluator).items() if name in names}
    record = Record(
        strategy=prepared.name,
        options=prepared.options,
        seed=prepared.seed,
        stream=prepared.stream.name,
        experiences=tuple(_learned(each, prepared) for each in prepared.stream.experiences),
        order=tuple(config.order),
        stages=tuple(stages),
        separate=separate,
        untrained=untrained,
        single_task=single_task,
        intervals={name: image_intervals(metric) for name, metric in measured.items()},
        mistakes={name: told for name, metric in measured.items() if (told := metric.mistakes())},
        manifest_sha256=prepared.manifest_sha256,
        peak_memory_bytes=peak_memory() if prepared.memory_is_measured else None,
        stored_bytes=None if isinstance(strategy, JointTraining) else stored_bytes(strategy, config.image_size),
        environment=environment(prepared.device),
        optimisation=whose(strategy),
        weights_agree=_weights_agree(prepared),
        depends_on=depends_on,
    )
    if config.described.file is not None or not applies(record):  # a file may have any name
        return record
    return replace(record, checklist=_checklist(prepared, record, methods))


def trained_network(prepared: Prepared) -> nn.Module:
    """The network that the strategy ended with, out of a wrapper that emits the same."""
    return unwrapped(prepared.strategy.model, prepared.model, prepared.stream.layout, prepared.config.image_size)


def _weights_agree(prepared: Prepared) -> bool | None:
    """Whether the network that is saved emits what was evaluated; a note says so if not."""
    plugins = [plugin for plugin in prepared.strategy.plugins if isinstance(plugin, LastEvaluated)]
    agrees = plugins[0].agrees(trained_network(prepared)) if plugins else None
    if agrees is False:
        print(
            f"note: {prepared.name} evaluates otherwise than its network does by itself: model.safetensors does not "
            "have the values of results.json",
            file=sys.stderr,
        )
    return agrees


def _checklist(prepared: Prepared, record: Record, methods: Sequence[Method]) -> tuple[Rule, ...]:
    network = trained_network(prepared)
    rules = checklist(
        model=network,
        latency_ms=latency(network, prepared.stream.layout, prepared.device),
        record=record,
        replayed=None if any(method.unseen for method in methods) else _replayed(prepared.strategy),
        keeps=_keeps(methods),
        keeps_allowed=not any(method.breaks for method in methods) if methods else None,
    )
    return tuple(rules)


def _keeps(methods: Sequence[Method]) -> str | None:
    """What methods keep from one experience to the next, and by what the network grows; ``None`` if none is known."""
    grown = dict.fromkeys(f"the network grows by {method.grows}" for method in methods if method.grows)
    return ", ".join([*(method.stores for method in methods), *grown]) or None


def _methods(name: str) -> Sequence[Method]:
    """The methods that a strategy is made of; none is known of an import path."""
    return () if ":" in name else parts_of(name)


def _learned(experience: Experience, prepared: Prepared) -> Learned:
    return Learned(
        name=experience.name,
        kind=experience.kind.path,
        head=experience.head,
        classes=experience.classes,
        metrics={metric.name: metric.higher_is_better for metric in experience.kind.metrics},
        train=len(experience.train),
        val=len(experience.val),
        held_out=len(prepared.held_out.get(prepared.stream.task(experience.name), ())),
    )


def _replayed(strategy: BaseTemplate) -> int | None:
    """The most samples of other experiences in a minibatch; ``None`` if that could not be told."""
    emitted = strategy.evaluator.get_all_metrics()
    counts = [max(values) for name, (_, values) in emitted.items() if name.startswith("ReplayedSamples_Epoch")]
    return max(counts, default=None)
