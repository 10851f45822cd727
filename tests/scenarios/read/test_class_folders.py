import shutil

import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import class_folders
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source

CLASSES = ("n01440764", "n02102040", "n03028079")


@pytest.fixture
def train(mini_root):
    return mini_root / "imagenette_160" / "train"


def read(root, split, classes=None):
    """What the reader returns; its findings are raised."""
    findings = []
    found = class_folders.read(Source(root / "imagenette_160"), split, findings, classes)
    refuse_fatal(root, findings)
    return found


def assert_refused(root, *fragments, split="train", classes=None):
    with pytest.raises(DataError) as caught:
        read(root, split, classes)
    for fragment in fragments:
        assert str(fragment) in str(caught.value)


def test_pictures_and_labels_in_order(mini_root, train):
    samples, classes = read(mini_root, "train")
    assert classes == CLASSES
    assert [sample.annotation["label"] for sample in samples] == [0, 0, 1, 2]
    assert [sample.name for sample in samples][:2] == [
        str(train / "n01440764" / "n01440764_0.JPEG"),
        str(train / "n01440764" / "n01440764_3.JPEG"),
    ]
    assert samples[1].image.shape == (3, 36, 52)
    assert samples[0].annotation.keys() == {"label"}
    assert type(samples[0].annotation["label"]) is int
    assert read(mini_root, "val", classes)[1] == CLASSES


def test_given_classes_decide_the_indices(mini_root):
    samples, classes = read(mini_root, "val", list(reversed(CLASSES)))
    assert classes == CLASSES[::-1]
    assert [(sample.annotation["label"], sample.name.split("/")[-2]) for sample in samples] == list(
        enumerate(CLASSES[::-1])
    )


@pytest.mark.parametrize("name", ["x.jpg", "x.JPG", "x.jpeg", "x.png", "x.PNG"])
def test_other_suffixes_count(mini_root, train, name):
    Image.new("L", (8, 8)).save(train / CLASSES[1] / name)
    assert [sample.annotation["label"] for sample in read(mini_root, "train")[0]] == [0, 0, 1, 1, 2]


def test_hidden_and_other_files_are_ignored(mini_root, train):
    (train / ".cache").mkdir()
    (train / "README.txt").touch()
    (train / CLASSES[0] / "._a.JPEG").touch()
    (train / CLASSES[0] / "notes.txt").touch()
    samples, classes = read(mini_root, "train")
    assert (len(samples), classes) == (4, CLASSES)


def test_missing_split(mini_root, train):
    train.rename(train.with_name("elsewhere"))
    assert_refused(mini_root, f"{train}: expected a folder of class folders such as n01440764, there is none")


def test_no_class_folders(tmp_path):
    folder = tmp_path / "imagenette_160" / "train"
    folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(folder / "x.jpg")
    assert_refused(tmp_path, f"{folder}: expected one folder a class, found none")


def test_empty_class_folder(mini_root, train):
    for path in (train / CLASSES[1]).iterdir():
        path.unlink()
    assert_refused(mini_root, f"{train / CLASSES[1]}: expected images (.JPEG, .jpg, .png), found none")


def test_class_folders_that_differ(mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / CLASSES[2]).rename(val / "n09999999")
    assert_refused(
        mini_root,
        f"{val}: expected the class folders {', '.join(CLASSES)}, but n03028079 is missing, n09999999 is unknown;",
        split="val",
        classes=CLASSES,
    )


@pytest.mark.parametrize(
    ("classes", "difference"),
    [(CLASSES[:2], "but n03028079 is unknown;"), ((*CLASSES, "n09999999"), "but n09999999 is missing;")],
)
def test_one_class_folder_too_many_or_too_few(mini_root, classes, difference):
    assert_refused(mini_root, difference, split="val", classes=classes)


def test_all_faults_of_a_split_are_found_in_one_pass(mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / CLASSES[0]).rename(val / "n00000001")
    (val / CLASSES[1] / f"{CLASSES[1]}_1.JPEG").write_bytes(b"broken")
    (val / CLASSES[2] / f"{CLASSES[2]}_2.JPEG").unlink()
    Image.new("L", (8, 8)).save(val / "stray.jpg")
    findings = []
    samples, _ = class_folders.read(Source(mini_root / "imagenette_160"), "val", findings, CLASSES)
    assert samples == []
    assert [(finding.file, finding.fatal) for finding in findings] == [
        (val, True),
        (val, False),
        (val / CLASSES[2], True),
        (val / CLASSES[1] / f"{CLASSES[1]}_1.JPEG", True),
    ]
    assert str(findings[1]) == f"{val}: pictures outside the class folders are not read: there are 1, such as stray.jpg"


def test_broken_picture(mini_root, train):
    path = train / CLASSES[0] / "n01440764_3.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    assert_refused(mini_root, f"{path}: ")


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_layout_is_recognised_by_either_split(mini_root, split):
    folder = mini_root / "imagenette_160"
    assert class_folders.recognises(Source(folder))
    shutil.rmtree(folder / split)
    assert class_folders.recognises(Source(folder))


@pytest.mark.parametrize("name", ["mini_voc_seg", "mini_coco_det", "nowhere", "imagenette_160/train"])
def test_other_layouts_are_not_recognised(mini_root, name):
    assert not class_folders.recognises(Source(mini_root / name))
