"""The readers against those of other projects: boxes one by one, masks and pictures pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import supervision
import torch
import torchvision.datasets
from torchvision.transforms.functional import pil_to_tensor

from scenarios.read import class_folders, coco, masks, voc_devkit, voc_xml, yolo

FOLDERS = {"train": "train", "val": "valid"}


def assert_same_boxes(samples, classes, others):
    """Compare with a data set of supervision's; it has its own order of classes."""
    assert [Path(path).name for path in others.image_paths] == [Path(sample.name).name for sample in samples]
    for sample, (path, pixels, found) in zip(samples, others, strict=True):
        assert sample.name == path
        assert np.array_equal(sample.image.permute(1, 2, 0).numpy(), pixels[..., ::-1])
        annotation = sample.annotation
        np.testing.assert_allclose(annotation["boxes"].numpy(), found.xyxy, atol=1e-4)
        assert [classes[label] for label in annotation["labels"]] == [others.classes[i] for i in found.class_id]


def assert_same_picture(sample, picture):
    assert torch.equal(sample.image, pil_to_tensor(picture.convert("RGB")))


def in_order(directory, **options):
    """What supervision reads of one folder, in the order of file names."""
    found = getattr(supervision.DetectionDataset, directory)(**{key: str(value) for key, value in options.items()})
    found.image_paths.sort()
    return found


@pytest.mark.parametrize("split", FOLDERS)
def test_official_coco(layouts, read_with, names, tmp_path, split):
    root = layouts.coco(tmp_path)
    train, val, classes, _ = read_with(coco, root)
    samples = {"train": train, "val": val}[split]
    assert classes == ("person", "traffic light", "dog")  # in the order of the ids of train
    folder, file = root / f"{split}2017", root / "annotations" / f"instances_{split}2017.json"
    assert_same_boxes(samples, classes, in_order("from_coco", images_directory_path=folder, annotations_path=file))
    others = torchvision.datasets.CocoDetection(folder, file)
    called = {key: entry["name"] for key, entry in others.coco.cats.items()}
    for sample, (picture, annotations) in zip(samples, others, strict=True):
        assert_same_picture(sample, picture)
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (each["bbox"] for each in annotations)]
        assert sample.annotation["boxes"].tolist() == boxes
        labels = [called[each["category_id"]] for each in annotations]
        assert [classes[label] for label in sample.annotation["labels"]] == labels


def test_coco_of_roboflow(layouts, read_with, tmp_path):
    root = layouts.roboflow_coco(tmp_path)
    train, val, classes, _ = read_with(coco, root)
    for samples, folder in ((train, "train"), (val, "valid")):
        places = {"images_directory_path": root / folder, "annotations_path": root / folder / "_annotations.coco.json"}
        assert_same_boxes(samples, classes, in_order("from_coco", **places))


def test_yolo_with_boxes_and_polygons(layouts, read_with, names, tmp_path):
    root = layouts.yolo(tmp_path)
    train, val, classes, _ = read_with(yolo, root)
    assert classes == names
    for samples, folder in ((train, "train"), (val, "valid")):
        places = {"images_directory_path": root / folder / "images", "data_yaml_path": root / "data.yaml"}
        others = in_order("from_yolo", annotations_directory_path=root / folder / "labels", **places)
        assert_same_boxes(samples, classes, others)


@pytest.mark.parametrize(
    ("write", "images", "annotations"),
    [
        ("roboflow_xml", ("train", "valid"), ("train", "valid")),
        ("xml_by_split", ("train/images", "val/images"), ("train/annotations", "val/annotations")),
    ],
)
def test_xml_in_folders(layouts, read_with, names, tmp_path, write, images, annotations):
    root = getattr(layouts, write)(tmp_path)
    train, val, classes, _ = read_with(voc_xml, root)
    assert classes == tuple(sorted(names))
    for samples, folder, files in zip((train, val), images, annotations, strict=True):
        places = {"images_directory_path": root / folder, "annotations_directory_path": root / files}
        assert_same_boxes(samples, classes, in_order("from_pascal_voc", **places))


def test_xml_of_a_devkit(layouts, read_with, tmp_path):
    layouts.voc_devkit(tmp_path)
    train, val, classes, _ = read_with(voc_xml, tmp_path)
    for samples, split in ((train, "train"), (val, "val")):
        others = torchvision.datasets.VOCDetection(tmp_path, year="2012", image_set=split)
        assert len(samples) == len(others)
        for sample, (picture, tree) in zip(samples, others, strict=True):
            assert_same_picture(sample, picture)
            things = tree["annotation"]["object"]
            assert [classes[label] for label in sample.annotation["labels"]] == [thing["name"] for thing in things]
            texts = [[int(thing["bndbox"][key]) for key in ("xmin", "ymin", "xmax", "ymax")] for thing in things]
            # torchvision leaves the numbers as they are: pixels counted from 1, the last ones included.
            assert (sample.annotation["boxes"] + torch.tensor([1, 1, 0, 0])).tolist() == texts


@pytest.mark.parametrize("path", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_masks_of_a_devkit(layouts, read_with, voc_classes, tmp_path, path):
    layouts.voc_devkit(tmp_path)
    train, val, classes, _ = read_with(voc_devkit, tmp_path / path)
    assert classes == voc_classes
    for samples, split in ((train, "train"), (val, "val")):
        others = torchvision.datasets.VOCSegmentation(tmp_path, year="2012", image_set=split)
        assert [sample.name for sample in samples] == others.images
        for sample, (picture, mask) in zip(samples, others, strict=True):
            assert_same_picture(sample, picture)
            assert np.array_equal(sample.annotation["mask"].numpy(), np.array(mask))


@pytest.mark.parametrize("write", ["masks_by_split", "masks_by_kind"])
def test_masks_by_convention(layouts, read_with, tmp_path, write):
    from PIL import Image

    root = getattr(layouts, write)(tmp_path)
    samples, _, classes, _ = read_with(masks, root, names={0: "ground", 2: "cat", 1: "sky"})
    assert classes == ("ground", "sky", "cat")
    for index, sample in enumerate(samples):
        image = Path(sample.name)
        assert_same_picture(sample, Image.open(image))
        mask = Image.open(str(image).replace("/images/", "/masks/"))
        assert (image.name, np.array_equal(sample.annotation["mask"].numpy(), np.array(mask))) == (f"{index}.png", True)


def test_class_folders(layouts, read_with, tmp_path):
    root = layouts.class_folders(tmp_path)
    train, val, classes, _ = read_with(class_folders, root)
    for samples, folder in ((train, "train"), (val, "valid")):
        others = torchvision.datasets.ImageFolder(root / folder)
        assert list(classes) == others.classes
        assert [(sample.name, sample.annotation["label"]) for sample in samples] == others.samples
        for sample, (picture, _) in zip(samples, others, strict=True):
            assert_same_picture(sample, picture)
