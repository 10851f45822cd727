import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import voc
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.findings import LEFT_OUT, refuse_fatal
from scenarios.samples.source import Source


@pytest.fixture
def train(mini_root):
    return mini_root / "mini_voc_seg" / "train"


def read(root, split, classes=None, **options):
    """The samples that the reader returns; its findings are raised."""
    findings = []
    samples, found = voc.read(Source(root / "mini_voc_seg", **options), split, findings, classes)
    refuse_fatal(root, findings)
    assert found == VOC_CLASSES or options
    return samples


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
        assert torch.equal(sample.annotation["mask"], expected)
        assert sample.annotation.keys() == {"mask"}
    assert len(read(mini_root, "val")) == 2


def test_sub_folders_are_accepted(mini_root, train):
    before = [sample.annotation["mask"] for sample in read(mini_root, "train")]
    for name, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (train / name).mkdir()
        for path in train.glob(f"*.{suffix}"):
            path.rename(train / name / path.name)
    after = read(mini_root, "train")
    assert after[1].name == str(train / "JPEGImages" / "2007_000001.jpg")
    assert all(torch.equal(old, new.annotation["mask"]) for old, new in zip(before, after, strict=True))


def test_one_sub_folder_without_the_other(mini_root, train):
    (train / "JPEGImages").mkdir()
    assert_refused(mini_root, train / "SegmentationClass", "expected a folder of masks (.png), there is none")


def test_hidden_files_are_ignored(mini_root, train):
    (train / ".DS_Store").touch()
    (train / "._2007_000009.jpg").touch()
    (train / "._2007_000008.png").touch()
    assert len(read(mini_root, "train")) == 4


def test_missing_folder(tmp_path):
    assert_refused(tmp_path, tmp_path / "mini_voc_seg" / "train", "expected a folder of segmentation images")


def test_folder_without_pictures(tmp_path):
    folder = tmp_path / "mini_voc_seg" / "train"
    folder.mkdir(parents=True)
    assert_refused(tmp_path, f"{folder}: expected images (.jpg, .jpeg, .jpe, .jfif, .webp, ")


def test_picture_without_mask(mini_root, train):
    (train / "2007_000002.png").unlink()
    assert_refused(mini_root, f"{train / '2007_000002.jpg'}: expected a mask {train / '2007_000002.png'}, found none")


def test_mask_without_picture(mini_root, train):
    (train / "2007_000002.jpg").unlink()
    assert_refused(mini_root, f"{train / '2007_000002.png'}: expected an image {train / '2007_000002.jpg'}, found none")


