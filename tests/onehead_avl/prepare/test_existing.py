import shutil

import pytest
from PIL import Image

from scenarios.challenge import FOLDERS


def files(root, *suffixes):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.suffix in suffixes}


def spoil_segmentation(root):
    folder = root / "mini_voc_seg" / "train"
    (folder / "2007_000000.png").unlink()
    (folder / "2007_000001.jpg").write_bytes(b"broken")
    Image.new("RGB", (44, 32)).save(folder / "2007_000002.png")
    return [
        "segmentation: a picture without its mask, or a mask without its picture; left out: "
        "mini_voc_seg/train/2007_000000.jpg",
        "mini_voc_seg/train/2007_000001.jpg: expected a picture (JPEG, PNG, WEBP, GIF, BMP), found no such format; "
        "replace or remove the file (left out of the copy)",
        "mini_voc_seg/train/2007_000002.png: expected a palette or grey mask of 8 bits (mode P or L), found mode RGB; "
        "save the class indices as such (left out of the copy)",
    ]


def spoil_masks(root):
    folder = root / "mini_voc_seg" / "train"
    Image.new("L", (10, 10)).save(folder / "2007_000000.png")
    Image.new("L", (44, 32), 99).save(folder / "2007_000001.png")
    (folder / "2007_000003.jpg").unlink()
    return [
        "segmentation: a picture without its mask, or a mask without its picture; left out: "
        "mini_voc_seg/train/2007_000003.png",
        "mini_voc_seg/train/2007_000000.png: the mask has another size than its picture; replace one of them "
        "(left out of the copy)",
        "mini_voc_seg/train/2007_000001.png: expected mask values 0 to 20 and 255, found 99; store class indices, not "
        "colours (left out of the copy)",
    ]


def spoil_detection(root):
    folder = root / "mini_coco_det" / "train"
    (folder / "000000000100.jpg").unlink()
    (folder / "000000000101.jpg").write_bytes((folder / "000000000102.jpg").read_bytes())
    shutil.copy(folder / "000000000103.jpg", folder / "extra.jpg")
    return [
        "detection: not listed in the annotation file; left out: mini_coco_det/train/extra.jpg",
        "mini_coco_det/train/000000000100.jpg: the file cannot be read (No such file or directory); put it there "
        "(left out of the copy)",
        "mini_coco_det/train/000000000101.jpg: the picture has another size than its annotations say; replace it "
        "(left out of the copy)",
    ]


def spoil_classification(root):
    train, val = (root / "imagenette_160" / split for split in ("train", "val"))
    shutil.copytree(train / "n01440764", train / "n09999999")
    for path in (train / "n09999999").iterdir():
        Image.effect_noise((50, 50), 20).save(path)
    next((val / "n03028079").iterdir()).write_bytes(b"broken")
    broken = next((val / "n03028079").iterdir()).name
    return [
        f"imagenette_160/val/n03028079/{broken}: expected a picture (JPEG, PNG, WEBP, GIF, BMP), found no such format; "
        "replace or remove the file (left out of the copy)",
        "classification: only train has pictures of n03028079, n09999999; left out",
    ]


@pytest.mark.parametrize("spoil", [spoil_segmentation, spoil_masks, spoil_detection, spoil_classification])
def test_what_cannot_be_used_is_said_and_left_out(adopt, source, adopted, spoil, read_folder):
    expected = spoil(source)
    answer, said = adopt(source)
    assert (answer.status, answer.err) == (0, "")
    assert said == expected
    for task in FOLDERS:
        read_folder(adopted, task)


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
