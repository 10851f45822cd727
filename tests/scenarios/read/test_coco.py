import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import coco
from scenarios.read.coco import renumbered_categories, to_corners
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source


def annotations_of(root, split):
    return root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json"


def edit(root, split, change):
    """Apply ``change`` to the content of an annotation file."""
    path = annotations_of(root, split)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def source_of(root):
    return Source(root / "mini_coco_det")


def read(root, split, classes=None):
    """What the reader returns; its findings are raised."""
    findings = []
    found = coco.read(source_of(root), split, findings, classes)
    refuse_fatal(root, findings)
    return found


def assert_refused(root, *fragments, split="train", classes=None):
    with pytest.raises(DataError) as caught:
        read(root, split, classes)
    for fragment in fragments:
        assert str(fragment) in str(caught.value)


def test_boxes_labels_and_crowds(mini_root):
    samples, classes = read(mini_root, "train")
    assert classes == ("person", "car", "dog")
    assert [sample.image.shape for sample in samples] == [(3, 30 + 2 * i, 40 + 4 * i) for i in range(4)]
    assert samples[0].name == str(mini_root / "mini_coco_det" / "train" / "000000000100.jpg")
    assert torch.equal(samples[0].annotation["boxes"], torch.tensor([[4, 5, 24, 15], [0.5, 1.25, 8.5, 9.75]]))
    assert torch.equal(samples[0].annotation["labels"], torch.tensor([0, 1]))
    assert torch.equal(samples[1].annotation["labels"], torch.tensor([2, 0]))
    assert torch.equal(samples[1].annotation["crowd"], torch.tensor([False, True]))
    assert samples[0].annotation.keys() == {"boxes", "labels", "crowd"}


def test_image_without_annotations_is_a_sample(mini_root):
    sample = read(mini_root, "train")[0][2]
    assert (sample.annotation["boxes"].shape, sample.annotation["boxes"].dtype) == ((0, 4), torch.float32)
    assert (sample.annotation["labels"].shape, sample.annotation["labels"].dtype) == ((0,), torch.int64)
    assert (sample.annotation["crowd"].shape, sample.annotation["crowd"].dtype) == ((0,), torch.bool)


def test_categories_are_mapped_by_name(mini_root):
    def renumber(content):
        new = {1: 50, 3: 7, 18: 2}
        for category in content["categories"]:
            category["id"] = new[category["id"]]
        for annotation in content["annotations"]:
            annotation["category_id"] = new[annotation["category_id"]]

    _, classes = read(mini_root, "train")
    before = read(mini_root, "val", classes)[0]
    edit(mini_root, "val", renumber)
    after, same = read(mini_root, "val", list(classes))
    assert same == classes
    assert read(mini_root, "val")[1] == ("dog", "car", "person")
    assert [sample.annotation["labels"].tolist() for sample in after] == [[0, 1], [2, 1]]
    assert all(
        torch.equal(old.annotation["labels"], new.annotation["labels"]) for old, new in zip(before, after, strict=True)
    )


def test_other_numbers_of_the_same_categories_are_worth_knowing(mini_root):
    assert renumbered_categories(source_of(mini_root)) == []

    def renumber(content):
        content["categories"][0]["id"] = content["annotations"][1]["category_id"] = 19

    edit(mini_root, "val", renumber)
    (finding,) = renumbered_categories(source_of(mini_root))
    assert not finding.fatal
    assert str(finding) == (
        f"{annotations_of(mini_root, 'val')}: other category ids than in train (dog): they are mapped by name"
    )


def test_fewer_categories_than_classes_keep_the_indices(mini_root):
    def drop_person(content):
        content["categories"] = [entry for entry in content["categories"] if entry["name"] != "person"]
        content["annotations"] = [entry for entry in content["annotations"] if entry["category_id"] != 1]

    edit(mini_root, "val", drop_person)
    samples, classes = read(mini_root, "val", ("person", "car", "dog"))
    assert classes == ("person", "car", "dog")
    assert [sample.annotation["labels"].tolist() for sample in samples] == [[1], [2, 1]]


