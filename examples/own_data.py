"""Three small folders with classes of their own, in layouts that people have, and a stream that describes them.

``python examples/own_data.py FOLDER`` writes them; ``docs/your-own-data.md`` says what to do with them.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from scenarios.drawn.embedded import RECIPES, Picture, picture
from scenarios.drawn.looks import CATEGORIES
from scenarios.drawn.scenes import box, class_mask

SIZE = 96
COUNTS = {"train": 48, "val": 16}
CLASSES = ("round", "edged")
ROUND = ("disk", "ring", "crescent", "heart")

STREAM = """\
experiences:
  - name: outlines
    kind: segmentation
    path: outlines                    # relative to this file
    train: {images: train, masks: train_masks}
    val: {images: val, masks: val_masks}
    names: {0: background, 10: round, 20: edged}
    ignore: [255]
  - {name: things, kind: detection, path: things/data.yaml}
  - {name: portraits, kind: classification, path: portraits}
"""

DATA_YAML = """\
train: images/train
val: images/val
names: [round, edged]
"""


def main() -> None:
    """Write the folders and the description."""
    parser = argparse.ArgumentParser(description="Write three small folders of images and a stream that reads them.")
    parser.add_argument("folder", type=Path, help="a new folder")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    for split, count in COUNTS.items():
        for index in range(count):
            write_outline(folder / "outlines", split, index)
            write_things(folder / "things", split, index)
            write_portrait(folder / "portraits", split, index)
    (folder / "things" / "data.yaml").write_text(DATA_YAML, encoding="utf-8")
    (folder / "stream.yaml").write_text(STREAM, encoding="utf-8")
    print(f"written: {folder / 'stream.yaml'} and the folders it names")


def class_of(category: int) -> int:
    """The class of a drawn object, by what it is drawn as."""
    return 0 if CATEGORIES[category] in ROUND else 1


def write_outline(folder: Path, split: str, index: int) -> None:
    """Write an image, and a mask of 0, 10 and 20 with a void line around objects."""
    drawn = picture(RECIPES["segmentation"], split, index, SIZE)
    mask = class_mask(drawn.scene)
    values = np.zeros(256, np.uint8)
    values[255] = 255
    for category in range(len(CATEGORIES)):
        values[1 + category] = 10 * (1 + class_of(category))
    save(image_of(drawn), folder / split / f"{index:03}.jpg")
    save(Image.fromarray(values[mask]), folder / f"{split}_masks" / f"{index:03}.png")


def write_things(folder: Path, split: str, index: int) -> None:
    """Write an image, and its boxes as rows of class, centre, width and height in shares of the image."""
    drawn = picture(RECIPES["detection"], split, index, SIZE)
    rows = []
    for position, thing in enumerate(drawn.scene.things):
        if thing.category is not None and not thing.crowd:
            x1, y1, x2, y2 = (side / SIZE for side in box(drawn.scene.visible(position)))
            rows.append(f"{class_of(thing.category)} {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n")
    save(image_of(drawn), folder / "images" / split / f"{index:03}.jpg")
    labels = folder / "labels" / split / f"{index:03}.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text("".join(rows), encoding="utf-8")


def write_portrait(folder: Path, split: str, index: int) -> None:
    """Write an image into the folder of its class."""
    drawn = picture(RECIPES["classification"], split, index, SIZE)
    save(image_of(drawn), folder / split / CLASSES[class_of(drawn.category)] / f"{index:03}.jpg")


def image_of(drawn: Picture) -> Image.Image:
    """The image as Pillow has it."""
    return Image.fromarray(drawn.image.permute(1, 2, 0).numpy())


def save(image: Image.Image, path: Path) -> None:
    """Save an image, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


if __name__ == "__main__":
    main()
