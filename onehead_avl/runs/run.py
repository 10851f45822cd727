"""One run: learn a stream with one strategy and one seed, and write the run's folder."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.logging import BaseLogger, TextLogger
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.checkpoint.logfiles import LogFiles, growing
from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.checkpoint.store import Store
from onehead_avl.evaluation.agreement import LastEvaluated
from onehead_avl.evaluation.holdout import HeldOut
from onehead_avl.evaluation.outcomes import Scores, Stage
from onehead_avl.evaluation.periodic import PeriodicEvaluation
from onehead_avl.evaluation.record import Record
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.named import EVENTS, LOGGERS
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.runs.config import Resolved
from onehead_avl.runs.failures import clear_errors
from onehead_avl.runs.identity import continued
from onehead_avl.runs.learn import learn
from onehead_avl.runs.pinned import PinnedMinibatches
from onehead_avl.runs.plan import CHECKPOINTS
from onehead_avl.runs.preparation import Prepared, prepare
from onehead_avl.runs.reporting import write_report
from onehead_avl.runs.shown import PREDICTIONS, after_stage, keep_shown, watched
from onehead_avl.runs.stages import STAGES, KeptStages
from onehead_avl.runs.summary import summarise
from onehead_avl.runs.watch import FiniteLoss
from onehead_avl.runs.writing import write
from onehead_avl.system.files import write_json, write_text
from onehead_avl.system.importing import import_attribute
from onehead_avl.system.stopping import STOP
from scenarios.description import as_yaml
from scenarios.experience import Stream
from strategies.attached import import_logger

LOGS = ("log.txt", "training_results.csv", "eval_results.csv", "metrics.csv", EVENTS)
"""The files that grow while a run is under way."""

FOLDERS = (STAGES, PREDICTIONS, "wandb")
"""The folders that do."""


def run(
    config: Resolved, stream: Stream, folder: Path, depends_on: Mapping[str, Any], single_task: Scores | None = None
) -> Record:
    """Learn a stream and write the run's folder.

    Args:
        config: With one strategy and one seed.
        stream: What is learned.
        folder: An existing, empty folder, or that of the run to be continued.
        depends_on: All that its results depend on, which must be what it was begun with if it is continued.
        single_task: The scores of the same network trained on each experience alone, where known.

    Raises:
        UsageError: A value of the configuration names nothing that exists.
        WeightsError: The backbone's weights cannot be had.
        OutputError: The folder cannot be written.
        TrainingError: Training ended with weights that are no numbers.
        Stopped: The process was asked to stop.
    """
    prepared = prepare(config.but(output=folder), stream)
    checkpoints = _checkpoints(prepared, folder, depends_on)
    loggers = _more_loggers(prepared, folder)
    # Nothing is written until all that a user may have to correct is known to be right: the folder can be used again.
    write_json(folder / "config.json", prepared.config.as_dict())
    write_text(folder / "stream.yaml", as_yaml(config.placed()))
    untrained, stages = _learn(prepared, folder, checkpoints, loggers)
    record = summarise(prepared, untrained, stages, single_task or {}, depends_on)
    keep_shown(prepared, record, folder)
    write(prepared, record, folder)
    checkpoints.store.remove()
    write_report(folder)
    return record


def _checkpoints(prepared: Prepared, folder: Path, depends_on: Mapping[str, Any]) -> Checkpoints:
    """Find where an interrupted run is to continue, or clear the folder of what one that cannot be continued wrote."""
    config = prepared.config
    checkpoints = Checkpoints(
        Store(folder / CHECKPOINTS),
        continued(config, depends_on),
        prepared.benchmark,
        config.checkpoint_every,
    )
    if not (config.resume and checkpoints.find(folder)):
        if config.resume and checkpoints.store.names():
            print("note: none of the checkpoints can be used: the run begins anew", file=sys.stderr)
        checkpoints.store.remove()
        for name in LOGS:
            (folder / name).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
    return checkpoints


def _more_loggers(prepared: Prepared, folder: Path) -> list[BaseLogger]:
    """The loggers that the user asks for; they may begin to write at once."""
    config = prepared.config
    loggers: list[BaseLogger] = []
    for name in config.logger:
        if name in LOGGERS:
            loggers.append(import_attribute(LOGGERS[name])(folder, folder.name, config.as_dict()))
        else:
            loggers += import_logger(name, prepared.options, folder)
    return loggers


def _learn(
    prepared: Prepared, folder: Path, checkpoints: Checkpoints, more: Sequence[BaseLogger]
) -> tuple[Scores, list[Stage]]:
    """Learn with logs and checkpoints."""
    config, strategy, layout = prepared.config, prepared.strategy, prepared.stream.layout
    with ExitStack() as held:
        log = held.enter_context((folder / LOGS[0]).open("a", encoding="utf-8"))
        held.enter_context(closing(prepared.progress))
        held.enter_context(STOP.listening())
        held.enter_context(clear_errors(folder, lambda: _where(strategy, config.order)))
        csv = CSVLogger(folder, layout)
        tidy = TidyLogger(folder, config.order, folder.name, prepared.seed, prepared.name)
        for logger in (csv, tidy, *more):
            if hasattr(logger, "close"):  # not all of Avalanche's and anybody's have something to close
                held.enter_context(closing(logger))
        strategy.evaluator.loggers += [TextLogger(log), csv, tidy, *more]
        shown = watched(prepared)
        strategy.plugins += [*instruments(prepared), shown]
        strategy.plugins.append(checkpoints)
        files = [log, csv.training_file, csv.eval_file, tidy.file, *growing(more, folder)]
        checkpoints.start(strategy, LogFiles(files))
        return learn(
            strategy,
            prepared.benchmark,
            config.order,
            config.epochs,
            prepared.workers,
            checkpoints,
            ended=lambda number: shown.write(strategy, after_stage(folder, number)),
        )


def instruments(prepared: Prepared) -> list[SupervisedPlugin]:
    """The plugins that watch the strategy while it learns."""
    config, layout = prepared.config, prepared.stream.layout
    plugins: list[SupervisedPlugin] = [FiniteLoss(layout), LastEvaluated(), PinnedMinibatches()]
    if config.eval_every:
        plugins.append(PeriodicEvaluation(config.eval_every, prepared.benchmark.test_stream, prepared.workers))
    if prepared.held_out:
        plugins.append(HeldOut(prepared.held_out, layout, config.batch_size, config.early_stopping))
    if config.keep_stages:
        plugins.append(KeptStages(prepared, config.order))
    return plugins


def _where(strategy: BaseTemplate, order: Sequence[str]) -> str:
    """Where a run is, for a message."""
    experience = strategy.experience
    name = "" if experience is None else f" ({order[experience.current_experience]})"
    if not strategy.is_training:
        return f"in an evaluation{name}"
    done, stage = strategy.clock.train_exp_epochs, f"stage {strategy.clock.train_exp_counter + 1}{name}"
    return f"in epoch {done + 1} of {stage}" if done < strategy.train_epochs else f"at the end of {stage}"
