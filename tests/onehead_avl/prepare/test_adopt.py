import json
import shutil

import pytest
from PIL import Image

from onehead_avl.prepare.__main__ import main
from scenarios.challenge import FOLDERS


def edit(root, split, change):
    path = root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def annotations(root, split):
    return json.loads((root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json").read_text())


def objects(root, split):
    """The names and boxes of each picture."""
    found = annotations(root, split)
    names = {entry["id"]: entry["name"] for entry in found["categories"]}
    files = {entry["id"]: entry["file_name"] for entry in found["images"]}
    return sorted((files[e["image_id"]], names[e["category_id"]], e["bbox"]) for e in found["annotations"])


def files(root, *suffixes):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.suffix in suffixes}


def findings(root):
    return json.loads((root / "manifest.json").read_text())["findings"]


def test_a_sound_folder_is_copied_as_it_is(adopt, source, adopted, read_tree, read_folder):
    before = read_tree(source)
    answer, said = adopt(source)
    assert (answer.status, answer.err) == (0, "")
    assert said == ["nothing is wrong with it"]
    assert findings(adopted) == []
    pictures = (".jpg", ".png", ".JPEG")
    assert files(adopted, *pictures) == files(source, *pictures)
    for split in ("train", "val"):
        assert objects(adopted, split) == objects(source, split)
    assert read_tree(source) == before
    for task in FOLDERS:
        read_folder(adopted, task)
    assert f"{adopted} is as its manifest says, sha256 " in answer.out


def test_every_file_is_in_the_manifest(adopt, source, adopted):
    adopt(source)
    found = json.loads((adopted / "manifest.json").read_text())
    assert found["options"] == {"import": True, "tasks": ["seg", "det", "cls"]}
    entry = found["files"]["mini_voc_seg/val/2007_000001.png"]
    assert (entry["split"], entry["official_split"]) == ("val", None)
    assert entry["source"] == "imported/mini_voc_seg/val/2007_000001.png"
    assert {name for name in found["files"] if name.endswith(".jpg")} == files(adopted, ".jpg").keys()


def test_validation_pictures_are_removed_from_training(adopt, source, adopted, read_folder):
    for suffix in (".jpg", ".png"):
        folder = source / "mini_voc_seg"
        shutil.copy(folder / "val" / f"2007_000001{suffix}", folder / "train" / f"2007_000077{suffix}")
    coco = source / "mini_coco_det"
    shutil.copy(coco / "val" / "000000000101.jpg", coco / "train" / "000000000101.jpg")
    imagenette = source / "imagenette_160"
    shutil.copy(next((imagenette / "val" / "n01440764").iterdir()), imagenette / "train" / "n01440764" / "copy.JPEG")
    answer, said = adopt(source)
    assert answer.status == 0, answer.err
    assert said == [
        "segmentation: 1 of 5 train pictures are also in segmentation val; left out: "
        "mini_voc_seg/train/2007_000077.jpg",
        "detection: 1 of 4 train pictures are also in detection val; left out: mini_coco_det/train/000000000101.jpg",
        "classification: 1 of 5 train pictures are also in classification val; left out: "
        "imagenette_160/train/n01440764/copy.JPEG",
    ]
    assert findings(adopted)[0]["files"] == ["mini_voc_seg/train/2007_000077.jpg"]
    assert not (adopted / "mini_voc_seg" / "train" / "2007_000077.png").exists()
    assert "000000000101.jpg" not in {name for name, _, _ in objects(adopted, "train")}
    assert [len(read_folder(adopted, task).train) for task in FOLDERS] == [4, 3, 4]
    assert [len(read_folder(adopted, task).val) for task in FOLDERS] == [2, 2, 3]


def test_the_same_pixels_in_another_file_and_another_task_are_found(adopt, source, adopted, read_folder):
    with Image.open(source / "mini_voc_seg" / "val" / "2007_000000.jpg") as picture:
        picture.save(source / "imagenette_160" / "train" / "n01440764" / "other.png")
    with Image.open(source / "mini_coco_det" / "train" / "000000000102.jpg") as picture:
        picture.save(source / "imagenette_160" / "train" / "n01440764" / "again.png")
    answer, said = adopt(source)
    assert answer.status == 0, answer.err
    assert said == [
        "classification: 1 of 6 train pictures are also in detection train; left out: "
        "imagenette_160/train/n01440764/again.png",
        "classification: 1 of 6 train pictures are also in segmentation val; left out: "
        "imagenette_160/train/n01440764/other.png",
    ]
    assert len(read_folder(adopted, "cls").train) == 4


def test_copies_in_one_split_are_found(adopt, source, adopted, read_folder):
    folder = source / "imagenette_160" / "val" / "n01440764"
    shutil.copy(next(folder.iterdir()), folder / "z.JPEG")
    _, said = adopt(source)
    assert said == [
        "classification: 1 of 4 val pictures are copies of others there; left out: imagenette_160/val/n01440764/z.JPEG"
    ]
    assert len(read_folder(adopted, "cls").val) == 3


def renumber(numbers):
    def change(content):
        for entry in content["categories"]:
            entry["id"] = numbers[entry["name"]]
        old = {"person": 1, "car": 3, "dog": 18}
        new = {old[name]: number for name, number in numbers.items()}
        for entry in content["annotations"]:
            entry["category_id"] = new[entry["category_id"]]

    return change


def test_categories_that_are_numbered_differently_get_cocos_numbers_by_name(adopt, source, adopted):
    expected = objects(source, "val")
    edit(source, "val", renumber({"person": 0, "car": 1, "dog": 2}))
    answer, said = adopt(source)
    assert answer.status == 0, answer.err
    assert said == [
        "detection: train and val number their categories differently (person is 1 and 0, car is 3 and 1, dog is 18 "
        "and 2); both get COCO's numbers by name"
    ]
    for split in ("train", "val"):
        assert [(e["id"], e["name"]) for e in annotations(adopted, split)["categories"]] == [
            (1, "person"),
            (3, "car"),
            (18, "dog"),
        ]
    assert objects(adopted, "val") == expected


def test_numbers_that_are_swapped_in_both_files_are_mended(adopt, source, adopted):
    expected = objects(source, "train")
    for split in ("train", "val"):
        edit(source, split, renumber({"person": 3, "car": 1, "dog": 18}))
    _, said = adopt(source)
    assert said == ["detection: categories are not numbered as COCO's; they get its numbers by name"]
    assert objects(adopted, "train") == expected


def test_categories_that_are_not_cocos_come_after_its_own(adopt, source, adopted, read_folder):
    def rename(content):
        for entry in content["categories"]:
            entry["name"] = {"dog": "wolf", "car": "cart"}.get(entry["name"], entry["name"])

    edit(source, "train", rename)
    edit(source, "val", rename)
    edit(source, "val", lambda content: content["categories"].append({"id": 7, "name": "train"}))
    expected = objects(source, "train")
    answer, said = adopt(source)
    assert answer.status == 0, answer.err
    assert said == [
        "detection: categories are not numbered as COCO's; they get its numbers by name",
        "detection: only val lists train; both files list all categories now",
        "detection: cart, wolf are no categories of COCO; they are numbered after its own",
    ]
    assert objects(adopted, "train") == expected
    assert read_folder(adopted, "det").classes == ("person", "train", "cart", "wolf")


def test_annotations_that_mean_nothing_are_left_out(adopt, source, adopted, read_folder):
    def spoil(content):
        first, second, *_ = content["annotations"]
        extra = [
            first | {"image_id": 999},
            first | {"category_id": 77},
            first | {"iscrowd": 5},
            first | {"bbox": [3, 3, 0, 4]},
        ]
        second["bbox"] = [0.5, 1.25, 500, 8.5]
        content["annotations"] += extra

    before = [row for row in objects(source, "train") if row[1:] != ("car", [0.5, 1.25, 8, 8.5])]
    edit(source, "train", spoil)
    _, said = adopt(source)
    name = "mini_coco_det/annotations/mini_instances_train2017.json"
    assert said == [
        f"{name}: 3 of 9 annotations of an unknown picture or category, or with a strange iscrowd; left out",
        f"{name}: 1 of 9 annotations without area in their picture; left out",
        f"{name}: 1 of 9 annotations reaching over the edge of their picture; cut there",
    ]
    assert objects(adopted, "train") == sorted([*before, ("000000000100.jpg", "car", [0.5, 1.25, 39.5, 8.5])])
    assert sum(entry["iscrowd"] for entry in annotations(adopted, "train")["annotations"]) == 1
    read_folder(adopted, "det")


def test_annotations_with_the_same_id_are_numbered_anew(adopt, source, adopted, read_folder):
    def repeat(content):
        content["annotations"][1]["id"] = content["annotations"][0]["id"]

    edit(source, "train", repeat)
    _, said = adopt(source)
    assert [line for line in said if "have the id of another" in line]
    assert [entry["id"] for entry in annotations(adopted, "train")["annotations"]] == [1, 2, 3, 4, 5]
    assert objects(adopted, "train") == objects(source, "train")
    read_folder(adopted, "det")


def test_some_tasks_alone(adopt, source, adopted):
    shutil.rmtree(source / "mini_voc_seg")
    answer, _ = adopt(source)
    assert answer.status == 1
    assert answer.err == (
        f"error: {source / 'mini_voc_seg' / 'train'}: expected this folder, there is none; name the tasks that are "
        "there with --tasks\n"
    )
    assert list(adopted.iterdir()) == []
    assert adopt(source, "--tasks", "cls", "det")[0].status == 0
    assert sorted(each.name for each in adopted.iterdir()) == ["imagenette_160", "manifest.json", "mini_coco_det"]


def nothing_left(root):
    for path in (root / "mini_voc_seg" / "val").glob("*.jpg"):
        path.write_bytes(b"broken")
    return f"{root / 'mini_voc_seg'}: expected val pictures that can be used, found none"


def no_annotations(root):
    path = root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    path.unlink()
    return f"{path}: the file cannot be read (No such file or directory); put it there"


def no_json(root):
    path = root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    path.write_text("{")
    return f"{path}: expected JSON, found something else"


def id_twice(root):
    edit(root, "val", lambda content: content["images"][1].update(id=100))
    return "mini_instances_val2017.json: expected every id in 'images' once, found 100 more than once; mend it"


@pytest.mark.parametrize("spoil", [nothing_left, no_annotations, no_json, id_twice])
def test_what_cannot_be_repaired_is_refused(adopt, source, adopted, spoil):
    expected = spoil(source)
    answer, _ = adopt(source)
    assert answer.status == 1
    assert answer.err.startswith(f"error: {expected}") or expected in answer.err
    assert len(answer.err.splitlines()) == 1
    assert list(adopted.iterdir()) == []


def test_the_folder_itself_is_no_place_for_the_copy(invoke, source, read_tree):
    before = read_tree(source)
    answer = invoke(main, "--import", source, "--root", source)
    assert answer.status == 2
    assert answer.err == f"error: --import writes a copy, but --root is {source} too; choose another --root\n"
    assert read_tree(source) == before


def test_a_second_run_repeats_nothing(adopt, source, adopted, read_tree):
    adopt(source)
    before = read_tree(adopted)
    answer, said = adopt(source)
    assert (answer.status, answer.err) == (0, "")
    assert said == ["nothing is wrong with it", f"{adopted} is already prepared"]
    assert read_tree(adopted) == before


def test_a_folder_that_holds_other_data_is_not_written_to(adopt, source, adopted, read_tree):
    adopt(source)
    before = read_tree(adopted)
    (source / "mini_voc_seg" / "val" / "2007_000000.jpg").unlink()
    answer, _ = adopt(source)
    assert answer.status == 1
    assert answer.err == f"error: {adopted} already holds other prepared data; choose another --root\n"
    assert read_tree(adopted) == before


def test_an_adopted_folder_is_verified(adopt, invoke, source, adopted):
    adopt(source)
    assert invoke(main, "--root", adopted, "--verify").status == 0
    (adopted / "mini_voc_seg" / "val" / "2007_000000.jpg").write_bytes(b"changed")
    assert "mini_voc_seg/val/2007_000000.jpg was changed" in invoke(main, "--root", adopted, "--verify").err
