"""Where the images of an experience are, as a reader is told. Importing it is cheap: no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "val")
"""The splits of a data set."""


@dataclass(frozen=True)
class Source:
    """Where the images of an experience are.

    Attributes:
        path: The folder or file that holds them; ``None`` for images that are drawn.
        train: Where the parts of the training split are within ``path``, by names that the layout knows.
        val: The same of the validation split.
        names: Class names by the values that stand for them on disk; ``None`` where the layout has names of its own.
        ignore: Mask values that are neither learned nor scored.
        size: Side of the images in pixels, where they are drawn.
    """

    path: Path | None = None
    train: Mapping[str, str] = field(default_factory=dict)
    val: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[int, str] | None = None
    ignore: tuple[int, ...] = (255,)
    size: int = 128

    @property
    def on_disk(self) -> Path:
        """The path, for readers, none of which is asked for images that are drawn.

        Raises:
            ValueError: It is ``None``.
        """
        if self.path is None:
            raise ValueError("expected the path of images on disk, found None")
        return self.path

    def split(self, name: str) -> Mapping[str, str]:
        """What was said of a split: ``train`` or ``val``."""
        return self.train if name == "train" else self.val
