"""Samples on disk, which are decoded when their image or annotation is asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onehead_avl.errors import DataError
from scenarios.samples.arena import Slot
from scenarios.samples.decoding import UPRIGHT, Decoded, DecodingError, decode_indices, decode_rgb, turned
from scenarios.samples.facts import Facts, Size, digest_of, stamp_of
from scenarios.samples.sample import Annotation, Sample, checksum_of


class StoredPicture:
    """A picture on disk that was checked.

    Args:
        file: Where it is.
        facts: What is known of it.
        upright: Turn it as EXIF asks for.

    Attributes:
        slot: Where it is kept once it was decoded; ``None`` decodes it each time.
    """

    def __init__(self, file: Path, facts: Facts, upright: bool = False) -> None:
        self.file = str(file)
        self.facts = facts
        self.upright = upright
        self.slot: Slot | None = None

    @property
    def size(self) -> Size:
        """Height and width, turned if it is."""
        return self.facts.turned_size if self.upright else self.facts.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return 3, *self.size

    def read(self) -> Tensor:
        """Decode it: ``(3, H, W)`` uint8 RGB.

        Raises:
            DataError: It is not any more as it was checked.
        """
        return _kept(self.slot, self.shape, self._decoded)

    def _decoded(self) -> Tensor:
        pixels = _pixels(self.file, decode_rgb, self.facts)
        if self.upright:
            pixels = turned(pixels, self.facts.orientation)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class StoredMask:
    """A mask on disk that was checked.

    Args:
        file: Where it is.
        facts: What is known of it.
        table: ``(256,)`` uint8 class index of each value, 255 = void.

    Attributes:
        slot: Where it is kept once it was decoded; ``None`` decodes it each time.
    """

    def __init__(self, file: Path, facts: Facts, table: Tensor) -> None:
        self.file = str(file)
        self.facts = facts
        self.table = table
        self.slot: Slot | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.facts.size

    @property
    def present(self) -> Tensor:
        """The class indices, and void, that are in it: ``(1, N)`` uint8."""
        return self.table[list(self.facts.values)].unique()[None]

    def read(self) -> Tensor:
        """Decode it: ``(H, W)`` uint8 class indices, 255 = void.

        Raises:
            DataError: It is not any more as it was checked.
        """
        return _kept(self.slot, self.shape, self._decoded)

    def _decoded(self) -> Tensor:
        values = _pixels(self.file, decode_indices, self.facts)
        return torch.from_numpy(np.take(self.table.numpy(), values))  # six times as fast as indexing by a tensor


_Change = tuple[str, Callable[[Tensor], Tensor] | None, Callable[[Annotation], Annotation] | None]
"""What tells a change from others, and what it does to an image and to an annotation."""


class StoredSample(Sample):
    """An annotated image on disk.

    Args:
        picture: The image.
        parts: What of its annotation is no mask.
        mask: Its mask, if it has one.
        places: Where its boxes are in their file, for messages: by position, or by line.
    """

    def __init__(
        self,
        picture: StoredPicture,
        parts: Mapping[str, Any] | None = None,
        mask: StoredMask | None = None,
        places: Sequence[int] = (),
    ) -> None:
        self.name = picture.file
        self.picture = picture
        self.parts: Mapping[str, Any] = parts or {}
        self.mask = mask
        self.places = tuple(places)
        self._changes: tuple[_Change, ...] = ()

    @property
    def image(self) -> Tensor:
        """The image ``(3, H, W)`` uint8 RGB, decoded."""
        image = self.picture.read()
        for _, change, _ in self._changes:
            image = image if change is None else change(image)
        return image

    @property
    def annotation(self) -> Annotation:
        """The parts of the annotation by name, the mask decoded."""
        return self._changed(self.parts if self.mask is None else {**self.parts, "mask": self.mask.read()})

    @property
    def brief(self) -> Annotation:
        """The annotation with ``(1, N)`` values in the place of a mask."""
        return self._changed(self.parts if self.mask is None else {**self.parts, "mask": self.mask.present})

    @property
    def size(self) -> Size:
        """Height and width of the image in pixels."""
        return self.picture.size

    @property
    def digest(self) -> str:
        """A checksum of the pixels, as the file has them."""
        return self.picture.facts.digest

    def checksum(self) -> str:
        """A checksum of the image and its annotation, wherever they lie; nothing is decoded for it."""
        more = [str(self.picture.facts.orientation if self.picture.upright else UPRIGHT)]
        if self.mask is not None:
            more += [self.mask.facts.digest, self.mask.table.numpy().tobytes().hex()]
        return checksum_of(self.digest, self.brief, *more, *(name for name, _, _ in self._changes))

    def changed(
        self,
        name: str,
        image: Callable[[Tensor], Tensor] | None = None,
        annotation: Callable[[Annotation], Annotation] | None = None,
    ) -> "StoredSample":
        """The sample with a change of its image or of its annotation, made when they are asked for."""
        made = StoredSample(self.picture, self.parts, self.mask, self.places)
        made._changes = (*self._changes, (name, image, annotation))
        return made

    def _changed(self, annotation: Annotation) -> Annotation:
        for _, _, change in self._changes:
            annotation = annotation if change is None else change(annotation)
        return annotation


def _kept(slot: Slot | None, shape: tuple[int, ...], decoded: Callable[[], Tensor]) -> Tensor:
    """What a slot holds; where it is empty, it is filled."""
    if slot is None:
        return decoded()
    held = slot.get()
    if held is not None:
        return held.view(shape)
    made = decoded()
    slot.put(made)
    return made


def _pixels(file: str, decode: Callable[[Path], Decoded], facts: Facts) -> np.ndarray:
    try:
        pixels = decode(Path(file)).pixels
        # A file with another time may still be the same; taking a checksum each time would cost as much as decoding.
        if stamp_of(file) == facts.stamp or digest_of(pixels) == facts.digest:
            return pixels
    except DecodingError:
        pass
    raise DataError(
        f"{file}: expected the picture that was checked when the data were read, found another one or none; restore "
        "it, and continue with --resume what was interrupted"
    )
