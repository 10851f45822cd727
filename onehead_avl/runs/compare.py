"""The comparison: every strategy, order and seed in turn; what fails does not stop the others, what is done is kept."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from onehead_avl.checkpoint.plugin import require_same
from onehead_avl.checkpoint.store import Damaged, Store
from onehead_avl.errors import OneHeadError, OutputError, Stopped, TrainingError
from onehead_avl.evaluation.record import Record
from onehead_avl.report.comparison import Comparison, Run, as_csv, as_json
from onehead_avl.report.comparison_plots import plot_comparison
from onehead_avl.report.comparison_table import console, markdown
from onehead_avl.runs.added import add_runs
from onehead_avl.runs.baselines import BaselineCache
from onehead_avl.runs.config import Config, Resolved
from onehead_avl.runs.identity import Identities, continued, other_place
from onehead_avl.runs.plan import CHECKPOINTS, RESULTS, Planned, claim, ended_run, plan, record_in, runs_beside
from onehead_avl.runs.reporting import comparison_of, write_report
from onehead_avl.runs.run import run
from onehead_avl.runs.writing import tables
from onehead_avl.system.files import write_json, write_text
from onehead_avl.system.importing import import_attribute
from scenarios.experience import Stream
from strategies.named import is_baseline


def compare_strategies(
    config: Config, folder: Path, stream: Stream, identities: Identities, cache: BaselineCache
) -> None:
    """Run what is not finished yet, and write the comparison of all that the folder holds.

    Args:
        config: Checked.
        folder: An existing folder, of this comparison or empty.
        stream: What is learned.
        identities: What runs depend on.
        cache: Finds baselines that were computed before.

    Raises:
        UsageError: The folder was begun with another configuration, holds results of something else, or an import path
            leads nowhere.
        OutputError: The folder cannot be written, or holds results that cannot be read.
        TrainingError: A run failed; everything else is written first.
    """
    for path in config.imported:
        import_attribute(path)  # a wrong path is refused now, not after the runs before it
    claim(folder, config)
    add_runs(config.add, config, folder, identities)
    runs = plan(config, folder)
    _refuse_others(runs, identities, resume=config.resume)
    _refuse_others_beside(runs, config, folder, identities)
    left = []
    for position, planned in enumerate(runs, start=1):
        title = f"[{position}/{len(runs)}] {planned.title}, seed {planned.seed}: {' -> '.join(planned.config.order)}"
        depends_on = identities.of(planned.config)
        if (record := planned.results(depends_on)) is not None:
            print(f"{title}: finished before{_elsewhere(record, depends_on)}")
            if is_baseline(planned.strategy) and record.depends_on == depends_on:  # it ended just before it was kept
                cache.keep(planned.config, planned.strategy, planned.seed, record)
        elif _found(planned, cache):
            print(f"{title}: computed before, by another command with the same configuration")
        elif config.is_parallel:
            left.append(planned)
        else:
            print(title, flush=True)
            _run_one(planned, stream, identities, cache)
    if left:
        from onehead_avl.runs.parallel import run_in_parallel  # Dask is not always installed

        run_in_parallel(config, left)
    comparison = _write(folder, runs)
    print(f"\n{console(comparison)}\n\nwritten to {folder}\n")
    failed = [planned for planned in runs if record_in(planned.folder) is None]
    if failed:
        names = ", ".join(sorted({planned.strategy for planned in failed}))
        raise TrainingError(
            f"{len(failed)} runs failed, of {names}; the reasons stand above, and the same command tries them again"
        )


def run_and_keep(config: Resolved, stream: Stream, folder: Path, identities: Identities, cache: BaselineCache) -> str:
    """Run one strategy with one seed, and keep it if it is a baseline.

    Args:
        config: With one strategy and one seed.
        stream: What is learned.
        folder: An existing, empty folder.
        identities: What runs depend on.
        cache: Where baselines are kept.

    Returns:
        The tables to show.
    """
    (strategy,), (seed,) = config.strategy, config.seeds
    record = run(config, stream, folder, identities.of(config), single_task=cache.single_task(config, seed))
    if is_baseline(strategy):
        cache.keep(config, strategy, seed, record)
    return tables(record)


def _refuse_others(runs: Sequence[Planned], identities: Identities, *, resume: bool) -> None:
    """Refuse results and checkpoints of something else now, rather than after the runs before them."""
    for planned in runs:
        depends_on = identities.of(planned.config)
        if planned.results(depends_on) is None and resume:
            checkpoints = Store(planned.folder / CHECKPOINTS)
            now = continued(planned.config, depends_on)
            for name in checkpoints.names():
                with suppress(Damaged):  # which is said where the run is continued
                    require_same(planned.folder, checkpoints.read(name)["identity"], now)


def _refuse_others_beside(runs: Sequence[Planned], config: Config, folder: Path, identities: Identities) -> None:
    """Refuse what other folders hold if it cannot stand in the same table, and say of the rest where it comes from."""
    for planned in runs_beside(runs, config, folder):
        depends_on = identities.of(planned.config)
        record = planned.results(depends_on, any_options=True)  # --set says nothing of strategies not asked for
        if record is not None and (elsewhere := _elsewhere(record, depends_on)):
            print(f"note: {planned.folder.name}: finished before{elsewhere}", file=sys.stderr)


def _elsewhere(record: Record, depends_on: Mapping[str, Any]) -> str:
    """Where results were computed, as far as that was another place."""
    changed = other_place(record.depends_on, depends_on)
    said = "; ".join(f"{name} {old or 'absent'}, now {new or 'absent'}" for name, (old, new) in changed.items())
    return f", with {said}" if said else ""


def _found(planned: Planned, cache: BaselineCache) -> bool:
    """Take a baseline from the cache, if it is there."""
    known = cache.find(planned.config, planned.strategy, planned.seed) if is_baseline(planned.strategy) else None
    if known is not None:
        planned.begin()
        write_json(planned.folder / RESULTS, known.as_json())
    return known is not None


def _run_one(planned: Planned, stream: Stream, identities: Identities, cache: BaselineCache) -> None:
    """Do a run; note why it failed if it does."""
    planned.begin()
    try:
        run_and_keep(planned.config, stream, planned.folder, identities, cache)
    except (OutputError, Stopped):  # no other strategy would do better
        raise
    except OneHeadError as error:
        reason = str(error) if error.shown is None else f"{error} (see {_traceback(planned, error.shown)})"
    except Exception as error:  # a strategy is anybody's code
        reason = f"{type(error).__name__}: {error} (see {_traceback(planned, error)})"
    else:
        return
    print(f"failed: {reason}", file=sys.stderr)
    planned.fail(reason)


def _traceback(planned: Planned, error: BaseException) -> Path:
    """Write where an error was raised, and say where that is written."""
    file = planned.folder / "traceback.txt"
    file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return file


def _write(folder: Path, first: Sequence[Planned]) -> Comparison:
    """Write the comparison of every run in the folder that has ended, the given ones first."""
    ended = _ended(folder, first)
    comparison = comparison_of(ended)
    write_text(folder / "comparison.csv", as_csv(comparison))
    write_text(folder / "comparison.md", markdown(comparison))
    write_json(folder / "comparison.json", as_json(comparison))
    (folder / "plots").mkdir(exist_ok=True)
    plot_comparison(folder / "plots", comparison)
    write_report(folder)
    return comparison


def _ended(folder: Path, first: Sequence[Planned]) -> list[Run]:
    """Every run in the folder that has ended, the given ones first."""
    others = sorted(child for child in folder.iterdir() if child.is_dir())
    folders = dict.fromkeys([*(planned.folder for planned in first), *others])
    return [run for each in folders if (run := ended_run(each)) is not None]
