import pytest
import yaml

from scenarios.read import yolo
from scenarios.read.yolo_places import description_at
from scenarios.samples.findings import Fault
from scenarios.samples.source import Source


@pytest.fixture
def root(layouts, tmp_path):
    """Roboflow's folders: ``train`` and ``valid`` with ``images`` and ``labels`` in each."""
    return layouts.yolo(tmp_path / "set", train="train/images")


def describe(root, **content):
    names = {"names": ["person", "dog", "traffic light"]}
    (root / "data.yaml").write_text(yaml.safe_dump(names | content))


def read(root, split="train", path=None):
    """The names and numbers of boxes of the images, and the notes."""
    findings = []
    samples, _ = yolo.read(Source(path or root), split, findings, None)
    found = {sample.name.removeprefix(f"{root}/"): len(sample.annotation["boxes"]) for sample in samples}
    notes = [each.problem for each in findings if "polygons" not in each.problem]
    return found, notes, findings


TRAIN = {"train/images/0.png": 2, "train/images/1.png": 1, "train/images/2.png": 1}
VAL = {"valid/images/0.png": 1, "valid/images/1.png": 2}


def test_a_folder_with_one_description_will_do(root):
    assert read(root)[:2] == (TRAIN, [])
    (root / "data.yaml").rename(root / "my.yml")
    assert read(root)[:2] == (TRAIN, [])
    (root / "other.yaml").touch()
    with pytest.raises(Fault, match=r"expected one description such as data.yaml, found my.yml, other.yaml; name the"):
        read(root)
    assert read(root, path=root / "my.yml")[0] == TRAIN
    (root / "my.yml").rename(root / "dataset.yaml")
    assert description_at(root) == root / "dataset.yaml"


def test_valid_is_read_as_val_and_noted(root):
    describe(root, train="train/images", valid="valid/images")
    assert read(root, "val")[:2] == (VAL, ["valid is read as the split val"])
    describe(root, train="train/images", valid="valid/images", val="valid/images")
    with pytest.raises(Fault, match="expected one key for the split val, found val and valid; remove all but one"):
        read(root, "val")


@pytest.mark.parametrize(
    ("content", "without"),
    [
        ({"path": "/content/nowhere", "train": "train/images"}, "path:"),
        ({"path": "../datasets/set", "train": "train/images"}, "path:"),
        ({"train": "../train/images"}, "../"),
        ({"path": ".", "train": "../train/images"}, "../"),
        ({"path": "/content/nowhere", "train": "../train/images"}, "path: and ../"),
    ],
)
def test_paths_of_another_machine_are_looked_for_beside_the_description(root, content, without):
    describe(root, **content)
    found, notes, _ = read(root)
    assert found == TRAIN
    (note,) = notes
    assert note.endswith(f"is not there: {root / 'train/images'} is read, which is there without {without}")


def test_a_path_that_is_there_is_read_without_a_word(root):
    describe(root, path="..", train="set/train/images")
    assert read(root)[:2] == (TRAIN, [])
    describe(root, path=str(root / "train"), train="images")
    assert read(root)[:2] == (TRAIN, [])


def test_a_path_that_is_nowhere_is_refused(root):
    describe(root, path="a", train="b")
    with pytest.raises(Fault, match=f"{root}/a/b: expected a folder of train images, there is none"):
        read(root)


def test_several_folders_are_one_split_with_one_class_list(root):
    describe(root, train=["train/images", "valid/images"])
    assert read(root)[:2] == (TRAIN | VAL, [])
    describe(root, train=["train/images", "test/images"])
    with pytest.raises(Fault, match=f"{root}/test/images: expected a folder"):
        read(root)


def test_the_folder_of_a_split_may_hold_images_and_labels(root):
    describe(root, train="train")
    assert read(root)[:2] == (TRAIN, [])


def test_folders_of_folders_are_mirrored(root):
    for kind in ("images", "labels"):
        (root / "train" / kind / "a" / "b").mkdir(parents=True)
        for path in list((root / "train" / kind).glob("[01].*")):
            path.rename(path.parent / "a" / "b" / path.name)
    (root / "train" / "labels" / "lonely").mkdir()
    (root / "train" / "labels" / "lonely" / "9.txt").write_text("0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")
    found, (note,), findings = read(root)
    assert found == {"train/images/2.png": 1, "train/images/a/b/0.png": 2, "train/images/a/b/1.png": 1}
    assert note == "text files without an image are not read: there are 1, such as 9"
    assert sum(each.boxes for each in findings) == 2


@pytest.mark.parametrize("start", ["./images/", "images/", "../train/images/", "train/images/", "{root}/train/images/"])
def test_a_list_of_images_starts_at_its_folder_or_at_the_path(root, start):
    lines = [f"{start.format(root=root)}{i}.png" for i in (1, 0)]
    (root / "train" / "train.txt").write_bytes("\r\n".join(["", *lines, lines[0]]).encode())
    describe(root, train="train/train.txt", val="valid/images")
    found, notes, findings = read(root)
    assert found == {"train/images/0.png": 2, "train/images/1.png": 1}
    assert notes[0].startswith("images that are listed more than once are read once: there is one, ")
    assert notes[1:] == [
        "pictures that data.yaml lists neither for train nor for val are not read: there are 1, such as 2.png"
    ]
    assert sum(each.pictures for each in findings) == 1


def test_a_listed_image_that_is_missing_is_named_with_its_line(root):
    (root / "train.txt").write_text("train/images/0.png\ntrain/images/7.png\nx\0y\n")
    describe(root, train="train.txt")
    faults = [str(each) for each in read(root)[2] if each.fatal]
    start, end = f"{root / 'train.txt'}: line", "; add it or remove the line"
    assert faults == [
        f"{start} 2: expected an image, found none at 'train/images/7.png'{end}",
        f"{start} 3: expected an image, found none at 'x\\x00y'{end}",
    ]


def test_the_images_of_the_other_list_are_not_called_unread(root):
    for split, images in (("train", "02"), ("val", "1")):
        (root / f"{split}.txt").write_text("".join(f"./train/images/{i}.png\n" for i in images))
    describe(root, train="train.txt", val="val.txt")
    assert read(root)[1] == read(root, "val")[1] == []


def test_an_empty_or_broken_list_is_refused(root):
    describe(root, train="train.txt")
    (root / "train.txt").touch()
    with pytest.raises(Fault, match=r"train\.txt: expected images \(.*\), found none"):
        read(root)
    (root / "train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(Fault, match=r"train\.txt: expected text, found something else"):
        read(root)


def test_poses_are_refused(root):
    describe(root, train="train/images", kpt_shape=[17, 3])
    with pytest.raises(Fault, match=r"expected boxes, found poses \(kpt_shape\); write class cx cy w h only"):
        read(root)


def test_two_images_of_one_name_are_refused_and_counted(root):
    (root / "train/images/0.jpg").write_bytes((root / "train/images/0.png").read_bytes())
    found, _, findings = read(root)
    assert len(found) == 2
    assert [(each.file.name, each.pictures) for each in findings if each.fatal] == [("0.jpg", 1), ("0.png", 1)]
