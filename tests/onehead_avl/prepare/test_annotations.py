import json

import pytest

from onehead_avl.prepare.annotations import BEYOND_COCO, annotations_of, category_numbers, renumbered
from scenarios.read import coco
from scenarios.samples.classes import COCO_IDS
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source

CLASSES = ("person", "car", "dog")


def edit(root, split, change):
    path = root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return content


def read(root, split="train", classes=CLASSES):
    findings = []
    samples, _ = coco.read(Source(root / "mini_coco_det"), split, findings, classes)
    refuse_fatal(root, findings)
    return samples


def written(root, samples, split="train", classes=CLASSES):
    """The annotation file of a copy in which images keep their names."""
    names = {sample.name: sample.name.rpartition("/")[2] for sample in samples}
    content = annotations_of(Source(root / "mini_coco_det"), split, classes, samples, names)
    assert content.endswith(b"\n")
    return json.loads(content)


def test_categories_have_cocos_numbers_and_others_come_after_them_by_name():
    assert category_numbers(["wolf", "dog", "person", "cart"]) == {
        **{"dog": 18, "person": 1},
        **{"cart": BEYOND_COCO, "wolf": BEYOND_COCO + 1},
    }
    assert max(COCO_IDS.values()) < BEYOND_COCO
    assert category_numbers([]) == {}


def test_a_sound_file_is_written_as_it_was(mini_root):
    before = edit(mini_root, "train", lambda content: content.update(info={"year": 2017}, licenses=[{"id": 3}]))
    after = written(mini_root, read(mini_root))
    assert after.pop("categories") == sorted(before.pop("categories"), key=lambda entry: entry["id"])
    assert after == before


def test_what_is_not_read_is_kept_where_it_was(mini_root):
    def change(content):
        content["images"][1].update(license=7, coco_url="http://there")
        content["annotations"][2].update(segmentation=[[1, 1, 9, 1, 9, 9]], area=5.5)
        content["categories"][0].update(supercategory="animal")

    before = edit(mini_root, "train", change)
    after = written(mini_root, read(mini_root)[1:])
    assert after["images"] == before["images"][1:]
    assert after["annotations"] == before["annotations"][2:]
    assert {"id": 18, "name": "dog", "supercategory": "animal"} in after["categories"]


def test_boxes_that_were_cut_or_written_as_text_are_written_as_they_were_read(mini_root):
    boxes = [[4.0, 5, 20, 10], [-0.5, 1, 20, 10], [30, 20, 30, 40], ["1", "2", "3", "4.5"], [5, 5, 0, 3]]

    def change(content):
        first = content["annotations"][0]
        content["annotations"] = [first | {"id": i, "bbox": box} for i, box in enumerate(boxes, start=1)]

    edit(mini_root, "train", change)
    after = written(mini_root, read(mini_root))
    assert [entry["bbox"] for entry in after["annotations"]] == [
        [4.0, 5, 20, 10],
        [-0.5, 1, 20, 10],  # over the edge by rounding: read the same again
        [30, 20, 10, 10],
        [1, 2, 3, 4.5],
    ]
    assert [entry["id"] for entry in after["annotations"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[1].pop("id"),
        lambda entries: entries[1].update(id="2"),
        lambda entries: entries[1].update(id=entries[0]["id"]),
    ],
)
@pytest.mark.parametrize("part", ["images", "annotations"])
def test_ids_that_are_no_numbers_of_their_own_are_numbered_anew(mini_root, part, change):
    def spoil(content):
        for number, image in enumerate(content["images"]):  # other than positions, as those of annotations are made
            image["id"] = 50 + number
        for number, entry in enumerate(content["annotations"]):
            entry.update(id=70 + number, image_id=entry["image_id"] - 50)
        if part == "annotations":
            change(content[part])

    expected = [sample.annotation["boxes"].tolist() for sample in read(mini_root)]
    edit(mini_root, "train", spoil)
    samples = read(mini_root)
    if part == "images":  # such as a reader reads them: listed twice, or by texts
        edit(mini_root, "train", lambda content: change(content["images"]))
    after = written(mini_root, samples)
    assert [entry["id"] for entry in after[part]] == list(range(1, len(after[part]) + 1))
    other = {"images": "annotations", "annotations": "images"}[part]
    start = {"images": 50, "annotations": 70}[other]
    assert [entry["id"] for entry in after[other]] == [start + i for i in range(len(after[other]))]
    of = {image["id"]: position for position, image in enumerate(after["images"])}
    boxes = [[] for _ in after["images"]]
    for entry in after["annotations"]:
        x, y, w, h = entry["bbox"]
        boxes[of[entry["image_id"]]].append([x, y, x + w, y + h])
    assert boxes == expected


def test_all_classes_are_listed_by_cocos_numbers_whether_they_occur_or_not(mini_root):
    def change(content):
        for entry in content["annotations"]:
            entry["category_id"] += 100
        for entry in content["categories"]:
            entry["id"] += 100

    edit(mini_root, "val", change)
    classes = (*CLASSES, "wolf")
    after = written(mini_root, read(mini_root, "val", classes), "val", classes)
    assert [(entry["id"], entry["name"]) for entry in after["categories"]] == [
        *((1, "person"), (3, "car"), (18, "dog"), (BEYOND_COCO, "wolf")),
    ]
    assert [entry["category_id"] for entry in after["annotations"]] == [1, 3, 18, 3]
    assert [entry["iscrowd"] for entry in after["annotations"]] == [0, 0, 0, 1]


def test_an_image_of_a_name_of_another_case_keeps_what_its_entry_holds(mini_root):
    def change(content):
        content["images"][0].update(file_name="OLD/000000000100.jpg", license=1)
        content["images"][1].update(file_name="000000000101.JPG", license=2)

    edit(mini_root, "train", change)
    after = written(mini_root, read(mini_root))
    assert [(image["file_name"], image.get("license")) for image in after["images"]][:2] == [
        ("000000000100.jpg", 1),
        ("000000000101.jpg", 2),
    ]


def test_sound_numbers_are_no_finding(mini_root):
    assert renumbered(Source(mini_root / "mini_coco_det"), CLASSES) == []


def test_other_numbers_and_lists_are_said(mini_root):
    def change(content):
        dog, person, _car = content["categories"]
        person["id"], dog["id"] = 3, 1
        content["categories"] = [person, dog, {"id": 400, "name": "wolf"}]

    edit(mini_root, "val", change)
    findings = renumbered(Source(mini_root / "mini_coco_det"), (*CLASSES, "wolf"))
    assert not any(finding.fatal for finding in findings)
    assert [finding.problem for finding in findings] == [
        "train does not list wolf; both files list all categories now",
        "val does not number its categories as COCO does (dog is 1, person is 3, wolf is 400); they get its numbers by "
        "name",
        "val does not list car; both files list all categories now",
        "wolf are no categories of COCO; they are numbered after its own",
    ]


def test_many_other_numbers_are_not_all_named(mini_root):
    names = [name for name in COCO_IDS if name not in CLASSES][:5]

    def change(content):
        content["categories"] += [{"id": 900 + i, "name": name} for i, name in enumerate(names)]

    edit(mini_root, "val", change)
    found = renumbered(Source(mini_root / "mini_coco_det"), (*CLASSES, *names))[1].problem
    assert found.count(" is 90") == 3
    assert "..." in found


def test_what_is_of_another_layout_has_no_numbers(mini_root):
    assert renumbered(Source(mini_root / "mini_voc_seg"), CLASSES) == []
