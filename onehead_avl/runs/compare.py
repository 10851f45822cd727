"""The comparison: every strategy, order and seed in turn; what fails does not stop the others, what is done is kept."""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onehead_avl.errors import OneHeadError, OutputError, Stopped, TrainingError
from onehead_avl.report.comparison import Comparison, Run, as_csv, as_json, compare
from onehead_avl.report.comparison_plots import plot_comparison
from onehead_avl.report.comparison_table import console, markdown
from onehead_avl.runs.baselines import BaselineCache, single_task_of
from onehead_avl.runs.config import Config, Resolved
from onehead_avl.runs.plan import RESULTS, Planned, claim, ended_run, plan
from onehead_avl.runs.run import run
from onehead_avl.runs.writing import tables
from onehead_avl.system.files import write_json, write_text
from onehead_avl.system.importing import import_attribute
from scenarios.experience import Stream
from strategies.named import is_baseline


def compare_strategies(config: Config, folder: Path, stream: Stream, cache: BaselineCache) -> None:
    """Run what is not finished yet, and write the comparison of all that the folder holds.

    Args:
        config: Checked.
        folder: An existing folder, of this comparison or empty.
        stream: What is learned.
        cache: Finds baselines that were computed before.

    Raises:
        UsageError: The folder was begun with another configuration, or an import path leads nowhere.
        OutputError: The folder cannot be written, or holds results that cannot be read.
        TrainingError: A run failed; everything else is written first.
    """
    for path in config.imported:
        import_attribute(path)  # a wrong path is refused now, not after the runs before it
    claim(folder, config)
    runs = plan(config, folder)
    for planned in runs:
        planned.results()  # hyper-parameters that differ from those of a finished run are refused now, too
    _ended(folder, runs)  # and what other runs left there and cannot be read
    for position, planned in enumerate(runs, start=1):
        title = f"[{position}/{len(runs)}] {planned.strategy}, seed {planned.seed}: {' -> '.join(planned.config.order)}"
        if planned.results() is not None:
            print(f"{title}: finished before")
            continue
        print(title, flush=True)
        _run_one(planned, stream, cache)
    comparison = _write(folder, runs)
    print(f"\n{console(comparison)}\n\nwritten to {folder}\n")
    failed = [planned for planned in runs if planned.results() is None]
    if failed:
        names = ", ".join(sorted({planned.strategy for planned in failed}))
        raise TrainingError(
            f"{len(failed)} runs failed, of {names}; the reasons stand above, and the same command tries them again"
        )


def run_and_keep(config: Resolved, stream: Stream, folder: Path, cache: BaselineCache) -> str:
    """Run one strategy with one seed, and keep it if it is a baseline.

    Args:
        config: With one strategy and one seed.
        stream: What is learned.
        folder: An existing, empty folder.
        cache: Where baselines are kept.

    Returns:
        The tables to show.
    """
    (strategy,), (seed,) = config.strategy, config.seeds
    record = run(config, stream, folder, single_task=cache.single_task(config, seed))
    if is_baseline(strategy):
        cache.keep(config, strategy, seed, record)
    return tables(record)


def _run_one(planned: Planned, stream: Stream, cache: BaselineCache) -> None:
    """Do a run, or take a baseline from the cache; note why it failed if it does."""
    planned.begin()
    known = cache.find(planned.config, planned.strategy, planned.seed) if is_baseline(planned.strategy) else None
    if known is not None:
        print("computed before, by another command with the same configuration")
        write_json(planned.folder / RESULTS, known.as_json())
        return
    try:
        run_and_keep(planned.config, stream, planned.folder, cache)
    except (OutputError, Stopped):  # no other strategy would do better
        raise
    except OneHeadError as error:
        reason = str(error)
    except Exception as error:  # a strategy is anybody's code
        (planned.folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        reason = f"{type(error).__name__}: {error} (see {planned.folder / 'traceback.txt'})"
    else:
        return
    print(f"failed: {reason}", file=sys.stderr)
    planned.fail(reason)


def _write(folder: Path, first: Sequence[Planned]) -> Comparison:
    """Write the comparison of every run in the folder that has ended, the given ones first."""
    ended = _ended(folder, first)
    baselines = {run.seed: single_task_of(run.record) for run in ended if run.record and run.record.separate}
    comparison = compare(
        [
            run if run.record is None else replace(run, record=run.record.with_single_task(baselines.get(run.seed)))
            for run in ended
        ]
    )
    write_text(folder / "comparison.csv", as_csv(comparison))
    write_text(folder / "comparison.md", markdown(comparison))
    write_json(folder / "comparison.json", as_json(comparison))
    (folder / "plots").mkdir(exist_ok=True)
    plot_comparison(folder / "plots", comparison)
    return comparison


def _ended(folder: Path, first: Sequence[Planned]) -> list[Run]:
    """Every run in the folder that has ended, the given ones first."""
    others = sorted(child for child in folder.iterdir() if child.is_dir())
    folders = dict.fromkeys([*(planned.folder for planned in first), *others])
    return [run for each in folders if (run := ended_run(each)) is not None]
