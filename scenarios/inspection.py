"""What only shows when the splits and the tasks of a data folder are looked at together."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from onehead_avl.tasks import Task
from scenarios.findings import Finding
from scenarios.sample import Sample, TaskData

_SPARSE = 16  # every 16th row and column tells nearly all pictures apart, at a hundredth of the cost


def repeated_pictures(data: Sequence[TaskData]) -> list[Finding]:
    """Find pictures that are there more than once, pixel by pixel, whatever their names.

    Fatal is one in the train and the val split of the same task: what was learned cannot be scored on. One that is
    twice in a split, or in two tasks, is only worth knowing.
    """
    findings = []
    alike: dict[tuple, list[tuple[Task, str, Sample]]] = defaultdict(list)
    for part in data:
        for split, samples in _splits(part):
            for sample in samples:
                key = (sample.image.shape, sample.image[:, ::_SPARSE, ::_SPARSE].numpy().tobytes())
                same = [other for other in alike[key] if torch.equal(other[2].image, sample.image)]
                if same:
                    findings.append(_repetition(part.task, split, sample, same))
                # One of a kind for each task and split is enough to compare with.
                if (part.task, split) not in [other[:2] for other in same]:
                    alike[key].append((part.task, split, sample))
    return findings


def _repetition(task: Task, split: str, sample: Sample, same: Sequence[tuple[Task, str, Sample]]) -> Finding:
    learned = [other for of, where, other in same if of is task and where != split]
    if learned:
        problem = f"the same picture as {learned[0].name}: what was learned cannot be scored on; remove one of them"
        return Finding(Path(sample.name), problem, fatal=True)
    first_task, first_split, first = same[0]
    where = f"is in {first_task.title} {first_split} too" if first_task is not task else "counts twice"
    return Finding(Path(sample.name), f"the same picture as {first.name}: it {where}", fatal=False)


def absent_classes(part: TaskData) -> list[Finding]:
    """Find the classes of which a split has no example; they can be neither learned nor scored there."""
    findings = []
    for split, samples in _splits(part):
        present = set().union(*map(_classes_in, samples))
        absent = [name for index, name in enumerate(part.classes) if index not in present]
        if samples and absent:
            problem = f"{part.task.title} {split} has no example of {', '.join(absent)}"
            findings.append(Finding(Path(samples[0].name).parent, problem, fatal=False))
    return findings


def _classes_in(sample: Sample) -> set[int]:
    if sample.mask is not None:
        return set(torch.bincount(sample.mask.flatten()).nonzero().flatten().tolist())
    return set(sample.labels.tolist()) if sample.labels is not None else {sample.label}


def _splits(part: TaskData) -> tuple[tuple[str, list[Sample]], ...]:
    return ("train", part.train), ("val", part.val)
