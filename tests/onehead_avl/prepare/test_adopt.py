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
        "mini_voc_seg/train: 1 of 5 train pictures are also in segmentation val; left out: "
        "mini_voc_seg/train/2007_000077.jpg",
        "mini_coco_det/train: 1 of 4 train pictures are also in detection val; left out with their 2 boxes: "
        "mini_coco_det/train/000000000101.jpg",
        "imagenette_160/train: 1 of 5 train pictures are also in classification val; left out: "
        "imagenette_160/train/n01440764/copy.JPEG",
    ]
    assert findings(adopted)[0]["file"] == "mini_voc_seg/train"
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
        "imagenette_160/train: 1 of 6 train pictures are also in detection train; left out: "
        "imagenette_160/train/n01440764/again.png",
        "imagenette_160/train: 1 of 6 train pictures are also in segmentation val; left out: "
        "imagenette_160/train/n01440764/other.png",
    ]
    assert len(read_folder(adopted, "cls").train) == 4


def test_copies_in_one_split_are_found(adopt, source, adopted, read_folder):
    folder = source / "imagenette_160" / "val" / "n01440764"
    shutil.copy(next(folder.iterdir()), folder / "z.JPEG")
    _, said = adopt(source)
    assert said == [
        "imagenette_160/val: 1 of 4 val pictures are copies of others there; left out: "
        "imagenette_160/val/n01440764/z.JPEG"
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
        "mini_coco_det/annotations/mini_instances_val2017.json: other category ids than in train (person, car, dog): "
        "they are mapped by name",
        "mini_coco_det: val does not number its categories as COCO does (person is 0, car is 1, dog is 2); they get "
        "its numbers by name",
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
    assert said == [
        f"mini_coco_det: {split} does not number its categories as COCO does (car is 1, person is 3); they get its "
        "numbers by name"
        for split in ("train", "val")
    ]
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
        "mini_coco_det: train does not number its categories as COCO does (cart is 3, wolf is 18); they get its "
        "numbers by name",
        "mini_coco_det: train does not list train; both files list all categories now",
        "mini_coco_det: val does not number its categories as COCO does (cart is 3, wolf is 18); they get its "
        "numbers by name",
        "mini_coco_det: cart, wolf are no categories of COCO; they are numbered after its own",
    ]
    assert objects(adopted, "train") == expected
    assert read_folder(adopted, "det").classes == ("person", "train", "cart", "wolf")


def test_annotations_that_mean_nothing_are_left_out(adopt, source, adopted, read_folder):
    def spoil(content):
        first, second, *_ = content["annotations"]
        extra = [
            first | {"id": 91, "image_id": 999},
            first | {"id": 92, "category_id": 77},
            first | {"id": 93, "iscrowd": 5},
            first | {"id": 94, "bbox": [3, 3, 0, 4]},
        ]
        second["bbox"] = [0.5, 1.25, 500, 8.5]
        content["annotations"] += extra

    before = [row for row in objects(source, "train") if row[1:] != ("car", [0.5, 1.25, 8, 8.5])]
    edit(source, "train", spoil)
    _, said = adopt(source)
    name = "mini_coco_det/annotations/mini_instances_train2017.json"
    assert said == [
        f"{name}: annotation 91 names image 999, which is not among images; list the image or remove it (left out of "
        "the copy)",
        f"{name}: annotation 92 has category 77, which is not among categories; list it there (left out of the copy)",
        f"{name}: annotation 93: expected iscrowd 0 or 1, found 5; correct it (left out of the copy)",
        f"{name}: boxes that reach over the edge of their image are cut there: there is one, annotation 2",
        f"{name}: boxes without area in their image are skipped: there is one, annotation 94",
    ]
    assert objects(adopted, "train") == sorted([*before, ("000000000100.jpg", "car", [0.5, 1.25, 39.5, 8.5])])
    assert sum(entry["iscrowd"] for entry in annotations(adopted, "train")["annotations"]) == 1
    read_folder(adopted, "det")


def spoil_segmentation(root):
    folder = root / "mini_voc_seg" / "train"
    (folder / "2007_000000.png").unlink()
    (folder / "2007_000001.jpg").write_bytes(b"broken")
    Image.new("RGB", (44, 32)).save(folder / "2007_000002.png")
    return [
        f"2007_000000.jpg: expected a mask {folder / '2007_000000.png'}, found none; add it",
        "2007_000001.jpg: expected a picture (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, JPEG2000), found no such format; "
        "replace or remove the file",
        "2007_000002.png: expected a palette or grey mask of 8 bits (mode P or L), found mode RGB; save the class "
        "indices as such",
    ], ["2007_000003.jpg"]


