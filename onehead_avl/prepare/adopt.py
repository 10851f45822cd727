"""Adopting somebody's data folder: say what is wrong with it, and write a copy in which it is not."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from onehead_avl.errors import DataError, OutputError, UsageError
from onehead_avl.prepare.annotations import annotations_of, renumbered
from onehead_avl.prepare.arrange import publish, require_new, stage
from onehead_avl.prepare.lock import exclusive
from onehead_avl.prepare.manifest import MANIFEST, VERSION, describe, manifest_of, read_manifest, require_same
from onehead_avl.prepare.official import NewFile
from onehead_avl.prepare.selection import SPLITS_BY_CARE
from onehead_avl.prepare.space import require_space
from scenarios.challenge import FOLDERS, KINDS
from scenarios.description import read_description
from scenarios.experience import Experience
from scenarios.reading import inspect
from scenarios.samples.findings import Finding, refuse_fatal
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

Samples = dict[tuple[str, str], list[StoredSample]]
"""The samples of each task and split."""

_SIZE = 32  # of drawn images, of which there are none here


def adopt(source: Path, root: Path, tasks: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Check a data folder and write a repaired copy of it with a manifest.

    The folder is read as for training; what training would refuse is left out of the copy, and what it would only note
    is written as it was understood. Pictures and masks are copied as they are. Of the files that show the same picture
    all but one are left out: those of validation stay rather than those of training, and those of earlier tasks rather
    than those of later ones. Detection categories get COCO's numbers by name.

    Args:
        source: The folder to check; it is not changed.
        root: The folder to write.
        tasks: The tasks to adopt.
        say: Is told each finding.

    Returns:
        The manifest of ``root``.

    Raises:
        UsageError: There is no such folder, or it is ``root`` itself.
        OutputError: Another process is at work in ``root``, it holds other data, or the disk is too full.
        DataError: Nothing usable is left of a split, or something is wrong that leaving it out does not mend.
        OSError: ``root`` cannot be written.
    """
    if not source.is_dir():
        raise UsageError(f"--import expects a folder, found none at {source}")
    if source.resolve() == root.resolve():
        raise UsageError(f"--import writes a copy, but --root is {source} too; choose another --root")
    with exclusive(root) as work:
        staged = work / "tree"
        publish(staged, root)
        prepared = (root / MANIFEST).exists()
        if not prepared:
            require_new(root)
        head, experiences, samples = _plan(source, tasks, say)
        files = _files(source, experiences, samples)
        if prepared:
            if read_manifest(root) != manifest_of(head, {file.path: describe(file) for file in files}):
                raise OutputError(f"{root} already holds other prepared data; choose another --root")
            say(f"{root} is already prepared")
        else:
            paths = (path for found in samples.values() for each in found for path in _paths(each))
            require_space(root, 0, sum(path.stat().st_size for path in paths))
            stage(staged, files, head)
            publish(staged, root)
        manifest = read_manifest(root)
        require_same(root, manifest)
    return manifest


def _plan(
    source: Path, tasks: Sequence[str], say: Callable[[str], None]
) -> tuple[dict[str, Any], list[Experience], Samples]:
    """Read a folder, say what is wrong with it, and leave that out; the head of the manifest and what is left."""
    for task in tasks:
        if not (source / FOLDERS[task]).exists():
            raise DataError(
                f"{source / FOLDERS[task]}: expected this folder, there is none; name the tasks that are there with "
                "--tasks"
            )
    description = read_description("challenge").on(source, _SIZE)
    chosen = tuple(each for each in description.experiences if each.name in tasks)
    read, findings = inspect(replace(description, experiences=chosen), lambda line: None)
    refuse_fatal(source, [finding for finding in findings if not finding.repair])
    findings = [
        replace(each, problem=f"{each.problem} ({each.repair} of the copy)") if each.fatal else each
        for each in findings
    ]
    samples = {
        (each.name, split): cast(list[StoredSample], list(of))  # readers of what is on disk return no others
        for each in read
        for split, of in zip(SPLITS, (each.train, each.val), strict=True)
    }
    findings += drop_repeated(source, samples)
    for each in read:
        if each.name == "det":
            findings += renumbered(Source(each.root), each.classes)
        findings += one_sided(each, samples[each.name, "train"], samples[each.name, "val"])
    for line in map(str, findings) if findings else [f"{source}: nothing is wrong with it"]:
        say(line)
    for (task, split), found in samples.items():
        if not found:
            raise DataError(
                f"{source / FOLDERS[task]}: expected {split} pictures that can be used, found none; leave the task out "
                "with --tasks"
            )
    head = {
        "version": VERSION,
        "options": {"import": True, "tasks": list(tasks)},
        "sets": {each.name: {split: _summary(each, samples[each.name, split]) for split in SPLITS} for each in read},
        "findings": [{"what": each.problem, "file": _within(source, each.file)} for each in findings],
    }
    return head, read, samples


