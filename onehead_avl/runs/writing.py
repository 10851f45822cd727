"""The last step of a run: its record becomes files."""

from pathlib import Path

from onehead_avl.evaluation.record import Record
from onehead_avl.model.saved import save_model
from onehead_avl.report.plots import plot_loss, plot_metrics
from onehead_avl.report.table import checklist_table, mistakes_table, per_class_csv, per_class_table, results_table
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
    plot_loss(folder / "plots" / "loss.png", folder / "metrics.csv", record.stages)
    plot_metrics(folder / "plots" / "metrics.png", folder / "metrics.csv", record)
    write_text(folder / "per_class.csv", per_class_csv(record))
    shown = [tables(record), mistakes_table(record), per_class_table(record)]
    write_text(folder / "tables.txt", "\n\n".join(table for table in shown if table) + "\n")
    # Last, so that a folder with results is a finished run.
    write_json(folder / RESULTS, record.as_json())


def tables(record: Record) -> str:
    """The tables to show at the end."""
    shown = results_table(record)
    return shown if record.checklist is None else f"{shown}\n\n{checklist_table(record.checklist)}"
