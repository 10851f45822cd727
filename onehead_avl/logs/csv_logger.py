"""Avalanche's CSV log, with a column for every metric of the benchmark and nothing in what was not measured."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from avalanche.logging import BaseLogger
from avalanche.logging import CSVLogger as AvalancheCSVLogger
from avalanche.training.templates import SupervisedTemplate

SCORES = ("mIoU", "AP", "AP50", "Top1", "Top5")
"""The metrics with columns of their own; Avalanche's own columns hold Top1 (as accuracy) and the loss."""


class CSVLogger(AvalancheCSVLogger):
    """Writes ``training_results.csv`` and ``eval_results.csv``.

    Both begin with the columns that Avalanche's logger has. ``training_results.csv``, a row an epoch, goes on with
    ``val_<metric>``: the evaluation after that epoch, empty without one. ``eval_results.csv``, a row an experience
    evaluated, goes on with ``<metric>`` and ``<metric>_forgetting``.

    Args:
        log_folder: An existing folder to write both files to.
    """

    def __init__(self, log_folder: Path) -> None:
        # Not AvalancheCSVLogger.__init__, which would write the shorter headers.
        BaseLogger.__init__(self)
        SupervisedPlugin.__init__(self)
        self.log_folder = log_folder
        self.training_file = (log_folder / "training_results.csv").open("a", newline="", encoding="utf-8")
        self.eval_file = (log_folder / "eval_results.csv").open("a", newline="", encoding="utf-8")
        self.training_exp_id: int | None = None
        self.in_train_phase: bool | None = None
        self._row: dict | None = None
        self._training = _table(
            self.training_file,
            ["training_exp", "epoch", "training_accuracy", "val_accuracy", "training_loss", "val_loss"]
            + [f"val_{name}" for name in SCORES],
        )
        self._eval = _table(
            self.eval_file,
            ["eval_exp", "training_exp", "eval_accuracy", "eval_loss", "forgetting"]
            + [column for name in SCORES for column in (name, f"{name}_forgetting")],
        )

    def before_training_epoch(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Write the row of the epoch before; only now is its evaluation over."""
        self._flush()

    def after_training_epoch(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Begin the row of the epoch."""
        self._row = {
            "training_exp": self.training_exp_id,
            "epoch": strategy.clock.train_exp_epochs,
            "training_loss": _find(metric_values, "Loss_Epoch"),
        }

    def after_eval_exp(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Add a periodic evaluation to its epoch's row, or write the row of an evaluation proper."""
        exp = strategy.experience.current_experience
        scores = {name: _find(metric_values, f"{name}_Exp") for name in SCORES}
        loss = _find(metric_values, "Loss_Exp")
        if self.in_train_phase:
            if self._row is not None:
                self._row |= {f"val_{name}": value for name, value in scores.items() if value is not None}
                if scores["Top1"] is not None:
                    self._row["val_accuracy"] = scores["Top1"]
                if exp == self.training_exp_id:
                    self._row["val_loss"] = loss
            return
        forgetting = {name: _find(metric_values, f"{name}_ExperienceForgetting") for name in SCORES}
        row = {
            "eval_exp": exp,
            "training_exp": self.training_exp_id,
            "eval_accuracy": scores["Top1"],
            "eval_loss": loss,
            "forgetting": forgetting["Top1"],
            **scores,
            **{f"{name}_forgetting": value for name, value in forgetting.items()},
        }
        self._eval.writerow(row)
        self.eval_file.flush()

    def after_training(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Write the row of the last epoch."""
        self._flush()
        super().after_training(strategy, metric_values, **kwargs)

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
