"""The pictures of a run's report: noted while it learns, chosen when it has ended."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
import torch

from onehead_avl.evaluation.record import Record
from onehead_avl.evaluation.shown import ShownPredictions, candidates, read_arrays
from onehead_avl.report.shown import FILE, ShownPicture, choose, write_shown
from onehead_avl.runs.preparation import Prepared

PREDICTIONS = "predictions"
"""The folder of what was predicted after each stage, while a run is under way."""


def watched(prepared: Prepared) -> ShownPredictions:
    """The plugin that notes what is predicted for the candidates."""
    vals = [each.val for each in prepared.stream.experiences]
    chosen = {task: {each: vals[task][each] for each in positions} for task, positions in _drawn(prepared).items()}
    return ShownPredictions(prepared.stream.layout, chosen)


def after_stage(folder: Path, number: int) -> Path:
    """The file of what was predicted after a stage, counted from 1."""
    return folder / PREDICTIONS / f"{number}.npz"


def keep_shown(prepared: Prepared, record: Record, folder: Path) -> None:
    """Choose what a report shows, write it, and remove the rest.

    Raises:
        OutputError: The file cannot be written.
    """
    files = [after_stage(folder, number) for number in range(1, len(record.stages) + 1)]
    if not all(file.exists() for file in files):  # a run that was interrupted after this has done it
        return
    found = [read_arrays(file) for file in files]
    pictures = [
        picture
        for task, positions in _drawn(prepared).items()
        if (name := prepared.stream.names[task]) in record.order
        for picture in _pictures(prepared, record, name, positions, found)
    ]
    write_shown(folder / FILE, pictures)
    shutil.rmtree(folder / PREDICTIONS)


def _drawn(prepared: Prepared) -> dict[int, list[int]]:
    """The positions of the candidates of each experience by its task label, as the seed drew them."""
    return {task: candidates(len(each.val), prepared.seed) for task, each in enumerate(prepared.stream.experiences)}


def _pictures(
    prepared: Prepared,
    record: Record,
    name: str,
    positions: Sequence[int],
    found: Sequence[Mapping[str, numpy.ndarray]],
) -> list[ShownPicture]:
    """The pictures of one experience."""
    known = [position for position in positions if all(f"{name}/{position}" in each for each in found)]
    values = {position: tuple(_value(each[f"{name}/{position}"]) for each in found) for position in known}
    (outcome,) = (each for each in record.outcomes if each.measure.experience == name and each.measure.primary)
    samples = prepared.stream.experiences[prepared.stream.task(name)].val
    meant = [not record.separate or stage == outcome.own for stage in range(len(found))]
    pictures = []
    for position, lost in choose(values, outcome.own, outcome.measure).items():
        begin = f"{name}/{position}/"
        after = [
            {full.removeprefix(begin): torch.from_numpy(part) for full, part in each.items() if full.startswith(begin)}
            for each in found
        ]
        pictures.append(
            ShownPicture(
                experience=name,
                name=str(samples[position].name),
                image=samples[position].image,
                annotation={part: torch.as_tensor(value) for part, value in samples[position].annotation.items()},
                predictions=tuple(parts if means else None for parts, means in zip(after, meant, strict=True)),
                values=tuple(value if means else None for value, means in zip(values[position], meant, strict=True)),
                lost=lost,
            )
        )
    return pictures


def _value(array: numpy.ndarray) -> float | None:
    value = float(array)
    return None if value != value else value
