"""Which channel of the network's one output tensor means what."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import Kind


@dataclass(frozen=True)
class Part:
    """The channels that one head's experiences share.

    Attributes:
        head: Its name; that of its experience, unless several share it.
        kind: The kind of task it serves.
        classes: Class names in index order.
        start: The first of its channels.
    """

    head: str
    kind: Kind
    classes: tuple[str, ...]
    start: int

    @property
    def channels(self) -> range:
        """Its channels of the output."""
        return range(self.start, self.start + self.kind.channels(self.classes))

    def of(self, output: Tensor) -> Tensor:
        """Its view ``(B, C, H/8, W/8)`` of a whole output."""
        return output[:, self.channels.start : self.channels.stop]


@dataclass(frozen=True)
class Layout:
    """The channels of the output ``(B, C, H/8, W/8)``: one part after the other.

    Attributes:
        names: The names of the experiences; the position of one is its task label.
        parts: The part of each experience; experiences that share a head have the same one.
    """

    names: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def channels(self) -> int:
        """All channels together."""
        return max(part.channels.stop for part in self.parts)

    @property
    def heads(self) -> tuple[Part, ...]:
        """The parts, each once."""
        return tuple({part.head: part for part in self.parts}.values())

    def part_of(self, head: str) -> Part:
        """The part of a head by its name, which must exist."""
        return next(part for part in self.parts if part.head == head)

    def of_kind(self, name: str) -> frozenset[int]:
        """The task labels of the experiences of a kind."""
        return frozenset(task for task, part in enumerate(self.parts) if part.kind.name == name)


def layout_of_heads(experiences: Sequence[tuple[str, str, Kind, Sequence[str]]]) -> Layout:
    """Lay the parts of some experiences side by side, in their order.

    Args:
        experiences: Name, head, kind and classes of each.

    Raises:
        UsageError: Two experiences share a head and differ in kind or classes.

    Example:
        >>> from onehead_avl.kinds.kind import kind_of
        >>> pets, signs = ("cat", "dog"), ("stop", "yield", "exit")
        >>> layout = layout_of_heads(
        ...     [
        ...         ("day", "pets", kind_of("classification"), pets),
        ...         ("signs", "signs", kind_of("detection"), signs),
        ...         ("night", "pets", kind_of("classification"), pets),
        ...     ]
        ... )
        >>> [(part.head, part.channels) for part in layout.parts]
        [('pets', range(0, 2)), ('signs', range(2, 10)), ('pets', range(0, 2))]
        >>> layout.channels
        10
    """
    heads: dict[str, Part] = {}
    channels = 0
    for name, head, kind, classes in experiences:
        part = heads.get(head)
        if part is None:
            heads[head] = part = Part(head, kind, tuple(classes), channels)
            channels = part.channels.stop
        elif part.kind.path != kind.path:
            raise UsageError(
                f"experience {name!r} is {kind.name} but shares the head {head!r} with {part.kind.name}; "
                "give it a head of its own"
            )
        elif part.classes != tuple(classes):
            raise UsageError(
                f"experience {name!r} shares the head {head!r}, expected its classes {', '.join(part.classes)}, found "
                f"{', '.join(classes)}; give it the same classes or a head of its own"
            )
    return Layout(tuple(name for name, *_ in experiences), tuple(heads[head] for _, head, *_ in experiences))