def test_pictures_that_are_not_listed_are_worth_knowing(mini_root):
    folder = mini_root / "mini_coco_det" / "train"
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (folder / name).touch()
    findings = []
    samples, _ = coco.read(source_of(mini_root), "train", findings, None)
    assert len(samples) == 4
    (finding,) = findings
    assert not finding.fatal
    assert str(finding).startswith(f"{folder}: pictures not listed in mini_instances_train2017.json are not read")
    assert "2, such as a.PNG" in str(finding)


def test_all_faults_of_a_split_are_found_in_one_pass(mini_root):
    def change(content):
        del content["images"][0]["width"]  # its annotations 1 and 2 are not blamed for it
        content["annotations"][2].update(bbox=[-9, 0, 1, 1])
        content["annotations"][3].update(category_id=4)
        content["annotations"][4].update(id=1)

    edit(mini_root, "train", change)
    folder = mini_root / "mini_coco_det" / "train"
    (folder / "000000000102.jpg").unlink()
    (folder / "000000000103.jpg").write_bytes(b"broken")
    findings = []
    samples, classes = coco.read(source_of(mini_root), "train", findings, None)
    path = annotations_of(mini_root, "train")
    assert [(finding.file, finding.problem.split(",")[0]) for finding in findings if finding.fatal] == [
        (path, "images[0] (id 100): expected 'width' of type int"),
        (path, "expected every annotation id once"),
        (path, "annotation 3: the bbox x"),
        (path, "annotation 4 has category 4"),
        (folder / "000000000102.jpg", "expected this file"),
        (folder / "000000000103.jpg", "expected a picture (JPEG"),
    ]
    assert [sample.name for sample in samples] == [str(folder / "000000000101.jpg")]
    assert classes == ("person", "car", "dog")


@pytest.mark.parametrize("name", ["/etc/passwd", "../val/000000000100.jpg", "sub/../../x.jpg"])
def test_a_listed_picture_outside_its_folder_is_refused(mini_root, name):
    edit(mini_root, "train", lambda content: content["images"][0].update(file_name=name))
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: ", "expected a file name within", repr(name))


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "\ud800", "line\nbreak"])
def test_a_listed_picture_of_an_impossible_name_is_missing(mini_root, name):
    edit(mini_root, "train", lambda content: content["images"][0].update(file_name=name))
    assert_refused(mini_root, "mini_coco_det/train")
    with pytest.raises(DataError) as caught:
        read(mini_root, "train")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1100


def test_samples_are_sorted_by_file_name_and_extra_files_ignored(mini_root):
    before = [sample.name for sample in read(mini_root, "train")[0]]
    edit(mini_root, "train", lambda content: content["images"].reverse())
    (mini_root / "mini_coco_det" / "train" / ".DS_Store").touch()
    (mini_root / "mini_coco_det" / "train" / "unlisted.jpg").touch()
    assert [sample.name for sample in read(mini_root, "train")[0]] == before


