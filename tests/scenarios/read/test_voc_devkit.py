import numpy as np
import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import voc_devkit
from scenarios.samples.source import Source


@pytest.fixture
def year(layouts, tmp_path):
    return layouts.voc_devkit(tmp_path, stray=False)


def test_names_of_its_own(read_with, year):
    names = {0: "ground", 12: "hound", 15: "human"}
    samples, _, classes, notes = read_with(voc_devkit, year, names=names)
    assert classes == ("ground", "hound", "human")
    assert notes == []
    for index, sample in enumerate(samples):
        raw = np.array(Image.open(year / "SegmentationClass" / f"2007_train{index}.png"))
        expected = np.select([raw == 0, raw == 12, raw == 15], [0, 1, 2], 255)
        assert np.array_equal(sample.annotation["mask"].numpy(), expected)


def test_all_faults_are_found_in_one_pass_and_every_picture_is_counted(year):
    (year / "JPEGImages" / "2007_train0.jpg").write_bytes(b"broken")
    Image.new("L", (28, 22), 77).save(year / "SegmentationClass" / "2007_train1.png")
    Image.new("L", (3, 3)).save(year / "SegmentationClass" / "2007_train2.png")
    findings = []
    samples, _ = voc_devkit.read(Source(year), "train", findings, None)
    assert samples == []
    assert [each.file.name for each in findings if each.fatal] == [
        "2007_train0.jpg",
        "2007_train1.png",
        "2007_train2.png",
    ]
    assert sum(each.pictures for each in findings) == 3


def test_other_classes_than_those_given_are_refused(year):
    with pytest.raises(DataError, match=r"the masks have the classes background, .*expected sky, road;"):
        voc_devkit.read(Source(year), "train", [], ["sky", "road"])


def test_folders_that_are_named_are_another_layout(year):
    parts = {"images": "JPEGImages", "masks": "SegmentationClass"}
    assert voc_devkit.recognises(Source(year))
    assert not voc_devkit.recognises(Source(year, parts, parts))
    assert not voc_devkit.recognises(Source(year / "JPEGImages"))
