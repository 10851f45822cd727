import numpy as np
import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.findings import refuse_fatal
from scenarios.voc import VOC_CLASSES, find_pairs, read_voc, values_without_class


@pytest.fixture
def train(mini_root):
    return mini_root / "mini_voc_seg" / "train"


def read(root, split):
    """What the reader returns; its findings are raised."""
    findings = []
    found = read_voc(root, split, findings)
    refuse_fatal(root, findings)
    return found


def assert_refused(root, *fragments):
    with pytest.raises(DataError) as caught:
        read(root, "train")
    for fragment in fragments:
        assert str(fragment) in str(caught.value)


def test_there_are_the_classes_of_voc():
    assert len(VOC_CLASSES) == len(set(VOC_CLASSES)) == 21
    assert (VOC_CLASSES[0], VOC_CLASSES[15], VOC_CLASSES[20]) == ("background", "person", "tvmonitor")


def test_pictures_and_masks_are_read_in_order(mini_root, train):
    samples = read(mini_root, "train")
    assert [sample.name for sample in samples] == [str(train / f"2007_00000{i}.jpg") for i in range(4)]
    for position, sample in enumerate(samples):
        assert sample.image.shape == (3, 30 + 2 * position, 40 + 4 * position)
        expected = torch.zeros(sample.image.shape[1:], dtype=torch.uint8)
        expected[7:21, 9:31] = 255
        expected[8:20, 10:30] = position + 1
        assert torch.equal(sample.mask, expected)
        assert sample.boxes is sample.labels is sample.crowd is sample.label is None
    assert len(read(mini_root, "val")) == 2


def test_sub_folders_are_accepted(mini_root, train):
    before = read(mini_root, "train")
    for name, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (train / name).mkdir()
        for path in train.glob(f"*.{suffix}"):
            path.rename(train / name / path.name)
    after = read(mini_root, "train")
    assert after[1].name == str(train / "JPEGImages" / "2007_000001.jpg")
    assert all(torch.equal(old.mask, new.mask) for old, new in zip(before, after, strict=True))


def test_one_sub_folder_without_the_other(mini_root, train):
    (train / "JPEGImages").mkdir()
    assert_refused(mini_root, train / "SegmentationClass", "expected a folder of masks (.png), there is none")


def test_hidden_files_are_ignored(mini_root, train):
    (train / ".DS_Store").touch()
    (train / "._2007_000009.jpg").touch()
    (train / "._2007_000008.png").touch()
    assert len(read(mini_root, "train")) == 4


def test_missing_folder(tmp_path):
    assert_refused(tmp_path, tmp_path / "mini_voc_seg" / "train", "expected a folder of segmentation pictures")


def test_folder_without_pictures(tmp_path):
    folder = tmp_path / "mini_voc_seg" / "train"
    folder.mkdir(parents=True)
    assert_refused(tmp_path, f"{folder}: expected pictures (.jpg), found none")


def test_picture_without_mask(mini_root, train):
    (train / "2007_000002.png").unlink()
    assert_refused(mini_root, f"{train / '2007_000002.jpg'}: expected a mask {train / '2007_000002.png'}, found none")


def test_mask_without_picture(mini_root, train):
    (train / "2007_000002.jpg").unlink()
    assert_refused(
        mini_root, f"{train / '2007_000002.png'}: expected a picture {train / '2007_000002.jpg'}, found none"
    )


def test_mask_of_another_size(mini_root, train):
    Image.new("L", (32, 20)).save(train / "2007_000003.png")
    assert_refused(
        mini_root,
        f"{train / '2007_000003.png'}: the mask is 32 x 20 pixels but its picture "
        f"{train / '2007_000003.jpg'} is 52 x 36; make them the same size",
    )


def test_mask_value_that_is_no_class(mini_root, train):
    indices = np.full((30, 40), 20, dtype=np.uint8)
    indices[0, :3] = (254, 255, 21)
    Image.fromarray(indices).save(train / "2007_000000.png")
    assert_refused(mini_root, f"{train / '2007_000000.png'}: expected mask values 0 to 20 and 255, found 21, 254;")


def test_colour_mask_and_broken_picture_are_named(mini_root, train):
    Image.new("RGB", (40, 30)).save(train / "2007_000000.png")
    assert_refused(mini_root, train / "2007_000000.png", "expected a palette or grey mask")
    (train / "2007_000000.jpg").write_bytes(b"broken")
    assert_refused(mini_root, train / "2007_000000.jpg", "expected a picture")


def test_all_faults_of_a_split_are_found_in_one_pass(mini_root, train):
    (train / "2007_000000.jpg").write_bytes(b"broken")
    Image.new("RGB", (40, 30)).save(train / "2007_000000.png")
    Image.new("L", (44, 32), 77).save(train / "2007_000001.png")
    (train / "2007_000002.png").unlink()
    findings = []
    samples = read_voc(mini_root, "train", findings)
    assert all(finding.fatal for finding in findings)
    assert [finding.file.name for finding in findings] == [
        *("2007_000002.jpg", "2007_000000.jpg", "2007_000000.png", "2007_000001.png")
    ]
    assert [sample.name for sample in samples] == [str(train / "2007_000003.jpg")]


@pytest.mark.parametrize(("name", "twin"), [("2007_000001.jpg", ".jpeg"), ("2007_000001.png", ".PNG")])
def test_two_files_of_one_name_are_refused(mini_root, train, name, twin):
    second = (train / name).with_suffix(twin)
    second.write_bytes((train / name).read_bytes())
    later, first = sorted([second, train / name], reverse=True)
    assert_refused(mini_root, f"{later}: expected one file of this name, found {first} too; remove one")


def test_values_without_class():
    assert values_without_class(torch.tensor([[0, 20], [255, 1]], dtype=torch.uint8)) == []
    assert values_without_class(torch.tensor([[30, 21], [254, 30]], dtype=torch.uint8)) == [21, 30, 254]


def test_pairs_are_found_whatever_the_case_of_the_suffix(train):
    (train / "2007_000001.jpg").rename(train / "2007_000001.JPG")
    assert (train / "2007_000001.JPG", train / "2007_000001.png") in find_pairs(train, [])
