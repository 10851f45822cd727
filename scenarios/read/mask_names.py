"""What masks are called: as their images, or with something before or behind. Importing it is cheap: no torch."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scenarios.samples.findings import Fault, Finding, shown

_TEMPLATE = re.compile(r"([^{}/\\]*)\{stem\}([^{}/\\]*)\.png", re.IGNORECASE)


@dataclass(frozen=True)
class MaskNames:
    """How the name of a mask follows from that of its image; both without their suffix.

    Attributes:
        before: What stands before the name of the image.
        behind: What stands behind it.
    """

    before: str = ""
    behind: str = ""

    def __str__(self) -> str:
        """As a description has it."""
        return f"{self.before}{{stem}}{self.behind}.png"

    def mask_of(self, image: str) -> str:
        """The name of the mask of an image."""
        return f"{self.before}{image}{self.behind}"

    def image_of(self, mask: str) -> str | None:
        """The name of the image of a mask; ``None`` if it is not called so."""
        least = len(self.before) + len(self.behind)
        if len(mask) <= least or not mask.startswith(self.before) or not mask.endswith(self.behind):
            return None
        return mask[len(self.before) : len(mask) - len(self.behind)]


SAME = MaskNames()
"""A mask has the name of its image."""


def mask_names_of(path: Path, text: str) -> MaskNames:
    """Read what a description says of the names of masks.

    Args:
        path: The set, for messages.
        text: Such as ``{stem}_mask.png``.

    Raises:
        Fault: It says something else.
    """
    match = _TEMPLATE.fullmatch(text)
    if match is None:
        wanted = "expected mask_name: to be {stem} and what stands before and behind it, such as {stem}_mask.png"
        raise Fault(path, f"{wanted}, got {shown(text)}; correct it")
    return MaskNames(*match.groups())


def infer_mask_names(
    folder: Path, images: Collection[str], masks: Collection[str], findings: list[Finding]
) -> MaskNames:
    """Tell from the files how masks are called.

    Args:
        folder: Where the masks are, for messages.
        images: The names of the images without suffix.
        masks: The names of the masks without suffix.
        findings: Is added to: worth knowing: masks have other names than their images.

    Returns:
        :data:`SAME` as soon as one mask has the name of an image, or there is nothing to tell it from. Otherwise the
        only way of naming by which every image has a mask, or every mask an image.

    Raises:
        Fault: There are several such ways, or none.
    """
    if not images or not masks or not set(images).isdisjoint(masks):
        return SAME
    fitting = sorted(_fitting(images, masks), key=str)
    if len(fitting) == 1:
        findings.append(Finding(folder, f"masks are called {fitting[0]}, where {{stem}} is their image", fatal=False))
        return fitting[0]
    found = f"{shown(min(images))} and {shown(min(masks) + '.png')}"
    doubt = f", which may be called {' or '.join(map(str, fitting[:3]))}" if fitting else ""
    raise Fault(
        folder,
        f"expected masks that have the names of their images, found such as {found}{doubt}; say how they are called by "
        'a key beside masks:, such as mask_name: "{stem}_mask.png"',
    )


def _fitting(images: Collection[str], masks: Collection[str]) -> set[MaskNames]:
    """The ways of naming by which every image has a mask, or every mask an image."""
    of_first_image = {each for mask in masks for each in _ways(min(images), mask)}
    of_first_mask = {each for image in images for each in _ways(image, min(masks))}
    return {each for each in of_first_image if all(each.mask_of(image) in masks for image in images)} | {
        each for each in of_first_mask if all(each.image_of(mask) in images for mask in masks)
    }


def _ways(image: str, mask: str) -> list[MaskNames]:
    starts = (match.start() for match in re.finditer(f"(?={re.escape(image)})", mask))
    return [MaskNames(mask[:start], mask[start + len(image) :]) for start in starts]
