"""What only shows when the splits and the experiences of a stream are looked at together."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from scenarios.experience import Experience
from scenarios.samples.findings import Finding
from scenarios.samples.sample import Sample

_SPARSE = 16  # every 16th row and column tells nearly all images apart, at a hundredth of the cost

_Seen = tuple[Experience, str, Sample]
"""An experience, a split of it, and a sample there."""


def repeated_images(experiences: Sequence[Experience]) -> list[Finding]:
    """Find images that are there more than once, pixel by pixel, whatever their names.

    Fatal is one in the train and in the val split of one experience, or of experiences from one path: what was learned
    cannot be scored on. One that is twice in a split, or in experiences from different paths, is only worth knowing.
    A file that several experiences from one path read for the same split is no finding.
    """
    findings = []
    alike: dict[tuple, list[_Seen]] = defaultdict(list)
    for experience in experiences:
        for split, samples in _splits(experience):
            for sample in samples:
                key = (sample.image.shape, sample.image[:, ::_SPARSE, ::_SPARSE].numpy().tobytes())
                same = [seen for seen in alike[key] if torch.equal(seen[2].image, sample.image)]
                # One of a kind for each experience and split is enough to compare with.
                if not any(seen[0] is experience and seen[1] == split for seen in same):
                    alike[key].append((experience, split, sample))
                finding = _repetition(experience, split, sample, same)
                if finding is not None:
                    findings.append(finding)
    return findings


def _repetition(experience: Experience, split: str, sample: Sample, same: Sequence[_Seen]) -> Finding | None:
    """What is to be said of a sample whose image was seen before."""
    related = [seen for seen in same if _same_path(seen[0], experience)]
    learned = [seen for _, where, seen in related if where != split]
    if learned:
        problem = f"the same image as {learned[0].name}: what was learned cannot be scored on; remove one of them"
        return Finding(Path(sample.name), problem, fatal=True)
    if any(seen.name == sample.name for _, _, seen in related):
        return None  # the same file, read for another experience
    if same:
        own = [seen for of, _, seen in same if of is experience]
        other, where, first = same[0]
        problem = f"{own[0].name}: it counts twice" if own else f"{first.name}: it is in {other.name} {where} too"
        return Finding(Path(sample.name), f"the same image as {problem}", fatal=False)
    return None


def _same_path(one: Experience, other: Experience) -> bool:
    return one is other or (one.root is not None and one.root == other.root)


def absent_classes(experience: Experience) -> list[Finding]:
    """Find the classes of which a split has no example; they can be neither learned nor scored there."""
    kind, classes = experience.kind, experience.classes
    background = kind.always_there(classes)  # no class to have examples of
    findings = []
    for split, samples in _splits(experience):
        present = set().union(*(kind.classes_in(sample.annotation, classes) for sample in samples))
        absent = [name for index, name in enumerate(classes) if index not in present and name not in background]
        if samples and absent:
            problem = f"{experience.name} {split} has no example of {', '.join(absent)}"
            findings.append(Finding(Path(samples[0].name).parent, problem, fatal=False))
    return findings


def _splits(experience: Experience) -> tuple[tuple[str, Sequence[Sample]], ...]:
    return ("train", experience.train), ("val", experience.val)
