import shutil

import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import class_folders
from scenarios.samples.findings import LEFT_OUT, refuse_fatal
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


def test_pictures_in_folders_of_a_class_folder_are_its_own(mini_root, train):
    deep = train / CLASSES[1] / "from" / "elsewhere"
    deep.mkdir(parents=True)
    (deep / ".hidden").mkdir()
    for path in (deep / "x.jpg", deep.parent / "y.png", deep / ".hidden" / "z.jpg"):
        Image.new("L", (8, 8)).save(path)
    samples, _ = read(mini_root, "train")
    assert [(sample.annotation["label"], sample.name.rpartition("/")[2]) for sample in samples][2:-1] == [
        (1, "x.jpg"),
        (1, "y.png"),
        (1, f"{CLASSES[1]}_1.JPEG"),
    ]


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
def test_every_format_that_can_be_decoded_is_read(mini_root, train, kind):
    suffix = {"TIFF": "tif", "JPEG2000": "jp2"}.get(kind, kind.lower())
    Image.new("RGB", (8, 8), "red").save(train / CLASSES[1] / f"x.{suffix}", kind)
    assert len(read(mini_root, "train")[0]) == 5


def test_an_empty_class_folder_is_a_class_without_pictures(mini_root, train):
    for path in (train / CLASSES[1]).iterdir():
        path.unlink()
    samples, classes = read(mini_root, "train")
    assert classes == CLASSES
    assert [sample.annotation["label"] for sample in samples] == [0, 0, 2]


def test_the_classes_are_the_folders_of_both_splits(mini_root, train):
    val = train.with_name("val")
    (val / CLASSES[2]).rename(val / "n09999999")
    (train / CLASSES[0]).rename(train / "n00000001")
    both = ("n00000001", *CLASSES, "n09999999")
    samples, classes = read(mini_root, "val")
    assert classes == read(mini_root, "train")[1] == both
    assert [sample.annotation["label"] for sample in samples] == [1, 2, 4]


def test_a_class_folder_that_is_no_class_is_refused_and_its_pictures_counted(mini_root, train):
    findings = []
    samples, _ = class_folders.read(Source(mini_root / "imagenette_160"), "train", findings, CLASSES[1:])
    (finding,) = findings
    assert (finding.fatal, finding.repair, finding.pictures) == (True, "", 2)
    assert str(finding) == (
        f"{train / CLASSES[0]}: expected the class folders {', '.join(CLASSES[1:])}, found {CLASSES[0]} too; rename or "
        "remove it"
    )
    assert [sample.annotation["label"] for sample in samples] == [0, 1]


def test_an_empty_folder_that_is_no_class_says_nothing(mini_root, train):
    (train / "n09999999" / "deep").mkdir(parents=True)
    assert len(read(mini_root, "train", CLASSES)[0]) == 4


def test_a_class_without_a_folder_has_no_pictures(mini_root):
    samples, classes = read(mini_root, "val", ("n00000001", *CLASSES))
    assert classes == ("n00000001", *CLASSES)
    assert [sample.annotation["label"] for sample in samples] == [1, 2, 3]


def test_all_faults_of_a_split_are_found_in_one_pass(mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / CLASSES[0]).rename(val / "n00000001")
    (val / CLASSES[1] / f"{CLASSES[1]}_1.JPEG").write_bytes(b"broken")
    Image.new("L", (8, 8)).save(val / "stray.jpg")
    (val / CLASSES[2] / "x.heic").touch()
    findings = []
    samples, _ = class_folders.read(Source(mini_root / "imagenette_160"), "val", findings, CLASSES)
    assert [sample.annotation["label"] for sample in samples] == [2]
    assert [(finding.file, finding.fatal, finding.repair, finding.pictures) for finding in findings] == [
        (val / "n00000001", True, "", 1),
        (val, False, "", 1),
        (val, False, "", 1),
        (val / CLASSES[1] / f"{CLASSES[1]}_1.JPEG", True, LEFT_OUT, 1),
    ]
    assert str(findings[1]) == f"{val}: pictures outside the class folders are not read: there are 1, such as stray.jpg"
    assert f"such as {CLASSES[2]}/x.heic" in str(findings[2])


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
