import numpy as np
import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import masks
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source

PARTS = {"images": "train", "masks": "train_masks"}
NAMES = {40: "road", 3: "sky"}


@pytest.fixture
def root(tmp_path):
    """Two images and their masks in folders of their own; one image is a PNG."""
    for folder in PARTS.values():
        (tmp_path / folder).mkdir()
    for name, value in (("a.jpg", 3), ("b.PNG", 40)):
        Image.new("RGB", (4, 2), (value, 0, 0)).save(tmp_path / "train" / name)
        mask = np.full((2, 4), value, dtype=np.uint8)
        mask[0, 0] = 255
        Image.fromarray(mask).save(tmp_path / "train_masks" / f"{name[0]}.png")
    return tmp_path


def source_of(root, **options):
    return Source(root, **{"train": PARTS, "names": NAMES, **options})


def read(root, **options):
    findings = []
    found = masks.read(source_of(root, **options), "train", findings, None)
    refuse_fatal(root, findings)
    return found


def test_images_and_masks_are_joined_by_name_and_values_become_indices(root):
    samples, classes = read(root)
    assert classes == ("sky", "road")
    assert [sample.name for sample in samples] == [str(root / "train" / name) for name in ("a.jpg", "b.PNG")]
    for index, sample in enumerate(samples):
        assert sample.image.shape == (3, 2, 4)
        assert sample.annotation["mask"].tolist() == [[255, index, index, index], [index] * 4]


def test_a_value_that_has_no_name_and_is_not_ignored_is_refused(root):
    with pytest.raises(DataError) as caught:
        read(root, ignore=(0,))
    first, *lines = str(caught.value).split("\n  ")
    assert first.startswith("2 problems")
    problem = "expected mask values 0, 3 and 40, found 255; store class indices, not colours"
    assert lines == [f"{root / 'train_masks' / name}: {problem}" for name in ("a.png", "b.png")]


def test_an_image_without_a_mask_is_refused(root):
    (root / "train_masks" / "b.png").unlink()
    missing = root / "train_masks" / "b.png"
    with pytest.raises(DataError, match=f"b.PNG: expected a mask {missing}, found none; add it"):
        read(root)


@pytest.mark.parametrize("folder", PARTS.values())
def test_a_missing_folder_is_named(root, folder):
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(DataError, match=f"{root / folder}: expected a folder of"):
        read(root)


@pytest.mark.parametrize("parts", [{"images": "train"}, {"masks": "train_masks"}])
def test_both_folders_must_be_named(root, parts):
    with pytest.raises(DataError, match=r"expected train: \{images: FOLDER, masks: FOLDER\}, got \{.*\}; name both"):
        read(root, train=parts)


@pytest.mark.parametrize("names", [None, {}])
def test_values_must_have_names(root, names):
    with pytest.raises(DataError, match=r"expected names: \{VALUE: NAME\} .* got none"):
        read(root, names=names)


def test_the_layout_is_recognised_by_its_keys(root):
    assert masks.recognises(source_of(root))
    assert masks.recognises(source_of(root, train={}, val=PARTS))
    assert not masks.recognises(source_of(root, train={"images": "train"}))
    assert not masks.recognises(Source(root))
