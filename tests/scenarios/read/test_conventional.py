import pytest

from scenarios.read.conventional import folders_by_name, only_folders
from scenarios.samples.findings import Fault

CALLED = ("masks", "labels")


def make(root, *folders):
    for folder in folders:
        (root / folder).mkdir(parents=True)


def only(root, split="val"):
    findings = []
    images, annotations = only_folders(root, split, CALLED, "masks", findings)
    return images.relative_to(root).as_posix(), annotations.relative_to(root).as_posix(), [str(e) for e in findings]


@pytest.mark.parametrize(
    ("folders", "noted"),
    [
        (("val/images", "val/masks"), None),
        (("val/Images", "val/labels"), None),
        (("images/val", "masks/val"), None),
        (("valid/images", "valid/masks"), "valid"),
        (("images/val", "masks/validation"), "validation"),
    ],
)
def test_folders_are_found_by_name(tmp_path, folders, noted):
    make(tmp_path, *folders)
    notes = [f"{tmp_path}: {noted} is read as the split val"] if noted else []
    assert only(tmp_path) == (*folders, notes)


def test_another_name_is_noted_once(tmp_path):
    make(tmp_path, "images/valid", "masks/valid")
    assert len(only(tmp_path)[2]) == 1


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (("val/images", "val/masks", "val/labels"), "val/images with val/labels, val/images with val/masks"),
        (
            ("val/images", "val/masks", "images/val", "masks/val"),
            "val/images with val/masks, images/val with masks/val",
        ),
    ],
)
def test_doubt_is_refused_with_a_way_out(tmp_path, folders, found):
    make(tmp_path, *folders)
    with pytest.raises(Fault) as caught:
        only(tmp_path)
    assert f"found {found}; name them in a description, val: {{images: FOLDER, masks: FOLDER}}" in str(caught.value)


def test_nothing_is_refused_with_what_was_expected(tmp_path):
    make(tmp_path, "train/images", "train/masks")
    with pytest.raises(Fault, match=r"expected val/images and val/masks, or images/val and masks/val, found neither"):
        only(tmp_path)
    assert folders_by_name(tmp_path / "nowhere", "train", CALLED) == []
