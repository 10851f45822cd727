import shutil
from types import SimpleNamespace

from onehead_avl.prepare import space

MINI_FOLDERS = ("mini_voc_seg", "mini_coco_det", "imagenette_160")


def test_raw_archives_are_kept_on_request_and_used_again(prepare, root, archives, server):
    assert prepare(root, "--keep-raw").status == 0
    used = {archives[key].name for key in ("voc", "coco_annotations", "coco_val", "imagenette")}
    assert {each.name for each in (root / "raw").iterdir()} == used
    shutil.rmtree(root / "mini_voc_seg")
    (root / "manifest.json").unlink()
    shutil.rmtree(root / "mini_coco_det")
    shutil.rmtree(root / "imagenette_160")
    asked = len(server.requests)
    (root / "raw" / "mine.txt").touch()
    assert prepare(root, "--source", root / "raw").status == 0
    assert len(list((root / "raw").iterdir())) == 5  # they were given as a source
    assert prepare(root).status == 0
    assert len(server.requests) == asked
    assert [each.name for each in (root / "raw").iterdir()] == ["mine.txt"]


def test_a_second_run_repeats_nothing(built, prepare, server, read_tree):
    root, _ = built
    before, asked = read_tree(root), len(server.requests)
    answer = prepare(root)
    assert (answer.status, answer.err) == (0, "")
    assert f"{root} is already prepared\n" in answer.out
    assert read_tree(root) == before
    assert len(server.requests) == asked


def test_what_an_interrupted_run_of_other_options_left_is_discarded(built, prepare, tmp_path, read_tree):
    other = tmp_path / "other"
    (other / ".prepare" / "tree" / "mini_voc_seg" / "train").mkdir(parents=True)
    (other / ".prepare" / "tree" / "mini_voc_seg" / "train" / "old.jpg").touch()
    assert prepare(other).status == 0
    assert read_tree(other) == read_tree(built[0])


def test_a_folder_that_was_changed_since_is_refused(built, prepare, assert_refused):
    root, _ = built
    (root / "mini_voc_seg" / "val" / "extra.jpg").touch()
    assert_refused(prepare(root), 1, "is not as its manifest says: mini_voc_seg/val/extra.jpg is not in the manifest;")


def test_a_folder_of_other_options_is_not_touched(built, prepare, read_tree, assert_refused):
    root, _ = built
    before = read_tree(root)
    assert_refused(
        prepare(root, "--seed", "7"), 1, f"{root} already holds data prepared with other options", "'seed': 7"
    )
    assert read_tree(root) == before


def test_a_folder_with_data_of_somebody_is_not_touched(prepare, root, read_tree, server, assert_refused):
    (root / "mini_voc_seg" / "train").mkdir(parents=True)
    (root / "mini_voc_seg" / "train" / "mine.jpg").write_bytes(b"mine")
    assert_refused(prepare(root), 1, f"{root} already holds mini_voc_seg, without a manifest", f"--import {root}")
    assert read_tree(root) == {"mini_voc_seg/train/mine.jpg": b"mine"}
    assert server.requests == []


def test_too_few_pictures_are_refused(prepare, root, assert_refused):
    answer = prepare(root, "--train", "15", "--tasks", "seg")
    assert_refused(answer, 1, "segmentation: expected 15 pictures for train, found 14 in the official train split;")
    answer = prepare(root, "--val", "99", "--tasks", "cls")
    assert_refused(answer, 1, "classification: expected 99 pictures for val, found 12 in the official val split; ask")


def test_a_full_disk_is_refused_before_the_first_byte(prepare, root, server, monkeypatch, archives, assert_refused):
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    answer = prepare(root, "--train", "240", "--val", "60")
    assert_refused(
        answer, 1, f"{root} needs 0.00 GB for downloads and 0.11 GB for pictures, but its disk has 0.00 GB left"
    )
    assert server.requests == []


def test_what_was_fetched_before_needs_no_room(prepare, root, archives, monkeypatch, official, assert_refused):
    needed = sum(archives[key].size for key in ("voc", "coco_annotations", "coco_val", "imagenette"))
    pictures = 9 * (140_000 + 200_000 + 12_000)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed + pictures - 1))
    assert_refused(prepare(root), 1, "free some, or choose another --root or fewer --tasks")
    (root / "raw").mkdir(exist_ok=True)
    (root / "raw" / f"{archives['voc'].name}.part").write_bytes((official / archives["voc"].name).read_bytes()[:1])
    answer = prepare(root)
    assert answer.status == 0, answer.err


def test_a_download_that_fails_is_one_sentence_and_the_next_run_continues(
    prepare, root, server, archives, assert_refused
):
    voc, imagenette = archives["voc"].name, archives["imagenette"].name
    server.plan(voc, "cut", 404)
    answer = prepare(root)
    assert_refused(
        answer, 1, f"{voc} could not be fetched: {server.host}/{voc} answered HTTP 404; run the same command"
    )
    assert [each.name for each in (root / "raw").iterdir()] == [f"{voc}.part"]
    server.plan(voc, None)
    server.plan(imagenette, "wrong bytes")
    assert_refused(prepare(root), 1, f"{imagenette} could not be fetched", "sent other bytes than the official ones")
    server.plan(imagenette, None)
    assert prepare(root).status == 0
    assert [name for name, asked in server.requests if asked] == [voc, voc]
    assert sorted(each.name for each in root.iterdir()) == sorted([*MINI_FOLDERS, "manifest.json"])


def test_an_archive_on_disk_that_is_not_the_official_one_is_refused(prepare, root, official, tmp_path, assert_refused):
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(official / "imagenette2-160.tgz", given)
    (given / "VOCtrainval_11-May-2012.tar").write_bytes(b"something")
    answer = prepare(root, "--source", given, "--tasks", "seg")
    assert_refused(answer, 1, "VOCtrainval_11-May-2012.tar: expected the official archive, found other bytes")
    assert (given / "VOCtrainval_11-May-2012.tar").read_bytes() == b"something"
    assert prepare(root, "--source", given, "--tasks", "cls").status == 0


def test_a_source_without_the_archive_is_refused(prepare, root, tmp_path, server, assert_refused):
    assert_refused(
        prepare(root, "--source", tmp_path),
        1,
        f"expected VOCtrainval_11-May-2012.tar or its extracted folder VOCdevkit/VOC2012 in {tmp_path}, found neither;",
    )
    assert_refused(prepare(root, "--source", tmp_path / "none"), 2, "--source expects a folder or an http(s) address")
    assert server.requests == []
