"""The pictures of a report in one file: image, annotation, and what was predicted after each stage."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize, to_pil_image

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Measure
from onehead_avl.evaluation.shown import compact, read_arrays, write_arrays

FILE = "shown.npz"

CHOSEN = 3
"""Pictures of each experience that are chosen by the seed, and as many of which most was lost."""

_LONGEST = 480  # pixels of the longer side in the file: a page shows them smaller
_ABOUT = "about"

Parts = dict[str, Tensor]


@dataclass(frozen=True)
class ShownPicture:
    """A validation image that a report shows.

    Attributes:
        experience: The name of its experience.
        name: Where the image comes from.
        image: ``(3, H, W)`` uint8, at its original size.
        annotation: The parts of its annotation.
        predictions: What was predicted after each stage; ``None`` where that means nothing.
        values: The primary metric of this image alone after each stage; ``None`` where it was not measured.
        lost: Whether it was chosen because most was lost of it.
    """

    experience: str
    name: str
    image: Tensor
    annotation: Parts
    predictions: tuple[Parts | None, ...]
    values: tuple[float | None, ...]
    lost: bool


def choose(values: Mapping[int, Sequence[float | None]], own: int, measure: Measure) -> dict[int, bool]:
    """Choose the pictures of an experience.

    Args:
        values: The primary metric after each stage of each candidate, by its position, in the order in which they were
            drawn by the seed.
        own: The position of the stage that taught the experience.
        measure: The metric.

    Returns:
        Whether each was chosen because much was lost of it, by position; the first ones of the candidates, then those
        with the largest loss from the own stage to the last one, if there is any; otherwise the next candidates.
    """
    first, others = list(values)[:CHOSEN], list(values)[CHOSEN:]
    losses = {position: measure.gain(values[position][-1], values[position][own]) for position in others}
    known = {position: loss for position, loss in losses.items() if loss is not None and loss > 0}
    lost = sorted(known, key=lambda position: -known[position])[:CHOSEN]
    rest = [position for position in others if position not in lost][: CHOSEN - len(lost)]
    return {**dict.fromkeys(first, False), **dict.fromkeys(lost, True), **dict.fromkeys(rest, False)}


def write_shown(path: Path, pictures: Sequence[ShownPicture]) -> None:
    """Write the pictures of a report; their images are kept small.

    Raises:
        OutputError: The file cannot be written.
    """
    arrays: dict[str, numpy.ndarray] = {}
    about = []
    for key, each in enumerate(pictures):
        arrays[f"{key}/image"] = numpy.frombuffer(_jpeg(each.image), dtype=numpy.uint8)
        arrays |= {f"{key}/annotation/{name}": compact(value) for name, value in each.annotation.items()}
        for stage, parts in enumerate(each.predictions):
            arrays |= {f"{key}/{stage}/{name}": compact(value) for name, value in (parts or {}).items()}
        about.append(
            {
                "experience": each.experience,
                "name": each.name,
                "size": list(each.image.shape[-2:]),
                "values": each.values,
                "predicted": [parts is not None for parts in each.predictions],
                "lost": each.lost,
            }
        )
    write_arrays(path, {_ABOUT: numpy.asarray(json.dumps(about)), **arrays})


def read_shown(path: Path) -> list[ShownPicture]:
    """Read what :func:`write_shown` wrote; nothing if there is no such file.

    Raises:
        OutputError: The file holds something else.
    """
    if not path.exists():
        return []
    try:
        arrays = read_arrays(path)
        pictures = json.loads(str(arrays[_ABOUT]))
        return [_picture(about, _under(arrays, f"{key}/")) for key, about in enumerate(pictures)]
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise OutputError(
            f"{path}: expected the pictures of a run, found something else ({type(error).__name__}); remove it"
        ) from error


def _picture(about: Mapping[str, Any], arrays: Mapping[str, numpy.ndarray]) -> ShownPicture:
    image = Image.open(io.BytesIO(arrays["image"].tobytes()), formats=("JPEG",)).convert("RGB")
    pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)
    height, width = (int(side) for side in about["size"])
    return ShownPicture(
        experience=str(about["experience"]),
        name=str(about["name"]),
        image=resize(pixels, [height, width], antialias=True),
        annotation=_tensors(_under(arrays, "annotation/")),
        predictions=tuple(
            _tensors(_under(arrays, f"{stage}/")) if means else None for stage, means in enumerate(about["predicted"])
        ),
        values=tuple(about["values"]),
        lost=bool(about["lost"]),
    )


def _tensors(arrays: Mapping[str, numpy.ndarray]) -> Parts:
    """Parts as the kinds have them: integers that were made small are large again, masks of annotations too."""
    return {
        name: torch.from_numpy(value.astype(numpy.int64) if value.dtype.kind in "iu" else value)
        for name, value in arrays.items()
    }


def _under(arrays: Mapping[str, numpy.ndarray], begin: str) -> dict[str, numpy.ndarray]:
    return {name.removeprefix(begin): value for name, value in arrays.items() if name.startswith(begin)}


def _jpeg(image: Tensor) -> bytes:
    """A small copy of an image."""
    picture = to_pil_image(image)
    picture.thumbnail((_LONGEST, _LONGEST))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=85, subsampling=0)
    return file.getvalue()
