"""Which reader reads a described experience: recognised, named, or brought along."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import Kind, kind_of
from onehead_avl.system.importing import import_attribute
from scenarios.described import DRAWN, Described
from scenarios.drawn.embedded import RECIPES, drawn, drawn_classes
from scenarios.read import FORMATS, Format
from scenarios.samples.findings import Fault, Finding
from scenarios.samples.sample import Sample
from scenarios.samples.source import SPLITS, Source

Read = tuple[list[Sample], tuple[str, ...]]
"""Samples, and class names in index order."""

Reader = Callable[[Source, str, list[Finding], Sequence[str] | None], Read]
"""Read one split; see :class:`~scenarios.read.Format`."""


def reader_of(described: Described, kind: Kind) -> tuple[str, Reader]:
    """Find the reader of an experience.

    Returns:
        The name of the layout, and its reader.

    Raises:
        Fault: The path does not exist, no layout is recognised there, or the layout does not go with the description.
        UsageError: What the import path of a reader names cannot be imported or called.
    """
    layout, source = described.format, described.source
    if layout == DRAWN:
        return layout, _drawn_reader(described, kind)
    if layout is not None and ":" in layout:
        return layout, _brought_along(described, layout, kind)
    if source.path is None or not os.path.exists(source.path):
        problem = f"expected the images of experience {described.name}, found none; put them there or correct the path"
        raise Fault(source.path or Path(described.where), problem)
    fitting = [each for each in FORMATS if _serves(each.kind, kind)]
    found = _named(described, kind, fitting) if layout else _recognised(described, kind, fitting)
    _require_meant(described, found)
    return found.name, import_module(found.module).read


def _serves(name: str, kind: Kind) -> bool:
    """Whether annotations for the kind of a name have the parts that another kind reads."""
    return set(kind.parts) <= set(kind_of(name).parts)


def _recognised(described: Described, kind: Kind, fitting: Sequence[Format]) -> Format:
    for each in fitting:
        if import_module(each.module).recognises(described.source):
            return each
    names = ", ".join(each.name for each in fitting) or "none"
    raise Fault(
        described.source.on_disk,
        f"expected a layout of {kind.name} images ({names}) with train or val, recognised none; correct the path of "
        f"experience {described.name}, or name the layout with format",
    )


def _named(described: Described, kind: Kind, fitting: Sequence[Format]) -> Format:
    for each in fitting:
        if each.name == described.format:
            return each
    names = ", ".join(each.name for each in fitting) or "module:function"
    problem = f"format: expected a layout of {kind.name} images ({names}), got {described.format}; name another one"
    raise Fault(Path(described.where), problem)


def _require_meant(described: Described, layout: Format) -> None:
    """Refuse what a description says and the layout would not look at."""
    source = described.source
    said = [f"{split}: {key}" for split in SPLITS for key in source.split(split) if key not in layout.keys]
    if source.names is not None and not layout.named:
        said.append("names")
    if said:
        problem = f"{', '.join(said)} means nothing to the layout {layout.name} at {source.path}; leave it out"
        raise Fault(Path(described.where), problem)


def _drawn_reader(described: Described, kind: Kind) -> Reader:
    name = next((each for each in RECIPES if _serves(each, kind)), None)
    if name is None:
        problem = f"expected a kind with drawn images ({', '.join(RECIPES)}), got {kind.name}; give a path"
        raise Fault(Path(described.where), problem)

    def read(source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None) -> Read:
        own = drawn_classes(name)
        if classes is not None and tuple(classes) != own:
            problem = f"expected the classes {', '.join(classes)}, the drawn images have {', '.join(own)}"
            raise Fault(Path(described.where), problem)
        return drawn(name, split, size=source.size), own

    return read


def _brought_along(described: Described, path: str, kind: Kind) -> Reader:
    """A reader by import path, whose answers are checked."""
    try:
        function = import_attribute(path)
    except UsageError as error:
        raise UsageError(f"{described.where}: format: {error}") from error
    if not callable(function):
        raise UsageError(f"{described.where}: format: expected a function, found {function!r}")

    def read(source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None) -> Read:
        answer = function(source, split, findings, classes)
        try:
            samples, found = answer
            good = all(isinstance(each, Sample) and set(kind.parts) <= each.brief.keys() for each in samples)
        except (TypeError, ValueError):
            good = False
        if not good:
            wanted = f"samples with {', '.join(kind.parts)} and class names"
            raise UsageError(f"{described.where}: format: expected {path} to return {wanted}")
        if classes is not None and tuple(found) != tuple(classes):
            problem = f"expected {path} to map {split} to the classes {', '.join(classes)}"
            raise UsageError(f"{described.where}: format: {problem}, got {', '.join(found)}")
        return list(samples), tuple(found)

    return read
