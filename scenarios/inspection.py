"""What only shows when the splits and the experiences of a stream are looked at together."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from onehead_avl.kinds.kind import Kind
from scenarios.experience import Experience
from scenarios.samples.findings import LEFT_OUT, Finding
from scenarios.samples.sample import Sample

_Seen = tuple[Experience, str, Sample]
"""An experience, a split of it, and a sample there."""


def repeated_images(experiences: Sequence[Experience]) -> list[Finding]:
    """Find images that are there more than once, pixel by pixel, whatever their names.

    Fatal is one in the train and in the val split of one experience, or of experiences from one path: what was learned
    cannot be scored on. One that is twice in a split, or in experiences from different paths, is only worth knowing.
    A file that several experiences from one path read for the same split is no finding.
    """
    findings = []
    alike: dict[str, list[_Seen]] = defaultdict(list)
    for experience in experiences:
        for split, samples in _splits(experience):
            for sample in samples:
                same = alike[sample.digest]
                # One of a kind for each experience and split is enough to compare with.
                finding = _repetition(experience, split, sample, same)
                if not any(seen[0] is experience and seen[1] == split for seen in same):
                    same.append((experience, split, sample))
                if finding is not None:
                    findings.append(finding)
    return findings


def _repetition(experience: Experience, split: str, sample: Sample, same: Sequence[_Seen]) -> Finding | None:
    """What is to be said of a sample whose image was seen before."""
    related = [seen for seen in same if _same_path(seen[0], experience)]
    learned = [seen for _, where, seen in related if where != split]
    if learned:
        problem = f"the same image as {learned[0].name}: what was learned cannot be scored on; remove one of them"
        return Finding(Path(sample.name), problem, repair=LEFT_OUT)
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
    return [
        finding
        for split, samples in _splits(experience)
        for finding in absent_from(samples, f"{experience.name} {split}", kind, classes)
    ]


def absent_from(samples: Sequence[Sample], called: str, kind: Kind, classes: Sequence[str]) -> list[Finding]:
    """Find the classes of which some samples have no example.

    Args:
        samples: Of one split.
        called: What messages call the split.
        kind: Their kind of task.
        classes: Class names in index order.
    """
    background = kind.always_there(classes)  # no class to have examples of
    present = set().union(*(kind.classes_in(sample.brief, classes) for sample in samples))
    absent = [name for index, name in enumerate(classes) if index not in present and name not in background]
    if not samples or not absent:
        return []
    problem = f"{called} has no example of {', '.join(absent)}"
    return [Finding(Path(samples[0].name).parent, problem, fatal=False)]


def _splits(experience: Experience) -> tuple[tuple[str, Sequence[Sample]], ...]:
    return ("train", experience.train), ("val", experience.val)
