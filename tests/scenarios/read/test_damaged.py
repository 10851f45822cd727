"""Broken files of the layouts that people have: refused in printable sentences, or read with every picture counted."""

from collections import Counter
from random import Random

import pytest
import torch

from scenarios.read import class_folders, coco, masks, table, voc_devkit, voc_xml, yolo
from scenarios.samples.findings import Fault
from scenarios.samples.source import Source

CASES = 150

NAMES = {0: "ground", 1: "sky", 2: "cat"}

# What writes the data, its reader, the files that are broken, and how many pictures of train they may be.
WAYS = {
    "xml": ("roboflow_xml", voc_xml, "train/*.xml", 3),
    "lists of boxes": ("voc_devkit", voc_xml, "VOCdevkit/VOC2012/ImageSets/Main/*.txt", None),
    "lists of masks": ("voc_devkit", voc_devkit, "VOCdevkit/VOC2012/ImageSets/Segmentation/*.txt", None),
    "masks": ("masks_by_split", masks, "train/masks/*.png", 3),
    "coco": ("roboflow_coco", coco, "train/*.json", None),
    "description": ("yolo", yolo, "data.yaml", None),
    "rows": ("yolo", yolo, "train/labels/*.txt", 3),
    "table": ("table", table, "labels.csv", None),
    "pictures": ("class_folders", class_folders, "train/*/*.png", 4),
}


@pytest.mark.parametrize("way", WAYS)
def test_broken_files_are_refused_or_read(layouts, damage, no_hang, tmp_path, way):
    write, module, pattern, pictures = WAYS[way]
    folder = tmp_path / "around" / "data"  # a broken path may well lead to the folders around, which other tests fill
    folder.mkdir(parents=True)
    path = getattr(layouts, write)(folder)
    files = sorted(folder.glob(pattern))
    source = Source(path, names=NAMES if module is masks else None)
    ended = Counter()
    for seed in range(CASES):
        random = Random(seed)
        file = random.choice(files)
        good = file.read_bytes()
        file.write_bytes(damage(random, good))
        try:
            with no_hang():
                ended[outcome(module, source, pictures)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, {file.name}: {file.read_bytes()[:300]!r}") from error
        finally:
            file.write_bytes(good)
    assert sum(ended.values()) == CASES
    assert ended["refused"] > CASES // 10


def outcome(module, source, pictures):
    findings = []
    assert module.recognises(source) in (True, False)
    try:
        samples, classes = module.read(source, "train", findings, None)
    except Fault as fault:
        findings.append(fault.finding)
    else:
        if pictures is not None:
            assert len(samples) + sum(each.pictures for each in findings) == pictures, list(map(str, findings))
        for sample in samples:
            require_promises(sample, classes)
    assert all(str(each).isprintable() and len(str(each)) < 1100 for each in findings)
    return "refused" if any(each.fatal for each in findings) else "accepted"


def require_promises(sample, classes):
    annotation = sample.annotation
    height, width = sample.size
    assert sample.image.shape == (3, height, width)
    if "boxes" in annotation:
        boxes = annotation["boxes"]
        assert torch.isfinite(boxes).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([width, height, width, height])).all()
        assert all(0 <= label < len(classes) for label in annotation["labels"].tolist())
        assert len(boxes) == len(annotation["labels"]) == len(annotation["crowd"])
    elif "mask" in annotation:
        assert annotation["mask"].shape == (height, width)
        assert all(value < len(classes) or value == 255 for value in annotation["mask"].unique().tolist())
    else:
        assert 0 <= annotation["label"] < len(classes)