def test_iscrowd_may_be_absent(mini_root):
    edit(mini_root, "train", lambda content: [entry.pop("iscrowd") for entry in content["annotations"]])
    assert not any(sample.annotation["crowd"].any() for sample in read(mini_root, "train")[0])


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ([10, 20, 30, 40], [10, 20, 40, 60]),
        ([-0.75, -1, 20, 20], [0, 0, 19.25, 19]),
        ([50, 60, 51, 21], [50, 60, 100, 80]),
        ([5, 5, 0.125, 0.0625], [5, 5, 5.125, 5.0625]),
    ],
    ids=["inside", "a pixel over the upper left", "a pixel over the lower right", "tiny"],
)
def test_to_corners(box, corners):
    assert to_corners(Path("x"), "y", box, width=100, height=80) == corners


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([-1.5, 0, 10, 10], "reaches outside its image of 100 x 80 pixels"),
        ([0, -1.5, 10, 10], "reaches outside"),
        ([95, 0, 6.5, 10], "reaches outside"),
        ([0, 75, 10, 6.5], "reaches outside"),
        ([10, 10, 0, 10], "has no area in its image of 100 x 80 pixels"),
        ([10, 10, 10, -2], "has no area"),
        ([-0.9, 10, 0.5, 10], "has no area"),
        ([100.25, 10, 0.5, 10], "has no area"),
        ([math.nan, 0, 1, 1], "expected a bbox of four finite numbers"),
        ([0, 0, math.inf, 1], "four finite numbers"),
        ([0, 0, 10**400, 1], "four finite numbers"),
        ([0, 0, "5", 1], "four finite numbers"),
        ([0, 0, True, 1], "four finite numbers"),
        ([0, 0, None, 1], "four finite numbers"),
        ([0, 0, 5], "four finite numbers"),
    ],
)
def test_impossible_box_names_file_and_annotation(mini_root, box, problem):
    with pytest.raises(DataError, match=f"^file: here: .*{problem}"):
        to_corners(Path("file"), "here", box, width=100, height=80)

    def change(content):
        content["images"][0].update(width=100, height=80)
        content["annotations"][0]["bbox"] = box

    edit(mini_root, "train", change)
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: annotation 1: ", problem)


def setter(part, position, **values):
    return lambda content: content[part][position].update(values)


def remover(part, position, key):
    return lambda content: content[part][position].pop(key)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content.pop("images"), "expected a list 'images', found nothing; add it"),
        (lambda content: content.pop("annotations"), "expected a list 'annotations', found nothing"),
        (lambda content: content.pop("categories"), "expected a list 'categories', found nothing"),
        (lambda content: content.update(images={"a": 1}), "expected a list 'images', found {'a': 1}"),
        (lambda content: content["images"].clear(), "expected entries in 'images', found none"),
        (lambda content: content["categories"].clear(), "expected entries in 'categories', found none"),
        (lambda content: content["images"].append(7), "images[4]: expected an object with id, file_name"),
        (remover("images", 1, "width"), "images[1] (id 101): expected 'width' of type int, found nothing"),
        (setter("images", 1, height="32"), "images[1] (id 101): expected 'height' of type int, found '32'"),
        (setter("images", 1, id=True), "images[1] (id True): expected 'id' of type int, found True"),
        (remover("images", 0, "file_name"), "images[0] (id 100): expected 'file_name' of type str"),
        (remover("categories", 0, "name"), "categories[0] (id 18): expected 'name' of type str, found nothing"),
        (remover("annotations", 2, "bbox"), "annotations[2] (id 3): expected 'bbox' of type list"),
        (remover("annotations", 2, "id"), "annotations[2] (id nothing): expected 'id' of type int"),
        (setter("annotations", 2, category_id=[1]), "annotations[2] (id 3): expected 'category_id' of type int"),
        (setter("annotations", 2, image_id=999), "annotation 3 names image 999, which is not among images"),
        (setter("annotations", 2, category_id=5), "annotation 3 has category 5, which is not among categories"),
        (setter("annotations", 2, iscrowd=2), "annotation 3: expected iscrowd 0 or 1, found 2"),
        (setter("annotations", 2, iscrowd=[]), "annotation 3: expected iscrowd 0 or 1, found []"),
        (setter("images", 1, id=100), "expected every image id once, found 100 more than once"),
        (
            setter("images", 1, file_name="000000000100.jpg"),
            "expected every image file name once, found '000000000100.jpg' more than once",
        ),
        (setter("annotations", 1, id=1), "expected every annotation id once, found 1 more than once"),
        (setter("categories", 0, id=3), "expected every category id once, found 3 more than once"),
        (setter("categories", 0, name="car"), "expected every category name once, found 'car' more than once"),
    ],
)
def test_wrong_annotation_file_names_file_and_entry(mini_root, change, problem):
    edit(mini_root, "train", change)
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: {problem}")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_annotation_file_that_is_no_json(mini_root, content):
    annotations_of(mini_root, "train").write_bytes(content)
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: expected JSON, found something else")


