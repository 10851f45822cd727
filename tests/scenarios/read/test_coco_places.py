import json

import pytest

from scenarios.read import coco
from scenarios.read.coco_places import annotation_files, places, recognises
from scenarios.samples.findings import Fault
from scenarios.samples.source import Source


def make(root, *names):
    """Folders, and files where a name has a suffix."""
    for name in names:
        path = root / name
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text("{}")


def found(root, split):
    folder, file = places(Source(root), split)
    return folder.relative_to(root).as_posix(), file.relative_to(root).as_posix()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["val", "annotations/mini_instances_val2017.json"], ["val", "annotations/mini_instances_val2017.json"]),
        (
            ["val", "val2017", "annotations/mini_instances_val2017.json", "annotations/instances_val2017.json"],
            ["val", "annotations/mini_instances_val2017.json"],
        ),
        (
            ["val2017", "annotations/instances_val2017.json", "annotations/captions_val2017.json"],
            ["val2017", "annotations/instances_val2017.json"],
        ),
        (
            ["images/val2014", "annotations/instances_val2014.json"],
            ["images/val2014", "annotations/instances_val2014.json"],
        ),
        (["images/val", "annotations/my_val.json"], ["images/val", "annotations/my_val.json"]),
        (["images", "annotations/val.json"], ["images", "annotations/val.json"]),
        (["validation", "annotations/valid-3.JSON"], ["validation", "annotations/valid-3.JSON"]),
        (["valid/_annotations.coco.json"], ["valid", "valid/_annotations.coco.json"]),
        (["val", "annotations/train.json"], None),
        (["val", "annotations/interval.json"], ["val", "annotations/mini_instances_val2017.json"]),
        ([], ["val", "annotations/mini_instances_val2017.json"]),
    ],
)
def test_folder_and_file_are_found_by_name(tmp_path, names, expected):
    make(tmp_path, *names)
    if expected is None:
        with pytest.raises(Fault, match="expected an annotation file of the split val, found none; name them in a"):
            found(tmp_path, "val")
    else:
        assert found(tmp_path, "val") == tuple(expected)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (
            ["val", "annotations/val_a.json", "annotations/val_b.json"],
            "expected one annotation file for the split val, found annotations/val_a.json, annotations/val_b.json;",
        ),
        (
            ["annotations/instances_val2014.json", "annotations/instances_val2017.json"],
            "expected one annotation file for the split val, found annotations/instances_val2014.json, annotations/ins",
        ),
        (
            ["annotations/val.json", "valid/_annotations.coco.json"],
            "expected one annotation file for the split val, found annotations/val.json, valid/_annotations.coco.json;",
        ),
        (
            ["val", "val2017", "annotations/instances_val2017.json"],
            "expected one folder of the images of instances_val2017.json for the split val, found val, val2017;",
        ),
        (
            ["annotations/val.json"],
            "expected a folder of the images of val.json, such as val or images/val, found none;",
        ),
    ],
)
def test_doubt_is_refused_with_a_way_out(tmp_path, names, problem):
    make(tmp_path, *names)
    assert recognises(Source(tmp_path))
    with pytest.raises(Fault) as caught:
        found(tmp_path, "val")
    assert problem in str(caught.value)
    assert str(caught.value).endswith("name them in a description, val: {images: FOLDER, annotations: FILE}")


def test_names_of_a_description_end_the_doubt(tmp_path):
    make(tmp_path, "val", "val2017", "annotations/val_a.json", "annotations/val_b.json")
    parts = {"images": "val2017", "annotations": "annotations/val_b.json"}
    source = Source(tmp_path, parts, parts)
    assert recognises(source)
    assert places(source, "val") == (tmp_path / "val2017", tmp_path / "annotations" / "val_b.json")


def test_a_folder_of_annotations_is_another_layout(tmp_path):
    make(tmp_path, "images", "annotations/val.json")
    parts = {"images": "images", "annotations": "annotations"}
    assert not recognises(Source(tmp_path, parts, parts))


def test_other_layouts_are_not_recognised(layouts, tmp_path):
    for write in ("roboflow_xml", "xml_by_split", "yolo", "masks_by_split", "class_folders", "voc_devkit"):
        assert not recognises(Source(getattr(layouts, write)(tmp_path / write))), write
    assert annotation_files(tmp_path / "nowhere", "val") == []


def test_what_is_read_is_noted_but_for_the_challenges_names(layouts, read_with, mini_root, tmp_path):
    notes = read_with(coco, layouts.coco(tmp_path / "coco"))[3]
    assert f"{tmp_path / 'coco'}: train is read from train2017 and annotations/instances_train2017.json" in notes
    findings = []
    coco.read(Source(mini_root / "mini_coco_det"), "train", findings, None)
    assert findings == []


def test_the_classes_of_both_files_are_one_list(layouts, read_with, tmp_path):
    root = layouts.roboflow_coco(tmp_path)
    path = root / "valid" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    content["categories"].append({"id": 9, "name": "cat"})
    content["annotations"][0]["category_id"] = 9
    path.write_text(json.dumps(content))
    _, val, classes, _ = read_with(coco, root)
    assert classes == ("person", "dog", "traffic light", "cat")
    assert val[0].annotation["labels"].tolist() == [3]


def test_boxes_of_a_category_that_is_no_class_are_counted_once(layouts, tmp_path):
    root = layouts.roboflow_coco(tmp_path)
    (root / "train" / "train-1_jpg.rf.1.jpg").unlink()  # one traffic light
    findings = []
    samples, _ = coco.read(Source(root), "train", findings, ["traffic light", "dog"])
    kept = sum(len(sample.annotation["boxes"]) for sample in samples)
    assert kept == 2
    assert kept + sum(each.boxes for each in findings) == 4
