"""An experience, and the stream that experiences make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import Kind
from onehead_avl.model.layout import Layout, layout_of_heads
from scenarios.samples.sample import Sample


@dataclass(frozen=True)
class Experience:
    """What is learned at one stage of a stream.

    Attributes:
        name: What everything that is said of it is keyed by.
        kind: Its kind of task.
        classes: Class names in index order; for segmentation the background, where there is one, is the first.
        train: Samples to learn from.
        val: Samples to be scored on.
        head: Experiences that name the same head share their part of the network's output.
        root: The folder it was read from; ``None`` for drawn images.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: Sequence[Sample]
    val: Sequence[Sample]
    head: str
    root: Path | None = None


@dataclass(frozen=True)
class Stream:
    """Experiences in the order of their definition; the task label of each is its position here, whatever the order.

    Attributes:
        name: Of a ready-made stream, or of the file that describes it.
        experiences: At least one, with names of their own, whatever the case.

    Raises:
        UsageError: There is no experience, two have one name, or two that share a head differ in kind or classes.
    """

    name: str
    experiences: tuple[Experience, ...]

    def __post_init__(self) -> None:
        if not self.experiences:
            raise UsageError(f"stream {self.name}: expected at least one experience, found none")
        if len({name.lower() for name in self.names}) < len(self.names):  # A and a are one file to some file systems
            raise UsageError(
                f"stream {self.name}: expected experiences with different names, found {', '.join(self.names)}"
            )
        _ = self.layout

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the experiences."""
        return tuple(experience.name for experience in self.experiences)

    @property
    def layout(self) -> Layout:
        """The output layout that the experiences ask for."""
        return layout_of_heads([(each.name, each.head, each.kind, each.classes) for each in self.experiences])

    def task(self, name: str) -> int:
        """The task label of an experience.

        Raises:
            UsageError: There is none of that name.
        """
        if name not in self.names:
            raise UsageError(f"unknown experience {name!r}: expected one of {', '.join(self.names)}")
        return self.names.index(name)
