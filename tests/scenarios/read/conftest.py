"""Small data sets in the layouts that people have, every image of another size and other noise."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source

NAMES = ("person", "dog", "traffic light")

# For each image of a split: class, x, y, w, h in whole pixels within 24 x 20.
OBJECTS = {
    "train": [[(0, 1, 2, 10, 9), (1, 5, 6, 12, 8)], [(2, 0, 0, 24, 20)], [(1, 3, 3, 7, 5)]],
    "val": [[(1, 2, 2, 9, 9)], [(0, 4, 1, 12, 14), (2, 8, 8, 5, 5)]],
}


def size_of(index):
    """Width and height."""
    return 24 + 4 * index, 20 + 2 * index


def save_image(path, split, index):
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size_of(index)
    seed = [index, *path.suffix.encode(), *split.encode()]
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(path)


def save_mask(path, index, values=(0, 1, 2)):
    """A mask with a background, a class and another one, and void between them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size_of(index)
    mask = np.full((height, width), values[0], np.uint8)
    mask[2:10] = values[1 + index % 2]
    mask[10] = 255
    mask[11:15, :8] = values[1]
    picture = Image.fromarray(mask)
    picture.putpalette([value * 37 % 256 for value in range(768)])
    picture.save(path)


def xml_of(name, index, objects, size=True):
    width, height = size_of(index)
    things = "".join(
        f"<object><name>{NAMES[label]}</name><difficult>0</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for label, x, y, w, h in objects
    )
    sides = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{name}</filename>{sides}{things}</annotation>"


