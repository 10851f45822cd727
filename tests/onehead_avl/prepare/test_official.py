import io
import json
import shutil

import pytest
from PIL import Image

from onehead_avl.prepare.__main__ import main
from onehead_avl.prepare.pictures import decode_picture
from scenarios.challenge import FOLDERS

ALL_CLASSES = {
    "seg": {"aeroplane", "bicycle", "bird", "boat", "bottle", "tvmonitor"},
    "det": {"person", "car", "dog"},
    "cls": {"n01440764", "n02102040", "n03028079"},
}
MINI_FOLDERS = {"seg": "mini_voc_seg", "det": "mini_coco_det", "cls": "imagenette_160"}


def manifest(root):
    return json.loads((root / "manifest.json").read_text())


def annotations(root, split):
    return json.loads((root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json").read_text())


def pictures(root):
    """The digest of every picture, by path."""
    found = [path for path in root.rglob("*") if path.suffix in (".jpg", ".JPEG")]
    return {path.relative_to(root).as_posix(): decode_picture(path.read_bytes(), str(path)).digest for path in found}


@pytest.mark.parametrize("task", FOLDERS)
def test_the_folder_is_read_by_the_readers(built, task, read_folder):
    data = read_folder(built[0], task)
    assert (len(data.train), len(data.val)) == (6, 3)
    if task != "seg":
        assert set(data.classes) == ALL_CLASSES[task]


@pytest.mark.parametrize("task", FOLDERS)
def test_every_class_is_in_both_splits(built, task):
    sets = manifest(built[0])["sets"][task]
    assert {split: set(found["classes"]) for split, found in sets.items()} == {
        "train": ALL_CLASSES[task],
        "val": ALL_CLASSES[task],
    }
    assert [sets[split]["pictures"] for split in ("train", "val")] == [6, 3]


def test_nothing_but_the_sets_and_the_manifest_is_left(built, read_tree):
    root, _ = built
    files = read_tree(root)
    assert {name.split("/")[0] for name in files} == {*MINI_FOLDERS.values(), "manifest.json"}
    assert len(files) == 1 + 9 * 2 + (9 + 2) + 9
    assert sorted(each.name for each in root.iterdir()) == sorted({*MINI_FOLDERS.values(), "manifest.json"})


def test_what_is_done_and_what_came_of_it_is_said(built, archives):
    _, answer = built
    for archive in (archives["voc"], archives["coco_annotations"], archives["coco_val"], archives["imagenette"]):
        assert f"{archive.name}: {archive.size / 1e9:.2f} GB from {archive.urls[0]}\n" in answer.out
    assert "train2017" not in answer.out
    assert (
        "segmentation: 6 train and 3 val pictures, 6 classes, each in at least 1 train and 1 val pictures" in answer.out
    )
    assert "detection: 6 train and 3 val pictures, 3 classes" in answer.out
    assert "  1 boxes that reach over the edge of their picture were cut there, 1 without area dropped\n" in answer.out
    assert "classification: 6 train and 3 val pictures, 3 classes, each in at least 2 train and 1 val" in answer.out
    assert answer.err == ""


def test_every_file_is_in_the_manifest_with_its_origin(built, official):
    root, _ = built
    found = manifest(root)
    assert found["version"] == 1
    assert found["options"] == {
        "tasks": ["seg", "det", "cls"],
        "sizes": {"train": 6, "val": 3},
        "categories": ["person", "car", "dog"],
        "seed": 0,
    }
    extracted = official / "extracted"
    places = {"VOC2012": "VOCdevkit/VOC2012", "COCO2017": ".", "imagenette2-160": "imagenette2-160"}
    for path, entry in found["files"].items():
        assert entry["split"] == ("val" if "/val/" in path or "_val2017" in path else "train")
        source, _, inner = entry["source"].partition("/")
        if not path.endswith(".json"):
            assert (extracted / places[source] / inner).read_bytes() == (root / path).read_bytes()


def test_official_splits_are_kept_except_that_small_coco_is_drawn_from_val2017(built, official):
    root, _ = built
    lists = official / "extracted" / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    stems = {split: (lists / f"{split}.txt").read_text().split() for split in ("train", "val")}
    for path, entry in manifest(root)["files"].items():
        folder, split = path.split("/")[0], entry["split"]
        assert entry["official_split"] == ("val" if folder == "mini_coco_det" else split)
        if folder == "mini_voc_seg":
            assert path.split("/")[-1].split(".")[0] in stems[split]
        elif folder == "imagenette_160":
            assert entry["source"].split("/")[1] == split
        elif not path.endswith(".json"):
            assert entry["source"].startswith("COCO2017/val2017/")


def test_the_photograph_that_all_three_share_is_taken_once(invoke, archives, root):
    answer = invoke(main, "--root", root, "--full", "--categories", "person", "car", "dog", "zebra")
    assert answer.status == 0, answer.err
    found = pictures(root)
    assert len(set(found.values())) == len(found) == 14 + 8 + 9 + 19 + 18 + 11
    shared = [name for name in found if name.endswith(("2007_000001.jpg", "1002.jpg"))]
    assert shared == ["mini_voc_seg/train/2007_000001.jpg"]
    assert manifest(root)["left_out"] == {"same_picture": 2}


def test_full_takes_all_of_the_official_splits(invoke, archives, root, read_folder):
    answer = invoke(main, "--root", root, "--full", "--categories", "person", "car", "dog")
    assert answer.status == 0, answer.err
    assert "train2017.zip" in answer.out
    found = manifest(root)
    assert found["options"]["sizes"] == "full"
    sizes = {key: [found["sets"][key][split]["pictures"] for split in ("train", "val")] for key in found["sets"]}
    # Of COCO's 9 and 20 pictures, 2 and 5 show zebras, one of each with a crowd of people; one is VOC's.
    assert sizes == {"seg": [14, 8], "det": [8, 15], "cls": [18, 11]}
    assert all(entry["official_split"] == entry["split"] for entry in found["files"].values())
    for task in FOLDERS:
        read_folder(root, task)


def test_boxes_are_mended_and_crowds_kept(invoke, archives, root):
    invoke(main, "--root", root, "--full", "--categories", "person", "car", "dog", "--tasks", "det")
    sets = manifest(root)["sets"]["det"]
    assert sets["train"]["boxes"] == {"kept": 7 + 3 + 3 + 3 + 1, "clipped": 3, "dropped": 3}
    assert sets["val"]["boxes"]["clipped"] == sets["val"]["boxes"]["dropped"] == 3
    found = annotations(root, "train")
    by_category = {}
    for entry in found["annotations"]:
        assert "segmentation" not in entry
        by_category.setdefault((entry["category_id"], entry["iscrowd"]), []).append(entry["bbox"])
    assert by_category[1, 1] == [[1.0, 1.0, 30.0, 20.0]] * 3 + [[0.0, 0.0, 60.0, 40.0]]
    assert by_category[18, 0].count([50.0, 40.0, 14.0, 8.0]) == 3
    assert by_category[18, 0].count([60.5, 1.0, 4.0, 5.0]) == 3
    assert [entry["name"] for entry in found["categories"]] == ["person", "car", "dog"]
    assert [entry["id"] for entry in found["categories"]] == [1, 3, 18]
    assert found["licenses"] == [{"id": 3, "name": "CC"}]
    assert all(image["license"] == 3 for image in found["images"])


def test_a_crowd_alone_is_no_reason_to_draw_a_picture(prepare, root, tmp_path, assert_refused):
    assert prepare(root, "--tasks", "det", "--train", "11", "--val", "4").status == 0
    assert not [name for name in manifest(root)["files"] if name.endswith("1007.jpg")]
    answer = prepare(tmp_path / "more", "--tasks", "det", "--train", "12", "--val", "4")
    assert_refused(answer, 1, "detection: expected 12 pictures for train, found 11 in the official val split")


def test_grey_and_cmyk_pictures_are_fine(invoke, archives, root, read_folder):
    invoke(main, "--root", root, "--full", "--tasks", "det")
    assert {f"mini_coco_det/val/00000000100{i}.jpg" for i in (4, 5)} <= manifest(root)["files"].keys()
    assert len(read_folder(root, "det").val) > 2


def test_folders_and_servers_give_the_same_tree_byte_for_byte(built, prepare, official, server, tmp_path, read_tree):
    expected = read_tree(built[0])
    extracted = official / "extracted"
    asked = len(server.requests)
    for number, given in enumerate(
        [
            (official,),
            (extracted,),
            (extracted / "VOCdevkit", extracted),
            (extracted / "VOCdevkit" / "VOC2012", extracted / "imagenette2-160", official),
        ]
    ):
        answer = prepare(tmp_path / f"{number}", "--source", *given)
        assert answer.status == 0, answer.err
        assert read_tree(tmp_path / f"{number}") == expected
    assert len(server.requests) == asked
    answer = prepare(tmp_path / "url", "--source", f"{server.host}/somewhere/")
    assert f"from {server.host}/somewhere/VOCtrainval" in answer.out
    assert read_tree(tmp_path / "url") == expected


def test_sources_are_left_as_they_are(prepare, official, root, read_tree):
    before = read_tree(official)
    assert prepare(root, "--source", official).status == 0
    assert read_tree(official) == before


def test_the_seed_decides(built, prepare, tmp_path, read_tree):
    again, other = tmp_path / "again", tmp_path / "other"
    assert prepare(again).status == prepare(other, "--seed", "1").status == 0
    assert read_tree(again) == read_tree(built[0])
    assert manifest(other)["files"].keys() != manifest(again)["files"].keys()


def test_the_order_of_categories_and_tasks_does_not_matter(built, invoke, tmp_path, read_tree):
    arguments = ("--train", "6", "--val", "3", "--tasks", "cls", "det", "seg", "--categories", "dog", "person", "car")
    assert invoke(main, "--root", tmp_path / "again", *arguments).status == 0
    assert read_tree(tmp_path / "again") == read_tree(built[0])


def test_some_tasks_need_their_archives_only(prepare, root, server):
    assert prepare(root, "--tasks", "cls").status == 0
    assert [name for name, _ in server.requests] == ["imagenette2-160.tgz"]
    assert sorted(each.name for each in root.iterdir()) == ["imagenette_160", "manifest.json"]
    assert list(manifest(root)["sets"]) == ["cls"]


def test_other_categories(prepare, root, read_folder):
    assert prepare(root, "--tasks", "det", "--train", "3", "--val", "2", "--categories", "zebra").status == 0
    assert read_folder(root, "det").classes == ("zebra",)


VOC = "VOCdevkit/VOC2012"
BREAKAGES = {
    "no list": (f"{VOC}/ImageSets/Segmentation/val.txt", None, "expected ImageSets/Segmentation/val.txt in it"),
    "no mask": (f"{VOC}/SegmentationClass/2007_000003.png", None, "2007_000003.png in it, found no such file"),
    "a broken mask": (f"{VOC}/SegmentationClass/2007_000003.png", b"png", "2007_000003.png: expected a picture"),
    "a broken picture": (
        f"{VOC}/JPEGImages/2007_000003.jpg",
        b"jpg",
        "2007_000003.jpg: expected a picture (JPEG",
    ),
    "a name twice": (f"{VOC}/ImageSets/Segmentation/val.txt", b"2007_000003\n", "found 2007_000003 in both"),
    "no annotations": ("annotations/instances_val2017.json", None, "expected instances_val2017.json in it"),
    "broken annotations": ("annotations/instances_val2017.json", b"{", "instances_val2017.json: expected JSON"),
    "no categories": (
        "annotations/instances_val2017.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}], "annotations": [], '
        b'"categories": [{"id": 1, "name": "person"}]}',
        "expected the category car, found none of that name",
    ),
    "no images": (
        "annotations/instances_val2017.json",
        b'{"images": [], "annotations": [], "categories": []}',
        "instances_val2017.json: expected entries in 'images', found none",
    ),
    "a number as text": (
        "annotations/instances_val2017.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg", "width": "4", "height": 3}], "annotations": [], '
        b'"categories": [{"id": 1, "name": "person"}]}',
        "numbers written as text, as decimals or as true and false are read as whole numbers: there is one, images[0]",
    ),
    "unlisted": (
        "annotations/instances_val2017.json",
        b'{"images": [{"id": 2, "file_name": "a.jpg", "width": 4, "height": 3}], '
        b'"annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}], '
        b'"categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 18, "name": "dog"}]}',
        "annotation 5 names image 1, which is not among images",
    ),
    "no pictures": ("val2017", None, "expected val2017.zip or its extracted folder val2017 in"),
    "no classes": ("imagenette2-160", b"", "expected pictures in train/<class> and val/<class>, found none"),
}


