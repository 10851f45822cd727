"""What a saved network sees in anybody's pictures: drawn on them, as masks, and in one JSON file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image
from tqdm import tqdm

from onehead_avl.errors import DataError, UsageError
from onehead_avl.model.layout import Part
from onehead_avl.model.prediction import Prediction
from onehead_avl.model.saved import load_model
from onehead_avl.system.device import choose_device
from onehead_avl.system.files import replacing, write_json
from scenarios.samples.decoding import DecodingError, decode_rgb, turned
from scenarios.samples.findings import Fault
from scenarios.samples.folders import walk
from scenarios.samples.pictures import PICTURES

TOLD = "predictions.json"
"""The file that holds all predictions."""


def write_predictions(
    weights: Path,
    paths: Sequence[Path],
    folder: Path,
    heads: Sequence[str] = ("all",),
    device: str = "auto",
    kinds: Sequence[str] = (),
    network: str | None = None,
) -> str:
    """Write what a network sees in pictures.

    A picture is drawn into ``<its name>.jpg``, what a kind can hold in a picture of its own, such as a mask, is
    ``<its name>_<head>.png``, and :data:`TOLD` holds everything in numbers and names. Pictures are turned as EXIF asks
    for. Those that cannot be read are named at the end, and the others are done.

    Args:
        weights: A file of :func:`~onehead_avl.model.saved.save_model`.
        paths: Pictures, and folders of them, which are searched with all folders in them.
        folder: A new or empty folder.
        heads: The parts of the output to show, or ``all``.
        device: One of :data:`~onehead_avl.system.device_names.DEVICES`.
        kinds: Import paths of kinds that may be imported.
        network: The import path of what builds the network, for weights of one that is none of this package's.

    Returns:
        A sentence that says what was written.

    Raises:
        UsageError: A path or a head does not exist, or the folder holds files.
        WeightsError: The weights are no network of this package.
        DataError: Pictures could not be read.
        OutputError: The folder cannot be written.
    """
    pictures = _pictures(paths)
    saved = load_model(weights, kinds, network)
    chosen = _chosen(heads, saved.layout.heads, weights)
    saved.model.to(choose_device(device))
    _require_empty(folder)
    told, unread = list[dict[str, Any]](), []
    for name, file in tqdm(pictures.items(), unit="picture", disable=None):
        try:
            image = _upright(file)
        except DecodingError as error:
            unread.append({"file_name": str(file), "problem": str(error)})
            continue
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        predictions = saved.predict(image)
        number, (height, width) = len(told) + 1, image.shape[1:]
        about = {"id": number, "file_name": str(file), "height": height, "width": width}
        told.append(about | _written(folder, place, image, predictions, chosen, number))
    content = {
        "weights": str(weights),
        "heads": {each.head: {"kind": each.kind.path, "classes": list(each.classes)} for each in chosen},
        "images": told,
        "unread": unread,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / TOLD, content)
    done = f"{len(told)} pictures and {TOLD} are written to {folder}"
    if unread:
        problems = "; ".join(f"{each['file_name']}: {each['problem']}" for each in unread)
        raise DataError(f"{len(unread)} of {len(pictures)} pictures could not be read: {problems}. {done}")
    return done


def _pictures(paths: Sequence[Path]) -> dict[str, Path]:
    """The pictures by what is written of them is called: below a folder as there, each another name."""
    if missing := [str(path) for path in paths if not path.exists()]:
        raise UsageError(f"expected pictures or folders of them, found nothing at {', '.join(missing)}")
    found: dict[str, Path] = {}
    for path in paths:
        try:
            files = walk(path, PICTURES) if path.is_dir() else [path]
        except Fault as fault:
            raise UsageError(str(fault)) from None
        if not files:
            raise UsageError(
                f"{path}: expected pictures ({', '.join(PICTURES[:5])} ...), found none; name another folder"
            )
        for file in files:
            name = file.relative_to(path).with_suffix("") if path.is_dir() else Path(file.stem)
            number, free = 1, name
            while str(free) in found:
                number += 1
                free = name.with_name(f"{name.name}_{number}")
            found[str(free)] = file
    return found


def _chosen(names: Sequence[str], heads: Sequence[Part], weights: Path) -> list[Part]:
    known = [each.head for each in heads]
    if unknown := [name for name in names if name not in (*known, "all")]:
        raise UsageError(f"--heads expects heads of the weights {weights}, {', '.join(known)}, found {unknown[0]!r}")
    return [each for each in heads if "all" in names or each.head in names]


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--output expects a new or empty folder, but {folder} holds files; choose another")


def _upright(file: Path) -> Tensor:
    """Decode a picture as it is shown: ``(3, H, W)`` uint8."""
    decoded = decode_rgb(file)
    if decoded.frames > 1:
        print(f"note: {file} holds {decoded.frames} pictures, of which the first is read", file=sys.stderr)
    pixels = turned(decoded.pixels, decoded.orientation)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _written(
    folder: Path,
    place: Path,
    image: Tensor,
    predictions: Mapping[str, Prediction],
    heads: Sequence[Part],
    image_id: int,
) -> dict[str, Any]:
    """Write the pictures of one image, and give what JSON says of it."""
    drawn, told = image, dict[str, Any]()
    for part in heads:
        prediction = predictions[part.head]
        drawn = part.kind.draw(drawn, prediction, part.classes)
        told[part.head] = part.kind.as_json(prediction, part.classes, image_id)
        if (own := part.kind.as_picture(prediction)) is not None:
            file = place.with_name(f"{place.name}_{part.head}.png")
            _save(own, file, "PNG")
            told[part.head]["file_name"] = str(file.relative_to(folder))
    file = place.with_name(f"{place.name}.jpg")
    _save(to_pil_image(drawn), file, "JPEG", quality=90, subsampling=0)
    return {"drawn": str(file.relative_to(folder)), **told}


def _save(picture: Image.Image, file: Path, form: str, **options: Any) -> None:
    with replacing(file) as temporary:
        picture.save(temporary, format=form, **options)
