import re

import pytest
import torch

from onehead_avl.errors import DataError
from scenarios.read import voc_xml
from scenarios.samples.findings import Fault, refuse_fatal
from scenarios.samples.source import Source


@pytest.fixture
def root(layouts, tmp_path):
    """``train`` and ``valid`` with an XML file beside each image: 4 objects in 3 images, and 3 in 2."""
    return layouts.roboflow_xml(tmp_path)


def read(root, split="train", classes=None, **options):
    findings = []
    samples, classes = voc_xml.read(Source(root, **options), split, findings, classes)
    return samples, classes, findings


def edit(path, pattern, text):
    content = path.read_text()
    changed = re.sub(pattern, text, content, count=1, flags=re.DOTALL)
    assert changed != content
    path.write_text(changed)


def notes_of(findings):
    assert not any(each.fatal for each in findings)
    return [each.problem.replace(": there is one, ", ": ") for each in findings]


def test_boxes_labels_and_crowd(root):
    samples, classes, findings = read(root)
    assert classes == ("dog", "person", "traffic light")
    annotation = samples[0].annotation
    assert annotation["boxes"].tolist() == [[1, 2, 11, 11], [5, 6, 17, 14]]
    assert annotation["labels"].tolist() == [1, 0]
    assert annotation["crowd"].tolist() == [False, False]
    assert samples[0].places == (0, 1)
    assert findings == []


def test_an_image_without_objects_is_a_sample(root):
    edit(root / "train" / "train0.xml", "<object>.*</object>", "")
    parts = read(root)[0][0].annotation
    assert (parts["boxes"].shape, parts["labels"].dtype) == ((0, 4), torch.int64)


def test_the_classes_are_those_of_both_splits(root):
    for path in (root / "valid").glob("*.xml"):
        path.write_text(path.read_text().replace("dog", "cat"))
    assert read(root)[1] == read(root, "val")[1] == ("cat", "dog", "person", "traffic light")


def test_given_classes_decide_the_indices_and_others_are_refused(root):
    assert read(root, classes=["traffic light", "person", "dog"])[0][0].annotation["labels"].tolist() == [1, 2]
    _, _, findings = read(root, classes=["person", "dog"])
    assert [(each.fatal, each.boxes) for each in findings] == [(True, 1)]
    assert str(findings[0]) == (
        f"{root / 'train' / 'train1.xml'}: object 0: expected a name of person, dog, found traffic light; rename or "
        "remove it"
    )


def test_what_is_strange_but_clear_is_noted(root):
    path = root / "train" / "train0.xml"
    edit(path, "<difficult>0", "<difficult>1")
    edit(path, "<size>.*</size>", "")
    edit(path, "<filename>train0.jpg", r"<filename>C:\\pictures\\IMG_7.png")
    edit(path, "<xmin>2</xmin>", "<xmin>0</xmin>")
    edit(root / "train" / "train1.xml", "<xmax>24", "<xmax>99")
    edit(root / "train" / "train2.xml", "<xmax>10", "<xmax>3")
    samples, _, findings = read(root)
    assert [sample.annotation["boxes"].tolist() for sample in samples] == [
        [[0, 2, 11, 11], [5, 6, 17, 14]],
        [[0, 0, 28, 20]],
        [],
    ]
    assert notes_of(findings) == [
        "images whose annotation has no size, or a size of 0, are taken to have that of their file: train0.xml",
        "annotations that give another filename are those of the images of their own name: train0.xml",
        "boxes that begin at 0, though PASCAL VOC counts from 1, are cut at the edge: train0.xml object 0",
        "objects that PASCAL VOC leaves out of its scores as difficult are read as any other: train0.xml object 0",
        "boxes that reach over the edge of their image are cut there: train1.xml object 0",
        "boxes without area in their image are skipped: train2.xml object 0",
    ]
    assert sum(each.boxes for each in findings) == 1


