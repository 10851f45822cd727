"""The images of a stream: each described experience read by the reader of its layout, all findings in one pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import Kind, kind_of
from onehead_avl.system.collector import collector_paused
from scenarios.challenge import FOLDERS
from scenarios.described import Described, Description, Share
from scenarios.domains import DOMAINS
from scenarios.experience import Experience, Stream
from scenarios.inspection import absent_classes, absent_from, repeated_images
from scenarios.keeping import keep_decoded
from scenarios.layouts import Reader, reader_of
from scenarios.samples.findings import Fault, Finding, collecting, note_lines, refuse_fatal
from scenarios.samples.sample import Annotation, Sample
from scenarios.samples.source import Source

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Set:
    """A data set as it is on disk, before any of its classes are chosen.

    Attributes:
        key: What tells it from others: layout, kind and source.
        whole: All of it, as an experience.
        broken: Whether something fatal was found in it.
    """

    key: tuple[str, str, Source]
    whole: Experience
    broken: bool


def read_stream(description: Description, tell: Tell, memory: int | None = None) -> Stream:
    """Read both splits of all experiences: images are checked now, and decoded when they are asked for.

    Args:
        description: Placed by :meth:`~scenarios.described.Description.on`.
        tell: Is given a line for each layout that was recognised, each number of images left out, and each finding
            that is only worth knowing.
        memory: Bytes of decoded images to keep; by default as :func:`~scenarios.keeping.keep_decoded` says.

    Raises:
        UsageError: There is no data folder; a kind or a reader cannot be imported; experiences share a head but
            differ; the memory cannot be had.
        DataError: Something is missing or cannot be used, or an experience is left without images; the message names
            every such finding.
    """
    with collector_paused():
        experiences, sets, findings = _read_all(description, tell)
        findings += repeated_images([each.whole for each in sets if each.whole.root is not None])
        for experience in experiences:
            findings += absent_classes(experience)
    findings = list(dict.fromkeys(findings))
    for line in note_lines(findings):
        tell(line)
    refuse_fatal(_place(description), findings, _way_out(description))
    keep_decoded(experiences, memory)
    return Stream(description.name, tuple(experiences))


def inspect(description: Description, tell: Tell) -> tuple[list[Experience], list[Finding]]:
    """Read what can be read of a stream, and say what is wrong with each of its data sets, or worth knowing.

    Args:
        description: Placed by :meth:`~scenarios.described.Description.on`.
        tell: Is given a line for each layout that was recognised, and each number of images left out.

    Returns:
        The experiences, which are whole only if no finding is fatal; and the findings, each once.

    Raises:
        UsageError: There is no data folder, or a kind or a reader cannot be imported.
    """
    experiences, _, findings = _read_all(description, tell)
    return experiences, list(dict.fromkeys(findings))


def read_split(described: Described, split: str, classes: Sequence[str], tell: Tell) -> list[Sample]:
    """Read one split of an experience for a model that already knows its classes.

    Args:
        described: The experience, placed by :meth:`~scenarios.described.Description.on`; its other split may be absent.
        split: ``train`` or ``val``.
        classes: The model's class names in index order; those of the data are mapped onto them by name.
        tell: Is given a line for each finding that is only worth knowing.

    Raises:
        UsageError: A kind or a reader cannot be imported.
        DataError: Something is missing or cannot be used, there is no image, or the classes are not the model's; the
            message names every such finding.
    """
    kind = _kind(described)
    findings: list[Finding] = []
    samples: list[Sample] = []
    with collecting(findings):
        _, reader = reader_of(described, kind)
        if described.classes is None:
            samples, _ = reader(described.source, split, findings, classes)
        else:
            samples, own = reader(described.source, split, findings, None)
            learned = [name for name in classes if name not in kind.always_there(own)]
            samples = _selected(samples, described, kind, _new_indices(described, own, learned, classes))
        if not samples and not any(finding.fatal for finding in findings):
            findings.append(_empty(described, split))
    findings += absent_from(samples, f"{described.name} {split}", kind, classes)
    for line in note_lines(findings):
        tell(line)
    refuse_fatal(described.source.path or Path(described.where), findings)
    return _changed(samples, described.domain)


def require_data(root: Path) -> None:
    """Refuse a data folder that is not there.

    Raises:
        UsageError: There is no folder ``root``.
    """
    if not root.is_dir():
        *most, last = FOLDERS.values()
        raise UsageError(
            f"{root}: expected a folder with {', '.join(most)} and {last}, found no such folder; correct the path or "
            f"build one with python -m onehead_avl.prepare --root {root}"
        )


def _read_all(description: Description, tell: Tell) -> tuple[list[Experience], list[_Set], list[Finding]]:
    """Read what can be read; the experiences are whole only if no finding is fatal."""
    if description.file is None:
        for root in {each.source.path.parent for each in description.experiences if each.source.path is not None}:
            require_data(root)
    findings: list[Finding] = []
    sets: list[_Set] = []
    experiences: list[Experience] = []
    for described in description.experiences:
        kind = _kind(described)
        with collecting(findings):
            layout, reader = reader_of(described, kind)
            if described.format is None:
                tell(f"{described.name}: {layout} layout at {described.source.path}")
            key = layout, kind.path, described.source
            if key not in [each.key for each in sets]:
                sets.append(_read_set(described, key, kind, reader, findings))
            (of_it,) = (each for each in sets if each.key == key)
            if of_it.whole.classes or not of_it.broken:
                experiences.append(_experience(described, of_it, findings, tell))
    return experiences, sets, findings


def _read_set(described: Described, key: tuple, kind: Kind, reader: Reader, findings: list[Finding]) -> _Set:
    """Read both splits of a data set."""
    train: list[Sample] = []
    val: list[Sample] = []
    classes = None
    start = len(findings)
    with collecting(findings):
        train, classes = reader(described.source, "train", findings, None)
    with collecting(findings):
        val, classes = reader(described.source, "val", findings, classes)
    findings += _unwritable(described, classes or ())
    whole = Experience(described.name, kind, classes or (), train, val, described.name, described.source.path)
    return _Set(key, whole, any(finding.fatal for finding in findings[start:]))


def _unwritable(described: Described, classes: Sequence[str]) -> list[Finding]:
    """Refuse class names that no file could be written with, such as that of a folder whose name is no Unicode."""
    wrong = [name for name in classes if not name.isprintable()]
    return [
        Finding(
            described.source.path or Path(described.where),
            f"expected a class name that can be written, found {name}; rename the class",
        )
        for name in wrong
    ]


def _experience(described: Described, of: _Set, findings: list[Finding], tell: Tell) -> Experience:
    """Make an experience of a data set: choose its classes, and change its appearance.

    Raises:
        Fault: A class is chosen that is not there, or the kind has no classes to choose from.
    """
    whole = of.whole
    kind, classes = whole.kind, whole.classes
    splits = {"train": list(whole.train), "val": list(whole.val)}
    if described.classes is not None:
        chosen = _chosen(described, described.classes, kind, classes)
        own = kind.selected_classes(classes, chosen)
        new = _new_indices(described, classes, chosen, own)
        splits = {split: _selected(samples, described, kind, new) for split, samples in splits.items()}
        splits["train"] = [sample for sample in splits["train"] if kind.classes_in(sample.brief, own)]
        _tell_left_out(described, whole, splits, tell)
        classes = own
    if not of.broken:
        findings += [_empty(described, split) for split, samples in splits.items() if not samples]
    train, val = (_changed(samples, described.domain) for samples in splits.values())
    head = described.head or described.name
    return Experience(described.name, kind, classes, train, val, head, whole.root)


def _chosen(
    described: Described, asked: tuple[str, ...] | Share, kind: Kind, classes: tuple[str, ...]
) -> tuple[str, ...]:
    """The classes that a description chooses; a share is one of those that are not always there.

    Raises:
        Fault: A share is empty.
    """
    if not isinstance(asked, Share):
        return asked
    background = kind.always_there(classes)
    chosen = asked.chosen(tuple(name for name in classes if name not in background))
    if not chosen:
        share = f"{asked.number}/{asked.of}"
        problem = f"classes: {share} of {len(classes)} classes is none; take fewer parts"
        raise Fault(Path(described.where), problem)
    return chosen


def _new_indices(
    described: Described, classes: Sequence[str], chosen: Sequence[str], own: Sequence[str]
) -> dict[int, int]:
    """The index in ``own`` of each class that is kept, by its index in the data's classes.

    Raises:
        Fault: A chosen class is not among those of the data.
    """
    unknown = [name for name in chosen if name not in classes]
    if unknown:
        there = f"the data of experience {described.name} have {', '.join(classes) or 'no classes'}"
        raise Fault(Path(described.where), f"classes: unknown {', '.join(unknown)}; {there}")
    return {classes.index(name): index for index, name in enumerate(own) if name in classes}


def _selected(samples: Sequence[Sample], described: Described, kind: Kind, new: Mapping[int, int]) -> list[Sample]:
    """The samples that have a place among some of the classes, with these alone.

    Raises:
        Fault: The kind has no classes to choose from.
    """
    try:
        kept = [sample for sample in samples if kind.select(sample.brief, new) is not None]
    except UsageError as error:
        raise Fault(Path(described.where), f"classes: {error}") from error
    select = cast(Callable[[Annotation], Annotation], partial(kind.select, new=new))  # of those kept none is None
    return [sample.changed(f"classes {sorted(new.items())}", annotation=select) for sample in kept]


def _tell_left_out(described: Described, whole: Experience, splits: Mapping[str, Sequence[Sample]], tell: Tell) -> None:
    for split, before in (("train", whole.train), ("val", whole.val)):
        count = len(before) - len(splits[split])
        if count:
            problem = f"{count} of {len(before)} {split} images have none of its classes and are left out"
            tell(f"{described.name}: {problem}")


def _changed(samples: list[Sample], domain: str | None) -> list[Sample]:
    if domain is None:
        return samples
    return [sample.changed(f"domain {domain}", image=DOMAINS[domain]) for sample in samples]


def _empty(described: Described, split: str) -> Finding:
    of_classes = "" if described.classes is None else " of the classes chosen"
    problem = f"experience {described.name}: expected at least one {split} image{of_classes}, found none; add one"
    return Finding(Path(described.where), problem)


def _kind(described: Described) -> Kind:
    try:
        return kind_of(described.kind)
    except UsageError as error:
        raise UsageError(f"{described.where}: kind: {error}") from error


def _way_out(description: Description) -> str:
    """What repairs a data folder of the challenge's layout."""
    roots = {each.source.path.parent for each in description.experiences if each.source.path is not None}
    if description.file is not None or len(roots) != 1:
        return ""
    return f"python -m onehead_avl.prepare --import {roots.pop()} --root NEW writes a copy without it"


def _place(description: Description) -> Path:
    """What a report of many findings names: the file, or the data folder of a ready-made stream."""
    paths = [each.source.path for each in description.experiences if each.source.path is not None]
    if description.file is not None or not paths:
        return description.file or Path(description.name)
    return paths[0].parent