def test_annotation_file_that_is_another_json(mini_root):
    annotations_of(mini_root, "train").write_text("[1, 2]")
    assert_refused(mini_root, annotations_of(mini_root, "train"), "expected an object with images", "found [1, 2]")


def test_missing_annotation_file(mini_root):
    annotations_of(mini_root, "train").unlink()
    assert_refused(mini_root, annotations_of(mini_root, "train"), "the annotation file cannot be read (No such file")


def test_missing_picture_folder(mini_root):
    folder = mini_root / "mini_coco_det" / "train"
    folder.rename(folder.with_name("elsewhere"))
    assert_refused(mini_root, f"{folder}: expected a folder of detection images (.jpg), there is none")


def test_category_that_is_no_class(mini_root):
    assert_refused(
        mini_root,
        f"{annotations_of(mini_root, 'val')}: category 18 is called 'dog', expected one of person, car;",
        split="val",
        classes=("person", "car"),
    )


def test_missing_picture(mini_root):
    picture = mini_root / "mini_coco_det" / "train" / "000000000102.jpg"
    picture.unlink()
    assert_refused(
        mini_root, f"{picture}: expected this file, image 102 of {annotations_of(mini_root, 'train')}, found none"
    )


def test_a_size_too_large_for_a_float_is_another_size(mini_root):
    edit(mini_root, "train", lambda content: content["images"][0].update(width=10**400))
    assert_refused(mini_root, "000000000100.jpg: the file is 40 x 30 pixels but image 100 of")


def test_picture_of_another_size(mini_root):
    picture = mini_root / "mini_coco_det" / "train" / "000000000102.jpg"
    Image.new("RGB", (34, 48)).save(picture)
    assert_refused(
        mini_root,
        f"{picture}: the file is 34 x 48 pixels but image 102 of {annotations_of(mini_root, 'train')} is 48 x 34;",
    )


def test_broken_picture(mini_root):
    picture = mini_root / "mini_coco_det" / "train" / "000000000102.jpg"
    picture.write_bytes(picture.read_bytes()[:300])
    assert_refused(mini_root, f"{picture}: ")


def test_other_numbers_are_told_with_the_val_split(mini_root):
    def renumber(content):
        content["categories"][0]["id"] = content["annotations"][2]["category_id"] = 19

    edit(mini_root, "val", renumber)
    findings = []
    for split in ("train", "val"):
        coco.read(source_of(mini_root), split, findings, ("person", "car", "dog"))
    assert findings == renumbered_categories(source_of(mini_root))
    assert len(findings) == 1


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_layout_is_recognised_by_either_split(mini_root, split):
    assert coco.recognises(source_of(mini_root))
    annotations_of(mini_root, split).unlink()
    assert coco.recognises(source_of(mini_root))


@pytest.mark.parametrize("name", ["mini_voc_seg", "imagenette_160", "nowhere"])
def test_other_layouts_are_not_recognised(mini_root, name):
    assert not coco.recognises(Source(mini_root / name))


def test_folders_and_files_may_be_named(mini_root):
    expected = read(mini_root, "train")
    folder = mini_root / "mini_coco_det"
    (folder / "train").rename(mini_root / "pictures")
    annotations_of(mini_root, "train").rename(mini_root / "boxes.json")
    source = Source(mini_root, train={"images": "pictures", "annotations": "boxes.json"})
    assert coco.recognises(source)
    findings = []
    samples, classes = coco.read(source, "train", findings, None)
    assert findings == []
    assert classes == expected[1]
    for one, other in zip(samples, expected[0], strict=True):
        assert all(torch.equal(part, other.annotation[name]) for name, part in one.annotation.items())


@pytest.mark.parametrize("given", ["images", "annotations"])
def test_a_folder_without_a_file_is_refused(mini_root, given):
    source = Source(mini_root, train={given: "there"})
    with pytest.raises(DataError, match=r"expected train: \{images: FOLDER, annotations: FILE\}, got .*; name both"):
        coco.read(source, "train", [], None)
