"""Avalanche's CSV log, with a column for every metric of the benchmark and nothing in what was not measured."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from avalanche.logging import BaseLogger
from avalanche.logging import CSVLogger as AvalancheCSVLogger
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.model.layout import Layout
from onehead_avl.system.labels import labels_of

ACCURACY = "Top1"
"""The metric that Avalanche's own columns hold as accuracy."""


class CSVLogger(AvalancheCSVLogger):
    """Writes ``training_results.csv`` and ``eval_results.csv``.

    Both begin with the columns that Avalanche's logger has. ``training_results.csv``, a row an epoch, goes on with
    ``val_<metric>_<experience>``: the evaluation after that epoch, which for the last one is that of the stage; empty
    without one. ``eval_results.csv``, a row an
    experience evaluated, goes on with its name and with ``<metric>`` and ``<metric>_forgetting``.

    Args:
        log_folder: An existing folder to write both files to.
        layout: The experiences and what they are measured by.
    """

    def __init__(self, log_folder: Path, layout: Layout) -> None:
        # Not AvalancheCSVLogger.__init__, which would write the shorter headers.
        BaseLogger.__init__(self)
        SupervisedPlugin.__init__(self)
        self.log_folder = log_folder
        self.training_file = (log_folder / "training_results.csv").open("a", newline="", encoding="utf-8")
        self.eval_file = (log_folder / "eval_results.csv").open("a", newline="", encoding="utf-8")
        self.training_exp_id: int | None = None
        self.in_train_phase: bool | None = None
        self._row: dict | None = None
        self._names = layout.names
        self._own = [[metric.name for metric in part.kind.metrics] for part in layout.parts]
        self._metrics = list(dict.fromkeys(name for own in self._own for name in own))
        self._training = _table(
            self.training_file,
            ["training_exp", "epoch", "training_accuracy", "val_accuracy", "training_loss", "val_loss"]
            + [f"val_{metric}_{name}" for name, own in zip(self._names, self._own, strict=True) for metric in own],
        )
        self._eval = _table(
            self.eval_file,
            ["eval_exp", "training_exp", "eval_accuracy", "eval_loss", "forgetting", "experience"]
            + [column for name in self._metrics for column in (name, f"{name}_forgetting")],
        )

    def before_training_epoch(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Write the row of the epoch before; only now is its evaluation over, unless that of the stage follows."""
        if not getattr(strategy, "_stop_training", False):
            self._flush()

    def after_training_epoch(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Begin the row of the epoch."""
        self._row = {
            "training_exp": self.training_exp_id,
            "epoch": strategy.clock.train_exp_epochs,
            "training_loss": _find(metric_values, "Loss_Epoch"),
        }

    def after_eval_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Add an evaluation to its epoch's row, and write the row of one after a stage."""
        exp = strategy.experience.current_experience
        tasks = sorted(labels_of(strategy.experience))
        own = list(dict.fromkeys(name for task in tasks for name in self._own[task]))
        scores = {name: _find(metric_values, f"{name}_Exp") for name in own}
        loss = _find(metric_values, "Loss_Exp")
        if self._row is not None:
            self._row |= {
                f"val_{metric}_{self._names[task]}": scores[metric] for task in tasks for metric in self._own[task]
            }
            if exp == self.training_exp_id:
                self._row |= {"val_loss": loss, "val_accuracy": scores.get(ACCURACY)}
        if self.in_train_phase:
            return
        forgetting = {name: _find(metric_values, f"{name}_Forgetting_Exp") for name in own}
        row = {
            "eval_exp": exp,
            "training_exp": self.training_exp_id,
            "eval_accuracy": scores.get(ACCURACY),
            "eval_loss": loss,
            "forgetting": forgetting.get(ACCURACY),
            "experience": " + ".join(self._names[task] for task in tasks),
            **scores,
            **{f"{name}_forgetting": value for name, value in forgetting.items()},
        }
        self._eval.writerow(row)
        self.eval_file.flush()

    def after_eval(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Write the row of the last epoch after the evaluation of its stage."""
        if not self.in_train_phase:
            self._flush()

    def close(self) -> None:
        """Write what is left, and close the files."""
        self._flush()
        super().close()

    def _flush(self) -> None:
        if self._row is not None:
            self._training.writerow(self._row)
            self.training_file.flush()
            self._row = None


def _table(file, columns: Iterable[str]) -> csv.DictWriter:
    # DictWriter leaves a missing value, and csv writes None, as an empty cell.
    table = csv.DictWriter(file, list(columns), lineterminator="\n")
    table.writeheader()
    file.flush()
    return table


def _find(metric_values: Sequence[MetricValue], name: str) -> float | None:
    """The value just emitted under a name, if it was."""
    return next((float(each.value) for each in metric_values if each.name.split("/")[0] == name), None)
