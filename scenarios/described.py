"""A stream as somebody describes it, before anything is read. Importing it is cheap: no torch."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from scenarios.samples.source import Source

DRAWN = "drawn"
"""The layout of images that are on no disk: the embedded data set."""


@dataclass(frozen=True)
class Share:
    """A part of a class list: the ``number``-th of ``of`` parts of equal length, in index order, from 1."""

    number: int
    of: int

    def chosen(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """The classes of this part."""
        bounds = [round(Fraction(len(classes) * i, self.of)) for i in range(self.of + 1)]
        return classes[bounds[self.number - 1] : bounds[self.number]]


@dataclass(frozen=True)
class Described:
    """An experience as it is described.

    Attributes:
        name: What everything that is said of it is keyed by.
        kind: A name of a kind, or the import path of one.
        source: Where its images are.
        where: File and line of the description, for messages.
        format: The layout on disk, a name or an import path; ``None`` has it recognised.
        classes: Some of the set's classes, in the order wanted; ``None`` takes them all.
        head: Experiences that name the same head share their part of the output; by default its own name.
        domain: A change of appearance of all its images; ``None`` leaves them as they are.
    """

    name: str
    kind: str
    source: Source
    where: str
    format: str | None = None
    classes: tuple[str, ...] | Share | None = None
    head: str = ""
    domain: str | None = None


@dataclass(frozen=True)
class Description:
    """A stream as it is described.

    Attributes:
        name: The name of a ready-made stream, or the file name without suffix.
        experiences: In the order of their definition.
        file: The file; ``None`` for a ready-made stream.
    """

    name: str
    experiences: tuple[Described, ...]
    file: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the experiences."""
        return tuple(each.name for each in self.experiences)

    @property
    def is_drawn(self) -> bool:
        """Whether none of its images are on disk."""
        return all(each.source.path is None for each in self.experiences)

    def on(self, data: Path | None, size: int) -> "Description":
        """The same stream with the images of a ready-made one found in a data folder, or drawn without one.

        Args:
            data: A folder in the challenge's layout.
            size: Side of drawn images in pixels.
        """
        placed = []
        for each in self.experiences:
            source = replace(each.source, size=size)
            if self.file is None:
                source = replace(source, path=None if data is None else data / each.source.on_disk)
                each = replace(each, format=DRAWN if data is None else each.format)
            placed.append(replace(each, source=source))
        return replace(self, experiences=tuple(placed))