def coco_of(names, split, order=(0, 1, 2)):
    images, annotations = [], []
    for index, (name, objects) in enumerate(zip(names, OBJECTS[split], strict=True)):
        width, height = size_of(index)
        images.append({"id": index, "file_name": name, "width": width, "height": height})
        for label, x, y, w, h in objects:
            entry = {"id": len(annotations) + 1, "image_id": index, "category_id": order[label], "iscrowd": 0}
            annotations.append({**entry, "bbox": [x, y, w, h], "area": w * h})
    categories = [{"id": order[label], "name": name} for label, name in enumerate(NAMES)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def rows_of(index, objects):
    """Rows of Ultralytics'; the last object of several is a polygon."""
    width, height = size_of(index)
    rows = []
    for number, (label, x, y, w, h) in enumerate(objects):
        if number:
            points = [(x, y + h / 2), (x + w / 2, y), (x + w, y + h / 2), (x + w / 2, y + h)]
            rows.append(" ".join([str(label), *(f"{px / width:.9f} {py / height:.9f}" for px, py in points)]))
        else:
            cx, cy = (x + w / 2) / width, (y + h / 2) / height
            rows.append(f"{label} {cx:.9f} {cy:.9f} {w / width:.9f} {h / height:.9f}")
    return "\n".join(rows)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def voc_devkit(root, stray=True):
    """PASCAL VOC's folders for both kinds; one picture is in no list."""
    year = root / "VOCdevkit" / "VOC2012"
    for split, images in OBJECTS.items():
        names = [f"2007_{split}{index}" for index in range(len(images))]
        for index, (name, objects) in enumerate(zip(names, images, strict=True)):
            save_image(year / "JPEGImages" / f"{name}.jpg", split, index)
            save_mask(year / "SegmentationClass" / f"{name}.png", index, (0, 12, 15))
            write(year / "Annotations" / f"{name}.xml", xml_of(f"{name}.jpg", index, objects))
        for kind in ("Main", "Segmentation"):
            write(year / "ImageSets" / kind / f"{split}.txt", "".join(f"{name}\n" for name in names))
    if stray:
        save_image(year / "JPEGImages" / "2007_stray.jpg", "stray", 0)
    return year


def masks_by_split(root, val="val", called="masks", mask="{}"):
    """``<split>/images`` and ``<split>/masks``."""
    for split, images in OBJECTS.items():
        folder = root / (val if split == "val" else split)
        for index in range(len(images)):
            save_image(folder / "images" / f"{index}.png", split, index)
            save_mask(folder / called / f"{mask.format(index)}.png", index)
    return root


def masks_by_kind(root):
    """``images/<split>`` and ``masks/<split>``."""
    for split, images in OBJECTS.items():
        for index in range(len(images)):
            save_image(root / "images" / split / f"{index}.png", split, index)
            save_mask(root / "masks" / split / f"{index}.png", index)
    return root


def coco(root):
    """The official folders, with other annotations beside those of the instances."""
    for split, images in OBJECTS.items():
        names = [f"{index:012}.jpg" for index in range(len(images))]
        for index, name in enumerate(names):
            save_image(root / f"{split}2017" / name, split, index)
        order = (1, 18, 10) if split == "train" else (7, 5, 3)
        write(root / "annotations" / f"instances_{split}2017.json", coco_of(names, split, order))
        write(root / "annotations" / f"captions_{split}2017.json", "{}")
    return root


def roboflow_coco(root):
    """``train`` and ``valid`` with a file of annotations in each."""
    for split, folder in (("train", "train"), ("val", "valid")):
        names = [f"{split}-{index}_jpg.rf.{index}.jpg" for index in range(len(OBJECTS[split]))]
        for index, name in enumerate(names):
            save_image(root / folder / name, split, index)
        write(root / folder / "_annotations.coco.json", coco_of(names, split))
    return root


def roboflow_xml(root):
    """``train`` and ``valid`` with an XML file beside each image."""
    for split, folder in (("train", "train"), ("val", "valid")):
        for index, objects in enumerate(OBJECTS[split]):
            save_image(root / folder / f"{split}{index}.jpg", split, index)
            write(root / folder / f"{split}{index}.xml", xml_of(f"{split}{index}.jpg", index, objects))
    return root


def xml_by_split(root):
    """``<split>/images`` and ``<split>/annotations``."""
    for split, images in OBJECTS.items():
        for index, objects in enumerate(images):
            save_image(root / split / "images" / f"{index}.png", split, index)
            write(root / split / "annotations" / f"{index}.xml", xml_of(f"{index}.png", index, objects))
    return root


def yolo(root, **content):
    """Roboflow's folders and its ``data.yaml``, whose paths start in another folder than its own."""
    for split, folder in (("train", "train"), ("val", "valid")):
        for index, objects in enumerate(OBJECTS[split]):
            save_image(root / folder / "images" / f"{index}.png", split, index)
            write(root / folder / "labels" / f"{index}.txt", rows_of(index, objects))
    made = {"train": "../train/images", "val": "../valid/images", "nc": 3, "names": list(NAMES)}
    write(root / "data.yaml", yaml.safe_dump(made | content))
    return root


def class_folders(root, val="valid"):
    for split, folder in (("train", "train"), ("val", val)):
        for index in range(4):
            save_image(root / folder / ("rose", "tulip")[index % 2] / f"{index}.png", split, index)
    return root


def table(root, delimiter=";"):
    lines = [delimiter.join(("split", "file", "who", "label"))]
    for split, called in (("train", "train"), ("val", "valid")):
        for index in range(4):
            save_image(root / "images" / f"{split} {index}.png", split, index)
            lines.append(
                delimiter.join((called, f'"images/{split} {index}.png"', "", ("rose", '"red, or tulip"')[index % 2]))
            )
    (root / "labels.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    return root / "labels.csv"


@pytest.fixture(scope="session")
def layouts():
    """The functions that write data sets, and what these hold."""
    return SimpleNamespace(**{name: value for name, value in globals().items() if callable(value)}, objects=OBJECTS)


@pytest.fixture(scope="session")
def names():
    """The class names of the boxes."""
    return NAMES


@pytest.fixture(scope="session")
def voc_classes():
    """The class names of PASCAL VOC."""
    return VOC_CLASSES


@pytest.fixture(scope="session")
def read_with():
    """Read both splits with a reader; faults are raised, notes come back as texts."""

    def read_with(module, root, **options):
        source, findings = Source(root, **options), []
        train, classes = module.read(source, "train", findings, None)
        val, again = module.read(source, "val", findings, classes)
        refuse_fatal(root, findings)
        assert again == classes
        assert module.recognises(source)
        return train, val, classes, [str(finding) for finding in findings]

    return read_with