@pytest.mark.parametrize("kind", BREAKAGES)
def test_an_extracted_folder_that_is_broken_is_one_sentence_and_leaves_nothing(
    prepare, root, extracted, kind, assert_refused
):
    name, content, problem = BREAKAGES[kind]
    path = extracted / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if content == b"":
        path.mkdir()
    elif content:
        path.write_bytes(content)
    every_picture = ("--tasks", "seg", "--train", "14") if VOC in name else ()
    answer = prepare(root, "--source", extracted, *every_picture)
    assert_refused(answer, 1, problem)
    assert list(root.iterdir()) == []


def test_pictures_of_another_size_than_annotated_are_refused(prepare, root, extracted, assert_refused):
    other = (extracted / VOC / "JPEGImages/2007_000000.jpg").read_bytes()
    for path in (extracted / VOC / "JPEGImages").iterdir():
        path.write_bytes(resized(other))
    assert_refused(prepare(root, "--source", extracted, "--tasks", "seg"), 1, ".jpg has another size than its mask;")
    for path in (extracted / "val2017").iterdir():
        path.write_bytes(resized(other))
    answer = prepare(root, "--source", extracted, "--tasks", "det")
    assert_refused(answer, 1, ".jpg has another size than its annotations say; fetch or extract it again")


def resized(content):
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).resize((20, 20)).save(file, "JPEG")
    return file.getvalue()