def spoil_masks(root):
    folder = root / "mini_voc_seg" / "train"
    Image.new("L", (10, 10)).save(folder / "2007_000000.png")
    Image.new("L", (44, 32), 99).save(folder / "2007_000001.png")
    (folder / "2007_000003.jpg").unlink()
    return [
        f"2007_000003.png: expected an image {folder / '2007_000003.jpg'}, found none; add it or remove the mask",
        f"2007_000000.png: the mask is 10 x 10 pixels but its image {folder / '2007_000000.jpg'} is 40 x 30; make them "
        "the same size",
        "2007_000001.png: expected mask values 0 to 20 and 255, found 99; store class indices, not colours",
    ], ["2007_000002.jpg"]


def spoil_stems(root):
    folder = root / "mini_voc_seg" / "train"
    shutil.copy(folder / "2007_000000.jpg", folder / "2007_000000.jpeg")
    shutil.copy(folder / "2007_000002.png", folder / "2007_000002.PNG")
    one, other = sorted(("2007_000002.png", "2007_000002.PNG"))
    return [
        "2007_000000.jpeg: expected one file of this name, found 2007_000000.jpg too; remove one",
        "2007_000000.jpg: expected one file of this name, found 2007_000000.jpeg too; remove one",
        f"{one}: expected one file of this name, found {other} too; remove one",
        f"{other}: expected one file of this name, found {one} too; remove one",
        f"2007_000002.jpg: expected a mask {folder / '2007_000002.png'}, found several; remove the others",
    ], ["2007_000001.jpg", "2007_000003.jpg"]


def spoil_detection(root):
    folder = root / "mini_coco_det" / "train"
    (folder / "000000000100.jpg").unlink()
    (folder / "000000000103.jpg").write_bytes(b"broken")
    with Image.open(folder / "000000000101.jpg") as picture:
        picture.crop((0, 0, 20, 20)).save(folder / "000000000101.jpg")
    path = root / "mini_coco_det" / "annotations" / "mini_instances_train2017.json"
    return [
        f"{path}: image 100: expected the file '000000000100.jpg', found none; add it",
        f"000000000101.jpg: the file is 20 x 20 pixels but image 101 of {path} is 44 x 32; use the image that was "
        "annotated",
        "000000000103.jpg: expected a picture (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, JPEG2000), found no such format; "
        "replace or remove the file",
    ], ["000000000102.jpg"]


def spoil_classification(root):
    folder = root / "imagenette_160" / "train"
    broken = folder / "n01440764" / "n01440764_0.JPEG"
    broken.write_bytes(broken.read_bytes()[:200])
    return ["n01440764/n01440764_0.JPEG: the picture cannot be decoded ("], [
        *("n01440764_3.JPEG", "n02102040_1.JPEG", "n03028079_2.JPEG"),
    ]


@pytest.mark.parametrize(
    ("spoil", "task"),
    [
        (spoil_segmentation, "seg"),
        (spoil_masks, "seg"),
        (spoil_stems, "seg"),
        (spoil_detection, "det"),
        (spoil_classification, "cls"),
    ],
)
def test_what_cannot_be_used_is_said_and_left_out(adopt, source, adopted, spoil, task, read_folder):
    folder = source / FOLDERS[task] / "train"
    expected, left = spoil(source)
    answer, _ = adopt(source)
    assert (answer.status, answer.err) == (0, "")
    said = [line.removeprefix(f"{folder}/") for line in answer.out.split("\n\n")[0].splitlines()]
    assert all(line.endswith(" (left out of the copy)") for line in said)
    assert len(said) == len(expected)
    for line, beginning in zip(said, expected, strict=True):
        assert line.startswith(beginning)
        assert beginning.endswith("(") or line == f"{beginning} (left out of the copy)"
    for each in FOLDERS:
        found = read_folder(adopted, each)  # as training does: nothing is wrong any more
        if each == task:
            assert sorted(sample.name.rpartition("/")[2] for sample in found.train) == left
    assert not any("left out" in line for line in adopt_again(adopt, adopted))


def adopt_again(adopt, adopted):
    """What is said of a copy."""
    return adopt(adopted.rename(adopted.with_name("once")))[1]


def test_a_line_is_said_for_every_finding_however_many_there_are(adopt, source, adopted):
    edit(
        source,
        "train",
        lambda content: content["annotations"].extend(
            content["annotations"][0] | {"id": 100 + i, "image_id": 900} for i in range(40)
        ),
    )
    answer, said = adopt(source)
    assert answer.status == 0
    assert len([line for line in said if "names image 900" in line]) == 40
    assert len(findings(adopted)) == len(said) == 40


