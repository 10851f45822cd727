"""One annotated image."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from scenarios.samples.facts import Size, digest_of

Annotation = Mapping[str, Any]
"""The parts of an annotation by name: tensors, or an integer."""


class Sample:
    """An image with its annotation.

    Args:
        name: Where the image comes from, for messages.
        image: ``(3, H, W)`` uint8 RGB.
        annotation: The parts that the kind of task reads, by name. Segmentation: ``mask`` ``(H, W)`` uint8 class
            indices, 255 = void. Detection: ``boxes`` ``(M, 4)`` float32 ``x1, y1, x2, y2`` in pixels, ``labels``
            ``(M,)`` int64 and ``crowd`` ``(M,)`` bool; M may be 0. Classification: ``label``, an integer.
    """

    def __init__(self, name: str, image: Tensor, annotation: Annotation | None = None) -> None:
        self.name = name
        self._image = image
        self._annotation: Annotation = annotation or {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def image(self) -> Tensor:
        """The image ``(3, H, W)`` uint8 RGB; one on disk is decoded each time, so ask once."""
        return self._image

    @property
    def annotation(self) -> Annotation:
        """The parts of the annotation by name; a mask on disk is decoded each time."""
        return self._annotation

    @property
    def size(self) -> Size:
        """Height and width of the image in pixels."""
        height, width = self.image.shape[-2:]
        return height, width

    @property
    def brief(self) -> Annotation:
        """The annotation; where it is on disk, a mask is ``(1, N)``, each value that is in it once.

        It tells which classes there are without decoding anything.
        """
        return self.annotation

    @property
    def digest(self) -> str:
        """A checksum of the pixels: two images are the same if theirs are."""
        return digest_of(self.image.permute(1, 2, 0).numpy())

    def checksum(self) -> str:
        """A checksum of the image and its annotation."""
        return checksum_of(self.digest, self.annotation)

    def changed(
        self,
        name: str,
        image: Callable[[Tensor], Tensor] | None = None,
        annotation: Callable[[Annotation], Annotation] | None = None,
    ) -> "Sample":
        """The sample with a change of its image or of its annotation.

        Args:
            name: Tells the change from others.
            image: Changes the image, and not its size.
            annotation: Changes the annotation.
        """
        return Sample(
            self.name,
            self.image if image is None else image(self.image),
            self.annotation if annotation is None else annotation(self.annotation),
        )


def checksum_of(digest: str, parts: Annotation, *more: str) -> str:
    """A checksum of an image, of which one is known, of the parts of its annotation, and of more that is said of it."""
    made = hashlib.blake2b(repr((digest, *more)).encode(), digest_size=16)
    for name, value in parts.items():
        made.update(name.encode())
        if isinstance(value, Tensor):
            made.update(repr(tuple(value.shape)).encode())
            made.update(value.contiguous().numpy().data)
        else:
            made.update(repr(value).encode())
    return made.hexdigest()