def test_every_picture_and_box_is_read_or_counted(root):
    folder = root / "train"
    edit(folder / "train0.xml", "<name>person</name>", "")  # one of two boxes
    (folder / "train1.jpg").unlink()  # with one box
    edit(folder / "train2.xml", "<width>32", "<width>31")  # with one box
    (folder / "train3.jpg").write_bytes((folder / "train0.jpg").read_bytes())  # without a file
    (folder / "train4.jpg").write_bytes(b"broken")  # with one box
    (folder / "train4.xml").write_text((folder / "train2.xml").read_text())
    (folder / "train5.jpg").write_bytes((folder / "train0.jpg").read_bytes())
    (folder / "train5.xml").write_text("<annotation>")  # no XML
    samples, _, findings = read(root)
    assert [len(sample.annotation["boxes"]) for sample in samples] == [1]
    assert all(each.fatal and each.repair for each in findings)
    assert sum(each.pictures for each in findings) == 5 - 1
    assert sum(each.boxes for each in findings) == 1 + 1 + 1 + 1
    problems = sorted(str(each).removeprefix(f"{folder}/") for each in findings)
    assert [problem.split(": ")[0] for problem in problems] == [
        *("train0.xml", "train1.xml", "train2.jpg", "train3.jpg", "train4.jpg", "train5.xml")
    ]
    assert f"the file is 32 x 24 pixels but {folder / 'train2.xml'} says 31 x 24; use the image that" in problems[2]


def test_a_description_may_name_the_folders(layouts, tmp_path):
    layouts.xml_by_split(tmp_path)
    for kind in ("images", "annotations"):
        (tmp_path / "train" / kind).rename(tmp_path / kind)
    parts = {"images": "images", "annotations": "annotations"}
    source = {"train": parts, "val": {key: f"val/{key}" for key in parts}}
    assert voc_xml.recognises(Source(tmp_path, **source))
    assert [len(sample.annotation["boxes"]) for sample in read(tmp_path, **source)[0]] == [2, 1, 1]
    with pytest.raises(Fault, match=r"expected train: \{images: FOLDER, annotations: FOLDER\}, got .*; name both"):
        read(tmp_path, train={"images": "images"}, val=parts)


def test_images_and_files_in_folders_of_folders_are_joined(layouts, tmp_path):
    layouts.xml_by_split(tmp_path)
    for kind in ("images", "annotations"):
        (tmp_path / "train" / kind / "more").mkdir()
        for path in list((tmp_path / "train" / kind).glob("1.*")):
            path.rename(path.parent / "more" / path.name)
    samples = read(tmp_path)[0]
    assert [sample.name.split("/images/")[1] for sample in samples] == ["0.png", "2.png", "more/1.png"]
    assert [len(sample.annotation["boxes"]) for sample in samples] == [2, 1, 1]


def test_a_devkit_without_any_objects_is_refused(layouts, tmp_path):
    year = layouts.voc_devkit(tmp_path)
    for path in (year / "Annotations").iterdir():
        path.write_text("<annotation></annotation>")
    with pytest.raises(Fault, match="expected annotated objects, found none; annotate some"):
        read(tmp_path)


@pytest.mark.parametrize("missing", ["train", "valid"])
def test_a_missing_split_is_refused(root, missing):
    (root / missing).rename(root / "elsewhere")
    split = {"train": "train", "valid": "val"}[missing]
    with pytest.raises(Fault, match=f"{root / split}: expected a folder of detection images, there is none"):
        read(root, split)


def test_a_folder_without_images_is_refused(root):
    for path in (root / "train").glob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match="expected images"):
        refuse_fatal(root, read(root)[2])


def test_other_layouts_are_not_recognised(layouts, tmp_path):
    for write in ("coco", "roboflow_coco", "yolo", "masks_by_split", "class_folders"):
        assert not voc_xml.recognises(Source(getattr(layouts, write)(tmp_path / write))), write
    assert not voc_xml.recognises(Source(tmp_path / "nowhere"))
