"""The last step of a run: its record becomes files."""

from pathlib import Path

from onehead_avl.evaluation.plugins import counted
from onehead_avl.evaluation.record import Record
from onehead_avl.model.saved import save_model
from onehead_avl.report import details, model_card
from onehead_avl.report.plots import loss_figure, metrics_figure, save_figure
from onehead_avl.report.table import checklist_table, mistakes_table, per_class_csv, per_class_table, results_table
from onehead_avl.runs.card import card_of
from onehead_avl.runs.plan import RESULTS
from onehead_avl.runs.preparation import Prepared
from onehead_avl.runs.summary import trained_network
from onehead_avl.system.files import write_json, write_text


def save_network(prepared: Prepared, path: Path) -> None:
    """Write the weights that the strategy has now.

    Raises:
        OutputError: The file cannot be written.
    """
    save_model(
        path,
        trained_network(prepared),
        prepared.stream.layout,
        prepared.config.image_size,
        prepared.stream.name,
        prepared.origin,
    )


def write(prepared: Prepared, record: Record, folder: Path) -> None:
    """Write the weights, the plots, the tables and the results of a run.

    Raises:
        OutputError: The folder cannot be written.
    """
    save_network(prepared, folder / "model.safetensors")
    (folder / "plots").mkdir(exist_ok=True)
    save_figure(loss_figure(folder / "metrics.csv", record.stages), folder / "plots" / "loss.png")
    save_figure(metrics_figure(folder / "metrics.csv", record), folder / "plots" / "metrics.png")
    write_text(folder / "per_class.csv", per_class_csv(record))
    shown = [tables(record), mistakes_table(record), per_class_table(record)]
    write_text(folder / "tables.txt", "\n\n".join(table for table in shown if table) + "\n")
    write_json(folder / details.FILE, details.details_of(counted(prepared.strategy.evaluator)))
    write_text(folder / model_card.FILE, card_of(prepared, record))
    # Last, so that a folder with results is a finished run.
    write_json(folder / RESULTS, record.as_json())


def tables(record: Record) -> str:
    """The tables to show at the end."""
    shown = results_table(record)
    return shown if record.checklist is None else f"{shown}\n\n{checklist_table(record.checklist)}"