def test_mask_of_another_size(mini_root, train):
    Image.new("L", (32, 20)).save(train / "2007_000003.png")
    assert_refused(
        mini_root,
        f"{train / '2007_000003.png'}: the mask is 32 x 20 pixels but its image "
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
    samples, _ = voc.read(Source(mini_root / "mini_voc_seg"), "train", findings, None)
    assert all(finding.fatal for finding in findings)
    assert [(finding.file.name, finding.repair, finding.pictures) for finding in findings] == [
        ("2007_000002.jpg", LEFT_OUT, 1),
        ("2007_000000.jpg", LEFT_OUT, 0),
        ("2007_000000.png", LEFT_OUT, 1),
        ("2007_000001.png", LEFT_OUT, 1),
    ]
    assert [sample.name for sample in samples] == [str(train / "2007_000003.jpg")]


@pytest.mark.parametrize(("name", "twin"), [("2007_000001.jpg", ".jpeg"), ("2007_000001.png", ".PNG")])
def test_two_files_of_one_name_are_refused(mini_root, train, name, twin):
    second = (train / name).with_suffix(twin)
    second.write_bytes((train / name).read_bytes())
    findings = []
    samples, _ = voc.read(Source(mini_root / "mini_voc_seg"), "train", findings, None)
    assert [Path(sample.name).name for sample in samples] == [f"2007_00000{i}.jpg" for i in (0, 2, 3)]
    one, other = sorted([second, train / name])
    expected = [
        f"{each}: expected one file of this name, found {twin.name} too; remove one"
        for each, twin in ((one, other), (other, one))
    ]
    if name.endswith(".png"):
        expected.append(
            f"{train / '2007_000001.jpg'}: expected a mask {train / name}, found several; remove the others"
        )
    assert [str(finding) for finding in findings] == expected
    assert all(finding.fatal and finding.repair == LEFT_OUT for finding in findings)
    assert sum(finding.pictures for finding in findings) == (1 if name.endswith(".png") else 2)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
def test_every_format_that_can_be_decoded_is_read(mini_root, train, kind):
    path = train / "2007_000001.jpg"
    suffix = {"TIFF": "tif", "JPEG2000": "jp2"}.get(kind, kind.lower())
    with Image.open(path) as picture:
        picture.save(path.with_suffix(f".{suffix}"), kind)
    path.unlink()
    assert len(read(mini_root, "train")) == 4


@pytest.mark.parametrize(("orientation", "turned"), [(6, True), (3, False)])
def test_a_picture_is_turned_if_only_then_it_fits_its_mask(mini_root, train, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = train / "2007_000001.jpg"
    Image.new("RGB", (32, 44) if turned else (44, 32)).save(path, exif=exif)
    findings = []
    samples, _ = voc.read(Source(mini_root / "mini_voc_seg"), "train", findings, None)
    assert samples[1].image.shape[1:] == samples[1].annotation["mask"].shape == (32, 44)
    assert samples[1].picture.upright is turned
    (finding,) = findings
    assert (finding.file, finding.fatal) == (train, False)
    assert finding.problem.startswith("pictures are turned as EXIF" if turned else "EXIF asks to turn pictures whose")


def test_masks_without_any_class_are_noted_one_by_one_and_refused_altogether(mini_root, train):
    for number in (0, 1):
        with Image.open(train / f"2007_00000{number}.png") as mask:
            mask.point(lambda value: value if value == 255 else 0).save(train / f"2007_00000{number}.png")
    findings = []
    samples, _ = voc.read(Source(mini_root / "mini_voc_seg"), "train", findings, None)
    assert len(samples) == 4
    (finding,) = findings
    assert not finding.fatal
    assert finding.problem == (
        "masks that hold no class but background and void: there are 2, such as 2007_000000.png, 2007_000001.png"
    )
    for number in (2, 3):
        Image.new("L", Image.open(train / f"2007_00000{number}.png").size).save(train / f"2007_00000{number}.png")
    assert_refused(mini_root, f"{train}: expected masks with classes, found none of them with a value but 0 and 255")


def test_a_validation_split_without_any_class_is_refused(mini_root):
    val = mini_root / "mini_voc_seg" / "val"
    for path in val.glob("*.png"):
        Image.new("L", Image.open(path).size).save(path)
    with pytest.raises(DataError, match="expected masks with classes, found none of them with a value but 0"):
        read(mini_root, "val")


def test_a_palette_of_vocs_colours_at_other_indices_is_noted(mini_root, train):
    path = train / "2007_000001.png"  # whose class is 2
    with Image.open(path) as mask:
        mask.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0] + [9] * 759)
        mask.save(path)
    findings = []
    samples, _ = voc.read(Source(mini_root / "mini_voc_seg"), "train", findings, None)
    assert set(samples[1].annotation["mask"].flatten().tolist()) == {0, 2, 255}
    (finding,) = findings
    assert (finding.file, finding.fatal) == (train, False)
    assert finding.problem == (
        "masks whose palette has PASCAL VOC's colours at other indices, such as 2; the indices are read: there is one, "
        "2007_000001.png"
    )


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_layout_is_recognised_by_either_split(mini_root, split):
    folder = mini_root / "mini_voc_seg"
    assert voc.recognises(Source(folder))
    shutil.rmtree(folder / split)
    assert voc.recognises(Source(folder))


@pytest.mark.parametrize("name", ["imagenette_160", "mini_coco_det", "nowhere"])
def test_other_layouts_are_not_recognised(mini_root, name):
    assert not voc.recognises(Source(mini_root / name))


def test_sub_folders_are_recognised(tmp_path):
    (tmp_path / "val" / "SegmentationClass").mkdir(parents=True)
    assert voc.recognises(Source(tmp_path))


def test_classes_are_mapped_by_name(mini_root):
    classes = [*VOC_CLASSES[1:], VOC_CLASSES[0]]
    samples, found = voc.read(Source(mini_root / "mini_voc_seg"), "train", [], classes)
    assert found == tuple(classes)
    assert [sorted(set(sample.annotation["mask"].flatten().tolist())) for sample in samples] == [
        [position, 20, 255] for position in range(4)
    ]


def test_other_classes_than_those_given_are_refused(mini_root):
    with pytest.raises(DataError, match=r"mini_voc_seg: the masks have the classes background, .*expected sky, road;"):
        read(mini_root, "val", classes=("sky", "road"))


def test_names_of_its_own_and_ignored_values(mini_root):
    (first, second, *_) = read(mini_root, "train", names={0: "ground", 2: "cat"}, ignore=(255, 1, 3, 4))
    assert set(first.annotation["mask"].flatten().tolist()) == {0, 255}
    assert set(second.annotation["mask"].flatten().tolist()) == {0, 1, 255}


def test_a_class_of_voc_may_be_ignored(mini_root):
    samples, classes = voc.read(Source(mini_root / "mini_voc_seg", ignore=(0, 255)), "train", [], None)
    assert classes == VOC_CLASSES[1:]
    assert set(samples[0].annotation["mask"].flatten().tolist()) == {0, 255}
