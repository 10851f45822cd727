"""Reports of folders: what a run or a comparison has left there becomes a page that people read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onehead_avl.errors import OutputError, UsageError
from onehead_avl.evaluation.record import Record
from onehead_avl.report import details
from onehead_avl.report.comparison import Comparison, Run, compare, named_apart
from onehead_avl.report.page.comparison_page import comparison_page
from onehead_avl.report.page.run_page import run_page
from onehead_avl.report.shown import FILE, read_shown
from onehead_avl.runs.baselines import with_baselines
from onehead_avl.runs.command_line import command_of
from onehead_avl.runs.plan import ended_run, read_written, record_in
from onehead_avl.system.files import write_text
from strategies.named import SINGLE_TASK

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write the report of a finished run or of a comparison from the files in its folder.

    Returns:
        The file.

    Raises:
        UsageError: The folder holds neither.
        OutputError: A file there cannot be read, or the report cannot be written.
    """
    record = record_in(folder) if folder.is_dir() else None
    if record is not None:
        text = _run_page(folder, record)
    elif runs := runs_in(folder):
        text = _comparison_page(folder, runs)
    else:
        raise UsageError(f"expected the folder of a finished run or of a comparison, found neither at {folder}")
    write_text(folder / REPORT, text)
    return folder / REPORT


def runs_in(folder: Path) -> dict[Path, Run]:
    """Every run below a folder that has ended, well or not, by its own folder: strategies as they were asked for."""
    folders = sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []
    runs = {each: run for each in folders if (run := ended_run(each)) is not None}
    asked = [SINGLE_TASK, *(read_written(folder / "config.json") or {}).get("strategy", ())]
    return dict(sorted(runs.items(), key=lambda pair: [*asked, pair[1].strategy].index(pair[1].strategy)))


def comparison_of(runs: Iterable[Run]) -> Comparison:
    """Compare runs: strategies of several hyper-parameters by names that tell, all beside the single-task values."""
    return compare(_named(runs))


def _named(runs: Iterable[Run]) -> list[Run]:
    return named_apart(with_baselines(list(runs)))


def _run_page(folder: Path, record: Record) -> str:
    metrics_csv = folder / "metrics.csv"
    if not metrics_csv.exists():
        raise OutputError(f"{metrics_csv}: expected the values of the run over time, found no such file; run it again")
    return run_page(record, metrics_csv, read_shown(folder / FILE), _details(folder), _about(folder))


def _comparison_page(folder: Path, runs: Mapping[Path, Run]) -> str:
    named = _named(runs.values())
    comparison = compare(named)
    places = {(run.strategy, run.order, run.seed): place for place, run in zip(runs, named, strict=True)}
    finished = [(entry, run, run.record) for entry in comparison.entries for run in entry.finished]
    seed = min((run.seed for _, run, _ in finished), default=None)
    pictures = {
        comparison.called(entry): (record, read_shown(places[run.strategy, run.order, run.seed] / FILE))
        for entry, run, record in finished
        if run.seed == seed and record is not None
    }
    return comparison_page(comparison, pictures, seed, _about(folder))


def _details(folder: Path) -> dict[str, Any]:
    """The curves and confusions of a run; nothing if it left none."""
    file = folder / details.FILE
    found = read_written(file) or {}
    if not all(isinstance(each, dict) and {"precision_recall", "confusion"} <= each.keys() for each in found.values()):
        raise OutputError(f"{file}: expected the curves and confusions of a run, found other content; remove it")
    return found


def _about(folder: Path) -> dict[str, str]:
    """The command and the configuration of a folder, by title; nothing if it does not say."""
    config = read_written(folder / "config.json")
    return {"Command": command_of(config), "Configuration": json.dumps(config, indent=2)} if config else {}
