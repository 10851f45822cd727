"""How good a recipe is on images that it did not learn, and whether it is better than another one.

    python -m benchmarks.crossvalidation FOLDER [--jobs N] -- OPTIONS OF THE BENCHMARK
    python -m benchmarks.crossvalidation FOLDER [OTHER ...]

The first command runs the benchmark with each fifth of a stream's training and validation images held out in turn, so
that every image is scored by a network that did not see it: 300 images say more than 60. Each run is a process of one
thread; those that ended are kept, and the same command goes on with the others. ``--order`` with a single experience is
one stage alone; of several ``--seeds``, values are the mean. Both commands show each value right after the experience's
own stage and after the last one, with its 95 % interval over images, and the second by how much the first folder
differs from each other one, on the same images. The loss of these images, which is better if it is lower, stands beside
the metrics: it often tells recipes apart that differ too little for those.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.folds import FOLDS, HeldOutLoss, Measured, difference, folded, pooled
from onehead_avl.benchmark import require_right
from onehead_avl.command import run_command
from onehead_avl.errors import TrainingError, UsageError
from onehead_avl.evaluation.intervals import count
from onehead_avl.evaluation.record import Record
from onehead_avl.kinds.kind import Metric, Together
from onehead_avl.model.layout import Part
from onehead_avl.model.saved import load_model
from onehead_avl.report.table import layout_table, number, span
from onehead_avl.runs.config import Config, Resolved
from onehead_avl.runs.identity import Identities, other_results
from onehead_avl.runs.plan import record_in
from onehead_avl.runs.run import run
from onehead_avl.runs.stages import STAGES
from scenarios.dataset import EvaluationSet
from scenarios.reading import read_stream

RECIPE = "recipe.json"
"""The options of the benchmark that a folder was made with."""

Metrics = dict[str, dict[int, Metric]]
"""By moment and seed: each counts the images of all folds."""


def main() -> None:
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = words[end + 1 :]
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crossvalidation", description=__doc__, formatter_class=form
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time; default: 1")
    parser.add_argument("--run", nargs=2, type=int, metavar=("SEED", "FOLD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(words[:end])
    if arguments.jobs < 1:
        raise UsageError(f"--jobs expects at least 1, got {arguments.jobs}")
    if options and len(arguments.folders) > 1:
        raise UsageError("expected one folder before the options of the benchmark; compare folders without options")
    folder = arguments.folders[0]
    if arguments.run is not None:
        _run(_config(folder), folder, *arguments.run)
        return
    if options:
        _note_recipe(folder, options)
        _run_all(folder, arguments.jobs)
    _show(arguments.folders)


def _note_recipe(folder: Path, options: Sequence[str]) -> None:
    """Keep the options with which a folder is made, and refuse others and wrong ones."""
    config = Config.from_arguments(options)
    require_right(config)
    if config.but(seeds=config.seeds[:1]).is_comparison:
        raise UsageError(
            "expected one strategy, one order and one value of each hyper-parameter; use a folder for each"
        )
    file = folder / RECIPE
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_text(json.dumps(list(options)), encoding="utf-8")
    if (before := json.loads(file.read_text(encoding="utf-8"))) != list(options):
        raise UsageError(f"{folder} is of other options, {' '.join(before)}; choose another folder")


def _config(folder: Path) -> Resolved:
    file = folder / RECIPE
    if not file.exists():
        raise UsageError(f"{folder}: expected a folder that this program made, found no {RECIPE}; give its options")
    config = Config.from_arguments(json.loads(file.read_text(encoding="utf-8")))
    return config.but(keep_stages=True, resume=True).resolved()


def _runs(config: Resolved) -> list[tuple[int, int]]:
    """Seed and fold of each run."""
    return [(seed, fold) for seed in config.seeds for fold in range(FOLDS)]


def _place(folder: Path, seed: int, fold: int) -> Path:
    return folder / f"seed{seed}_fold{fold}"


def _run_all(folder: Path, jobs: int) -> None:
    """Do the runs that did not end yet, several at a time, and say how far they are."""
    config = _config(folder)
    runs = _runs(config)
    waiting = [run for run in runs if record_in(_place(folder, *run)) is None]
    _refuse_others(config, folder, [run for run in runs if run not in waiting])
    failed = []
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(runs), initial=len(runs) - len(waiting), unit="run") as bar:
        for (seed, fold), status in zip(waiting, pool.map(partial(_process, folder), waiting), strict=True):
            bar.update()
            if status:
                failed.append(f"{_place(folder, seed, fold)}.log")
    if failed:
        raise TrainingError(f"{len(failed)} runs failed; the reasons stand in {', '.join(failed)}")


def _refuse_others(config: Resolved, folder: Path, ended: Sequence[tuple[int, int]]) -> None:
    """Refuse to go on beside results of another program or of other data."""
    stream = read_stream(config.placed(), lambda line: None) if ended else None
    for seed, fold in ended:
        assert stream is not None
        record = _ended(place := _place(folder, seed, fold))
        now = Identities(folded(stream, fold)).of(config.but(seeds=(seed,)))
        if changed := other_results(record.depends_on, now):
            raise UsageError(f"{place}: holds results of before {', '.join(changed)} changed; choose another folder")


def _process(folder: Path, run: tuple[int, int]) -> int:
    """Do one run in a process of its own, and give back its exit status."""
    place = _place(folder, *run)
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.crossvalidation", str(folder), "--run", *map(str, run)]
    with Path(f"{place}.log").open("w", encoding="utf-8") as log:
        return subprocess.call(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _run(config: Resolved, folder: Path, seed: int, fold: int) -> None:
    """Learn without a fold."""
    config = config.but(seeds=(seed,))
    stream = folded(read_stream(config.placed(), print), fold)
    run(config, stream, _place(folder, seed, fold), Identities(stream).of(config))


def _show(folders: Sequence[Path]) -> None:
    """Print the values of each folder, and how the first differs from each other one.

    Raises:
        UsageError: They are of other data.
    """
    for folder in folders[1:]:
        if _data_of(folder) != _data_of(folders[0]):
            raise UsageError(f"{folder} is of other data than {folders[0]}; compare folders of the same images")
    found = [measured(folder) for folder in folders]
    for folder, metrics in zip(folders, found, strict=True):
        rows = [["value", "of all images", "95 % interval"]]
        for moment, of_seeds in metrics.items():
            rows += _rows(moment, pooled(list(of_seeds.values())))
        print(f"\n{folder}\n\n{layout_table(rows)}")
    for folder, metrics in zip(folders[1:], found[1:], strict=True):
        rows = [["value", "higher by", "95 % interval"]]
        for moment in [moment for moment in found[0] if moment in metrics]:
            both = (list(of_seeds[moment].values()) for of_seeds in (found[0], metrics))
            rows += _rows(moment, difference(*both))
        print(f"\n{folders[0]} against {folder}\n\n{layout_table(rows)}")


def _data_of(folder: Path) -> str:
    """The checksum of the images that the first run of a folder learned and was measured on."""
    return _ended(_place(folder, *_runs(_config(folder))[0])).depends_on["the data"]


def _ended(place: Path) -> Record:
    record = record_in(place)
    if record is None:
        raise UsageError(f"{place}: expected a run that ended, found none; give the options of the benchmark again")
    return record


def _rows(moment: str, values: Measured) -> list[list[str]]:
    return [[f"{moment} {name}", number(value), span(interval, ".4f")] for name, (value, interval) in values.items()]


def measured(folder: Path) -> Metrics:
    """Measure the networks that the runs of a folder kept, each on the images that it did not learn.

    Raises:
        UsageError: A run has not ended.
    """
    config = _config(folder)
    stream = read_stream(config.placed(), lambda line: None)
    metrics: Metrics = {}
    for seed, fold in tqdm(_runs(config), desc=f"measuring {folder}", leave=False):
        held_out = folded(stream, fold)
        for moment, name, network in _networks(_place(folder, seed, fold)):
            task = stream.task(name)
            part, experience = stream.layout.parts[task], held_out.experiences[task]
            metric = metrics.setdefault(moment, {}).setdefault(seed, _metric(part))
            count(network, EvaluationSet(experience.val, task, config.image_size), part, metric, config.batch_size)
    return metrics


def _metric(part: Part) -> Metric:
    return Together([part.kind.metric(part.classes), HeldOutLoss(part.kind, part.classes)])


def _networks(place: Path) -> Iterator[tuple[str, str, nn.Module]]:
    """A name for each moment at which an experience is measured, the experience, and the network of then."""
    record = _ended(place)
    files = sorted((place / STAGES).iterdir(), key=lambda file: int(file.name.partition("_")[0]))
    networks = [load_model(file).model.to(memory_format=torch.channels_last) for file in files]
    for stage, network in zip(record.stages, networks, strict=True):
        for name in stage.experiences:
            yield f"{name} after its stage", name, network
    if not record.separate:
        for name in record.order:
            yield f"{name} at the end", name, networks[-1]


if __name__ == "__main__":
    sys.exit(run_command(main))