def test_what_was_understood_is_written_as_the_format_says(adopt, source, adopted, read_folder):
    expected = objects(source, "train")

    def write_otherwise(content):
        for image in content["images"]:
            image.update(id=str(image["id"]), width=float(image["width"]), file_name=f"old/{image['file_name']}")
        for entry in content["annotations"]:
            entry.update(image_id=str(entry["image_id"]), iscrowd=None if not entry["iscrowd"] else True)
            entry["bbox"] = [str(value) for value in entry["bbox"]]
            del entry["id"]
        content["categories"].append({"id": 700, "name": "car"})
        del content["images"][2]["height"]

    edit(source, "train", write_otherwise)
    answer, said = adopt(source)
    assert (answer.status, answer.err) == (0, "")
    name = "mini_coco_det/annotations/mini_instances_train2017.json"
    assert {line.removeprefix(f"{name}: ").partition(": ")[0] for line in said} == {
        "numbers written as text, as decimals or as true and false are read as whole numbers",
        "images without width or height are taken to have those of their file",
        "categories without objects that have the name of another one are ignored",
        "an iscrowd of null is read as 0",
        "boxes written as text are read as numbers",
        "annotations are read though their id is missing, no number, or that of another",
        "file names are read without the folders before them, which are not there",
    }
    assert len(said) == 7
    assert objects(adopted, "train") == expected
    read_folder(adopted, "det")
    assert adopt_again(adopt, adopted) == ["nothing is wrong with it"]


def test_pictures_of_one_name_in_several_folders_stay_apart(adopt, source, adopted, read_folder):
    coco = source / "mini_coco_det" / "train"
    for name, file in (("a", "000000000100.jpg"), ("b", "000000000101.jpg")):
        (coco / name).mkdir()
        (coco / file).rename(coco / name / "x.jpg")
    edit(source, "train", lambda content: [content["images"][i].update(file_name=f"{'ab'[i]}/x.jpg") for i in (0, 1)])
    edit(source, "train", lambda content: [content["images"][i].update(license=i) for i in range(4)])
    folder = source / "imagenette_160" / "train" / "n01440764"
    (folder / "more").mkdir()
    (folder / "n01440764_3.JPEG").rename(folder / "more" / "n01440764_0.JPEG")
    expected = objects(source, "train")
    answer, said = adopt(source)
    assert (answer.status, said) == (0, ["nothing is wrong with it"])
    assert objects(adopted, "train") == expected
    licences = {image["file_name"]: image["license"] for image in annotations(adopted, "train")["images"]}
    assert licences == {"a/x.jpg": 0, "b/x.jpg": 1, "000000000102.jpg": 2, "000000000103.jpg": 3}
    before = files(source, ".JPEG", ".jpg")
    after = files(adopted, ".JPEG", ".jpg")
    assert sorted(after.values()) == sorted(before.values())
    assert [len(read_folder(adopted, task).train) for task in ("det", "cls")] == [4, 4]


def test_sub_folders_of_pictures_and_masks_are_understood(adopt, source, adopted):
    expected = files(source / "mini_voc_seg", ".jpg", ".png")
    for split in ("train", "val"):
        folder = source / "mini_voc_seg" / split
        for name, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (folder / name).mkdir()
            for path in folder.glob(f"*{suffix}"):
                path.rename(folder / name / path.name)
    assert adopt(source)[0].status == 0
    assert files(adopted / "mini_voc_seg", ".jpg", ".png") == expected


def test_a_picture_that_was_turned_stays_turned_in_the_copy(adopt, source, adopted, read_folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = source / "mini_coco_det" / "train" / "000000000100.jpg"
    with Image.open(path) as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    before = read_folder(source, "det").train[0]
    assert before.picture.upright
    answer, (line,) = adopt(source)
    assert answer.status == 0
    assert "pictures are turned as EXIF asks for" in line
    after = read_folder(adopted, "det").train[0]
    assert after.checksum() == before.checksum()


def test_annotations_with_the_same_id_are_numbered_anew(adopt, source, adopted, read_folder):
    def repeat(content):
        content["annotations"][1]["id"] = content["annotations"][0]["id"]

    edit(source, "train", repeat)
    _, said = adopt(source)
    assert [line for line in said if "annotations are read though their id is missing" in line]
    assert [entry["id"] for entry in annotations(adopted, "train")["annotations"]] == [1, 2, 3, 4, 5]
    assert objects(adopted, "train") == objects(source, "train")
    read_folder(adopted, "det")


def test_some_tasks_alone(adopt, source, adopted):
    shutil.rmtree(source / "mini_voc_seg")
    answer, _ = adopt(source)
    assert answer.status == 1
    assert answer.err == (
        f"error: {source / 'mini_voc_seg'}: expected this folder, there is none; name the tasks that are "
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
    return f"{path}: the annotation file cannot be read (No such file or directory); put it there"


def no_json(root):
    path = root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    path.write_text("{")
    return f"{path}: expected JSON, found something else"


def name_twice(root):
    edit(root, "val", lambda content: content["categories"][0].update(name="car"))
    return "mini_instances_val2017.json: expected every category name once, found 'car' of"


@pytest.mark.parametrize("spoil", [nothing_left, no_annotations, no_json, name_twice])
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
