"""What is usual for images on disk and for drawn ones. Importing it is cheap: no torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """What depends on the data: drawn scenes are smaller and learned from scratch.

    Attributes:
        backbone_weights: Start of the backbone.
        epochs: Epochs of an experience, by its kind.
        other_epochs: Epochs of an experience of any other kind.
        image_size: Side of the square the network is fed, in pixels.
    """

    backbone_weights: str
    epochs: Mapping[str, int]
    other_epochs: int
    image_size: int

    def epochs_of(self, kind: str) -> int:
        """Epochs of an experience of a kind."""
        return self.epochs.get(kind, self.other_epochs)


REAL = Defaults(
    "imagenet",
    epochs={"segmentation": 40, "detection": 40, "classification": 20},
    other_epochs=30,
    image_size=320,
)
DRAWN = Defaults(
    "none",
    epochs={"segmentation": 24, "detection": 20, "classification": 14},
    other_epochs=20,
    image_size=128,
)