def drop_repeated(source: Path, samples: Samples) -> list[Finding]:
    """Leave all but the first of the files that show the same picture out, in place."""
    first: dict[str, tuple[str, str]] = {}
    findings = []
    for split in SPLITS_BY_CARE:
        for task in FOLDERS:
            found = samples.get((task, split), [])
            repeated: dict[tuple[str, str], list[StoredSample]] = defaultdict(list)
            kept = []
            for each in found:
                if each.digest in first:
                    repeated[first[each.digest]].append(each)
                else:
                    first[each.digest] = (task, split)
                    kept.append(each)
            if repeated:
                samples[task, split] = kept
            for (other, other_split), copies in repeated.items():
                same = (other, other_split) == (task, split)
                what = "copies of others there" if same else f"also in {KINDS[other]} {other_split}"
                names = ", ".join(_within(source, Path(copy.name)) for copy in copies[:3])
                more = f" and {len(copies) - 3} more" if len(copies) > 3 else ""
                boxes = sum(len(copy.places) for copy in copies)
                with_boxes = f" with their {boxes} boxes" if boxes else ""
                text = f"{len(copies)} of {len(found)} {split} pictures are {what}; left out{with_boxes}"
                findings.append(
                    Finding(
                        source / FOLDERS[task] / split,
                        f"{text}: {names}{more}",
                        fatal=False,
                        pictures=len(copies),
                        boxes=boxes,
                    )
                )
    return findings


def one_sided(experience: Experience, train: Sequence[StoredSample], val: Sequence[StoredSample]) -> list[Finding]:
    """Say which classes have pictures in one split only, and whether nothing at all is annotated."""
    names = experience.classes
    there = [
        {names[index] for each in samples for index in experience.kind.classes_in(each.brief, names)}
        for samples in (train, val)
    ]
    folder = experience.root or Path(experience.name)
    findings = []
    for split, here, other in zip(SPLITS, there, there[::-1], strict=True):
        lonely = sorted(here - other)
        if lonely and experience.name == "cls":  # others may well have a class in one split only
            findings.append(Finding(folder, f"only {split} has pictures of {', '.join(lonely)}", fatal=False))
    if not any(there):
        findings.append(Finding(folder, "no picture has anything annotated", fatal=False))
    return findings


def _summary(experience: Experience, samples: Sequence[StoredSample]) -> dict[str, Any]:
    """How many pictures there are, and in how many each class occurs."""
    names = experience.classes
    counts = Counter(names[index] for each in samples for index in experience.kind.classes_in(each.brief, names))
    return {"pictures": len(samples), "classes": dict(sorted(counts.items()))}


def _paths(sample: StoredSample) -> list[Path]:
    return [Path(sample.name), *([] if sample.mask is None else [Path(sample.mask.file)])]


def _files(source: Path, experiences: Sequence[Experience], samples: Samples) -> Iterator[NewFile]:
    for experience in experiences:
        folder = FOLDERS[experience.name]
        for split in SPLITS:
            found = samples[experience.name, split]
            names = _names(experience, found)
            for sample in found:
                for path in _paths(sample):
                    place = Path(names[sample.name]).with_suffix(path.suffix).as_posix()
                    origin = f"imported/{_within(source, path)}"
                    yield NewFile(f"{folder}/{split}/{place}", path.read_bytes(), split, origin, None)
            if experience.name == "det":
                name = f"{folder}/annotations/mini_instances_{split}2017.json"
                content = annotations_of(Source(experience.root), split, experience.classes, found, names)
                yield NewFile(name, content, split, f"imported/{name}", None)


def _names(experience: Experience, samples: Sequence[StoredSample]) -> dict[str, str]:
    """The file name of each image in the copy of its split.

    Classification has a folder for each class, and in it what the class has. Elsewhere images have one folder, but for
    those whose names are there more than once.
    """
    paths = {sample.name: Path(sample.name) for sample in samples}
    common = Path(os.path.commonpath({path.parent for path in paths.values()}))
    if experience.name == "cls":
        names = {sample.name: experience.classes[int(sample.parts["label"])] for sample in samples}
    else:
        names = dict.fromkeys(paths, "")
    bare = {name: os.path.join(folder, paths[name].name) for name, folder in names.items()}
    times = Counter(place.lower() for place in bare.values())
    return {
        name: place if times[place.lower()] == 1 else os.path.join(names[name], paths[name].relative_to(common))
        for name, place in bare.items()
    }


def _within(folder: Path, path: Path) -> str:
    """A path relative to a folder; one that is elsewhere without the beginning that both share."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
