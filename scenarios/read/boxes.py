"""Boxes as annotations: what the layouts of detection have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scenarios.samples.facts import Size
from scenarios.samples.findings import Fault, Notes, shown
from scenarios.samples.rules import cut_box
from scenarios.samples.stored import StoredPicture, StoredSample


@dataclass(frozen=True)
class Box:
    """An annotated box.

    Attributes:
        corners: ``x1, y1, x2, y2`` in pixels.
        label: The index of its class.
        crowd: Whether it is a region around a group of objects.
        place: Where it is in its file: by position, or by line.
    """

    corners: tuple[float, float, float, float]
    label: int
    crowd: bool
    place: int


def cut_to(
    path: Path, where: str, box: Sequence[Any], size: Size, notes: Notes
) -> tuple[float, float, float, float] | None:
    """Turn ``x, y, w, h`` into ``x1, y1, x2, y2`` within an image; all in pixels.

    Args:
        path: The file of the box, for messages.
        where: The place in it.
        box: As the file has it.
        size: Height and width of the image.
        notes: Is told if the box reaches over the edge and is cut, or has no area in its image and is skipped.

    Returns:
        The corners; ``None`` for a box that is skipped.

    Raises:
        Fault: The box is not four finite numbers.
    """
    height, width = size
    cut = cut_box(box, width, height)
    if cut is None:
        raise Fault(path, f"{where}: expected a bbox of four finite numbers x, y, w, h, found {shown(box)}; mend it")
    if cut.empty:
        notes.add("boxes without area in their image are skipped", where, boxes=1)
        return None
    if cut.outside:
        notes.add("boxes that reach over the edge of their image are cut there", where)
    return cut.corners


def sample_of(picture: StoredPicture, boxes: Sequence[Box]) -> StoredSample:
    """Join an image and its boxes."""
    parts = {
        "boxes": torch.tensor([box.corners for box in boxes], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor([box.label for box in boxes], dtype=torch.int64),
        "crowd": torch.tensor([box.crowd for box in boxes], dtype=torch.bool),
    }
    return StoredSample(picture, parts, places=[box.place for box in boxes])
