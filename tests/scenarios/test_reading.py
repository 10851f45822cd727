import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError, UsageError
from onehead_avl.kinds.kind import kind_of
from scenarios.challenge import FOLDERS, KINDS
from scenarios.described import DRAWN, Described, Description, Share
from scenarios.domains import night
from scenarios.drawn.embedded import COUNTS
from scenarios.drawn.looks import CATEGORIES
from scenarios.reading import inspect, read_split, read_stream, require_data
from scenarios.samples import facts
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.source import Source

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
CLASSES = {
    "seg": VOC_CLASSES,
    "det": ("person", "car", "dog"),
    "cls": ("n01440764", "n02102040", "n03028079"),
}
REAL_CLASSES = {
    "seg": VOC_CLASSES,
    "det": ("person", "car", "bird", "cat", "dog", "bottle", "cup", "chair", "dining table", "book"),
    "cls": (
        *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
        *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
    ),
}
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="shared/data beside the repository is not there")
each_experience = pytest.mark.parametrize("name", FOLDERS)


def described(name, **options):
    """An experience of the challenge, not yet placed."""
    return Described(name, KINDS[name], Source(Path(FOLDERS[name])), f"a.yaml:{name}", **options)


def described_as(name, of, **options):
    return replace(described(of, **options), name=name)


def stream(root, *experiences):
    """A ready-made stream on a data folder; experiences by name, or described."""
    each = [described(one) if isinstance(one, str) else one for one in experiences]
    return Description("mine", tuple(each)).on(root, size=40)


def ignore(line):
    """What is told means nothing to the test."""


def read(root, *experiences):
    """The experiences of a stream, and what was told."""
    told = []
    return read_stream(stream(root, *experiences), told.append).experiences, told


def refused(root, *experiences):
    with pytest.raises(DataError) as caught:
        read(root, *experiences)
    return str(caught.value)


@each_experience
def test_an_experience_is_read_with_both_splits(mini_root, name):
    (experience,), told = read(mini_root, name)
    assert (experience.name, experience.kind.name, experience.classes) == (name, KINDS[name], CLASSES[name])
    assert (experience.head, experience.root) == (name, mini_root / FOLDERS[name])
    assert (len(experience.train), len(experience.val)) == (4, 3 if name == "cls" else 2)
    for split, samples in (("train", experience.train), ("val", experience.val)):
        assert all(f"/{FOLDERS[name]}/{split}/" in sample.name for sample in samples)
        assert all(sample.annotation.keys() == set(experience.kind.parts) for sample in samples)
    layout = {"seg": "voc", "det": "coco", "cls": "class_folders"}[name]
    assert told[0] == f"{name}: {layout} layout at {mini_root / FOLDERS[name]}"


def test_experiences_keep_the_order_of_the_description(mini_root):
    told = []
    found = read_stream(stream(mini_root, "det", "seg"), told.append)
    assert (found.name, found.names) == ("mine", ("det", "seg"))
    assert [line.split(":")[0] for line in told[:2]] == ["det", "seg"]
    assert ["seg train" in told[2], "seg val" in told[3]] == [True, True]
    assert len(told) == 4


def test_a_named_layout_is_not_told(mini_root):
    assert read(mini_root, described("det", format="coco"))[1] == []


@each_experience
def test_a_split_needs_no_other(mini_root, name):
    shutil.rmtree(mini_root / FOLDERS[name] / "train")
    (each,) = stream(mini_root, name).experiences
    assert len(read_split(each, "val", CLASSES[name], ignore)) == (3 if name == "cls" else 2)
    assert "train" in refused(mini_root, name)


@each_experience
def test_a_missing_data_folder_is_a_usage_error(tmp_path, name):
    root = tmp_path / "nowhere"
    for act in (lambda: read(root, name), lambda: inspect(stream(root, name), ignore), lambda: require_data(root)):
        with pytest.raises(UsageError, match="expected a folder with mini_voc_seg, mini_coco_det and imag") as caught:
            act()
        assert str(caught.value).startswith(f"{root}: ")
        assert f"python -m onehead_avl.prepare --root {root}" in str(caught.value)


@each_experience
def test_a_data_folder_without_the_experience_is_a_data_error(tmp_path, name):
    message = refused(tmp_path, name)
    assert message.startswith(f"{tmp_path / FOLDERS[name]}: expected the images of experience {name}, found none")
    with pytest.raises(DataError, match=FOLDERS[name]):
        read_split(stream(tmp_path, name).experiences[0], "val", CLASSES[name], ignore)


@each_experience
def test_val_must_have_the_classes_of_a_model(mini_root, name):
    (each,) = stream(mini_root, name).experiences
    with pytest.raises(DataError, match=FOLDERS[name]):
        read_split(each, "val", ("background", "circle"), ignore)


def test_one_class_list_holds_the_classes_of_both_splits(mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / "n03028079").rename(val / "n00000001")
    (experience,), told = read(mini_root, "cls")
    assert experience.classes == ("n00000001", *CLASSES["cls"])
    assert [sample.annotation["label"] for sample in experience.val] == [0, 1, 2]
    assert told[1:] == [
        f"{val.with_name('train') / 'n01440764'}: cls train has no example of n00000001",
        f"{val / 'n00000001'}: cls val has no example of n03028079",
    ]


def spoil(root):
    """Give each experience one fault or two, and one thing that is only worth knowing to two of them.

    What shows in one data set, and what shows only when the splits are looked at together.
    """
    seg, det, cls = (root / folder for folder in FOLDERS.values())
    Image.new("L", (40, 30), 99).save(seg / "val" / "2007_000000.png")
    train, val = (det / "annotations" / f"mini_instances_{split}2017.json" for split in ("train", "val"))
    train.write_text("{")
    (det / "val" / "000000000100.jpg").unlink()
    (cls / "val" / CLASSES["cls"][0] / "copy.JPEG").write_bytes(
        (cls / "train" / CLASSES["cls"][0] / "n01440764_0.JPEG").read_bytes()
    )
    (cls / "train" / "stray.png").touch()
    alone = {(seg / "val" / "2007_000000.png", True), (train, True), (val, True), (cls / "train", False)}
    together = {
        *((seg / "train", False), (seg / "val", False)),  # classes without an example
        (det / "val", False),  # a class of the missing image
        (cls / "val" / CLASSES["cls"][0] / "copy.JPEG", True),
    }
    return alone, together


def test_data_without_faults_have_only_notes(mini_root):
    told = []
    experiences, findings = inspect(stream(mini_root, *FOLDERS), told.append)
    assert findings == []
    assert [each.name for each in experiences] == list(FOLDERS)
    assert [len(each.train) for each in experiences] == [4, 4, 4]
    assert [line.split(": ")[1].split(" at ")[0] for line in told] == [
        "voc layout",
        "coco layout",
        "class_folders layout",
    ]
    absent = read(mini_root, *FOLDERS)[1][3:]
    assert [line.split(" has no example of ")[0] for line in absent] == [
        f"{mini_root / 'mini_voc_seg' / split}: seg {split}" for split in ("train", "val")
    ]


def test_an_inspection_finds_all_that_is_wrong_with_each_data_set_in_one_pass(mini_root):
    alone, _ = spoil(mini_root)
    experiences, findings = inspect(stream(mini_root, *FOLDERS), ignore)
    assert {(finding.file, finding.fatal) for finding in findings} == alone
    assert len(findings) == len(alone)
    assert [(each.name, len(each.train), len(each.val)) for each in experiences] == [
        ("seg", 4, 1),
        ("det", 0, 1),
        ("cls", 4, 4),
    ]


def test_reading_tells_the_notes_and_raises_the_faults_at_once(mini_root):
    expected = set().union(*spoil(mini_root))
    told = []
    with pytest.raises(DataError) as caught:
        read_stream(stream(mini_root, *FOLDERS), told.append)
    first, *lines = str(caught.value).split("\n")
    assert first == f"4 problems in {mini_root}: the data cannot be used until each of them is mended"
    assert {line.strip().split(": ")[0] for line in lines} == {str(file) for file, fatal in expected if fatal}
    assert {line.split(": ")[0] for line in told[3:]} == {str(file) for file, fatal in expected if not fatal}


def test_what_a_repaired_copy_mends_is_said_to_be_mended_by_one(mini_root):
    (mini_root / "mini_voc_seg" / "val" / "2007_000000.jpg").write_bytes(b"broken")
    way_out = f"; or python -m onehead_avl.prepare --import {mini_root} --root NEW writes a copy without it"
    assert refused(mini_root, *FOLDERS).endswith(f"; replace or remove the file{way_out}")
    train, val = (mini_root / "imagenette_160" / split / CLASSES["cls"][0] for split in ("train", "val"))
    shutil.copy(train / "n01440764_0.JPEG", val / "copy.JPEG")
    assert refused(mini_root, *FOLDERS).split("\n")[0].endswith(f"until each of them is mended{way_out}")
    (mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json").unlink()
    assert "--import" not in refused(mini_root, *FOLDERS)  # which refuses it, too


def test_no_copy_is_offered_of_data_that_a_user_describes(mini_root):
    (mini_root / "mini_voc_seg" / "val" / "2007_000000.jpg").write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        read_stream(replace(stream(mini_root, "seg"), file=Path("mine.yaml")), ignore)
    assert str(caught.value).endswith("; replace or remove the file")


def test_data_are_decoded_once_and_then_remembered(mini_root, monkeypatch):
    for path in mini_root.rglob("*.*"):
        os.utime(path, (10**9, 10**9))
    first = read(mini_root, *FOLDERS)
    before = [sample.checksum() for each in first[0] for sample in (*each.train, *each.val)]
    for name in ("decode_rgb", "decode_indices"):
        monkeypatch.setattr(facts, name, None)
    again = read(mini_root, *FOLDERS)
    assert [sample.checksum() for each in again[0] for sample in (*each.train, *each.val)] == before
    assert again[1] == first[1]


def test_a_class_name_that_no_file_could_be_written_with_is_refused(mini_root):
    bad = mini_root / "imagenette_160" / "train" / "n0\n1"
    (bad.with_name("n01440764")).rename(bad)
    message = refused(mini_root, "cls")
    assert message == (
        f"{mini_root / 'imagenette_160'}: expected a class name that can be written, found n0\\n1; rename the class"
    )


def test_a_split_alone_raises_all_its_faults(mini_root):
    for position in range(2):
        (mini_root / "mini_voc_seg" / "val" / f"2007_00000{position}.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"^2 problems in ") as caught:
        read_split(stream(mini_root, "seg").experiences[0], "val", CLASSES["seg"], ignore)
    assert len(str(caught.value).split("\n")) == 3


def test_a_split_alone_tells_what_is_worth_knowing(mini_root):
    (mini_root / "mini_coco_det" / "val" / "extra.jpg").touch()
    (mini_root / "mini_coco_det" / "val" / "000000000101.jpg").unlink()
    told = []
    with pytest.raises(DataError, match=r"image 101: expected the file"):
        read_split(stream(mini_root, "det").experiences[0], "val", CLASSES["det"], told.append)
    assert told == [
        f"{mini_root / 'mini_coco_det' / 'val'}: pictures not listed in mini_instances_val2017.json are not read: "
        "there are 1, such as extra.jpg",
        f"{mini_root / 'mini_coco_det' / 'val'}: det val has no example of dog",
    ]


def test_faults_of_a_users_stream_are_in_its_file(mini_root):
    spoil(mini_root)
    mine = replace(stream(mini_root, "det"), file=Path("mine.yaml"))
    with pytest.raises(DataError, match=r"^2 problems in mine\.yaml: "):
        read_stream(mine, print)


# Some of the classes.


def test_segmentation_makes_background_of_other_classes(mini_root):
    (experience,), told = read(mini_root, described("seg", classes=("boat", "bicycle")))
    assert experience.classes == ("background", "boat", "bicycle")
    # Image i holds class i + 1: the second a bicycle, the fourth a boat.
    assert [Path(sample.name).stem[-1] for sample in experience.train] == ["1", "3"]
    assert [sorted(set(s.annotation["mask"].flatten().tolist())) for s in experience.train] == [
        [0, 2, 255],
        [0, 1, 255],
    ]
    assert [sorted(set(s.annotation["mask"].flatten().tolist())) for s in experience.val] == [[0, 255], [0, 2, 255]]
    assert "seg: 2 of 4 train images have none of its classes and are left out" in told
    assert not any("val images" in line for line in told)


def test_detection_drops_the_boxes_of_other_classes(mini_root):
    (experience,), told = read(mini_root, described("det", classes=("dog",)))
    assert experience.classes == ("dog",)
    assert [s.annotation["boxes"].tolist() for s in experience.train] == [[[10, 10, 22, 16]]]
    assert [s.annotation["labels"].tolist() for s in experience.val] == [[], [0]]
    assert "det: 3 of 4 train images have none of its classes and are left out" in told


def test_classification_leaves_the_images_of_other_classes_out(mini_root):
    chosen = CLASSES["cls"][2], CLASSES["cls"][0]
    (experience,), told = read(mini_root, described("cls", classes=chosen))
    assert experience.classes == chosen
    assert [s.annotation["label"] for s in experience.train] == [1, 1, 0]
    assert [s.annotation["label"] for s in experience.val] == [1, 0]
    assert told[1:] == [
        "cls: 1 of 4 train images have none of its classes and are left out",
        "cls: 1 of 3 val images have none of its classes and are left out",
    ]


def test_the_classes_of_a_set_are_read_as_they_are_where_all_are_wanted(mini_root):
    whole = described("det"), described_as("again", "det", classes=CLASSES["det"])
    (one, other), _ = read(mini_root, *whole)
    assert other.classes == one.classes
    assert [s.annotation["labels"].tolist() for s in other.val] == [s.annotation["labels"].tolist() for s in one.val]


def test_shares_divide_the_classes_but_not_the_background(mini_root):
    halves = [described_as(f"seg-{i}", "seg", classes=Share(i, 2)) for i in (1, 2)]
    with pytest.raises(DataError, match=r"experience seg-2: expected at least one train image of the classes chosen"):
        read(mini_root, *halves)
    (first,), _ = read(mini_root, halves[0])
    assert first.classes == VOC_CLASSES[:11]
    thirds = [described_as(f"det-{i}", "det", classes=Share(i, 3)) for i in (1, 2, 3)]
    assert [each.classes for each in read(mini_root, *thirds)[0]] == [("person",), ("car",), ("dog",)]


def test_an_empty_share_is_refused(mini_root):
    assert refused(mini_root, described("det", classes=Share(1, 9))) == (
        "a.yaml:det: classes: 1/9 of 3 classes is none; take fewer parts"
    )


def test_halves_of_one_set_say_nothing_of_the_images_they_share(mini_root):
    whole = (
        described("det"),
        described_as("cars", "det", classes=("car",)),
        described_as("dogs", "det", classes=("dog",)),
    )
    (_, cars, dogs), told = read(mini_root, *whole)
    assert {s.name for s in cars.val} == {s.name for s in dogs.val}
    assert not any("the same image" in line for line in told)


def test_an_image_that_halves_of_one_set_learn_and_score_is_refused_once(mini_root):
    train, val = (mini_root / "imagenette_160" / split / CLASSES["cls"][0] for split in ("train", "val"))
    shutil.copy(train / "n01440764_0.JPEG", val / "copy.JPEG")
    halves = [described_as(f"cls-{i}", "cls", classes=Share(i, 3)) for i in (1, 2, 3)]
    message = refused(mini_root, *halves)
    assert message.startswith(f"{val / 'copy.JPEG'}: the same image as {train / 'n01440764_0.JPEG'}: what was learned")


def test_a_set_that_several_experiences_share_is_read_once(mini_root, monkeypatch):
    from scenarios.read import coco

    splits = []
    original = coco.read
    monkeypatch.setattr(coco, "read", lambda *args: (splits.append(args[1]), original(*args))[1])
    (one, other), _ = read(mini_root, "det", described_as("again", "det", domain="night"))
    assert splits == ["train", "val"]
    assert [s.name for s in one.train] == [s.name for s in other.train]


def test_an_unknown_class_names_the_line_and_the_classes_there_are(mini_root):
    assert refused(mini_root, described("det", classes=("dog", "Car"))) == (
        "a.yaml:det: classes: unknown Car; the data of experience det have person, car, dog"
    )


def test_classes_are_not_blamed_where_none_could_be_read(mini_root):
    (mini_root / "mini_coco_det" / "annotations" / "mini_instances_train2017.json").write_text("{")
    (mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json").write_text("{")
    message = refused(mini_root, described("det", classes=("dog",)), described_as("again", "det"))
    assert message.startswith("2 problems in ")
    assert message.count("expected JSON") == 2


def test_experiences_without_images_are_refused_with_their_line(mini_root):
    path = mini_root / "mini_coco_det" / "annotations" / "mini_instances_train2017.json"
    path.write_text(path.read_text().replace('"category_id": 18', '"category_id": 1'))
    message = refused(mini_root, described("det", classes=("dog",)), "cls")
    assert message == (
        "a.yaml:det: experience det: expected at least one train image of the classes chosen, found none; add one"
    )


# A change of appearance.


def test_a_domain_changes_the_images_and_nothing_else(mini_root):
    (day, dark), told = read(mini_root, "seg", described_as("dark", "seg", domain="night", head="seg"))
    assert dark.head == day.head == "seg"
    for one, other in zip((*day.train, *day.val), (*dark.train, *dark.val), strict=True):
        assert torch.equal(other.image, night(one.image))
        assert not torch.equal(other.image, one.image)
        assert torch.equal(other.annotation["mask"], one.annotation["mask"])
    assert not any("the same image" in line for line in told)


def test_a_split_alone_has_its_domain_too(mini_root):
    plain, dark = (
        read_split(each, "val", CLASSES["det"], ignore)
        for each in stream(mini_root, "det", described_as("dark", "det", domain="night")).experiences
    )
    assert all(torch.equal(b.image, night(a.image)) for a, b in zip(plain, dark, strict=True))


# A split for a model that knows its classes.


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("seg", ("bicycle", "aeroplane")), ("det", ("dog", "car")), ("cls", CLASSES["cls"][:0:-1]), ("det", Share(2, 2))],
)
def test_a_split_has_the_annotation_that_the_stream_has(mini_root, name, chosen):
    placed = stream(mini_root, described(name, classes=chosen))
    (experience,) = read_stream(placed, lambda line: None).experiences
    alone = read_split(placed.experiences[0], "val", experience.classes, ignore)
    assert [sample.name for sample in alone] == [sample.name for sample in experience.val]
    for one, other in zip(alone, experience.val, strict=True):
        assert torch.equal(one.image, other.image)
        assert one.annotation.keys() == other.annotation.keys()
        for part, value in one.annotation.items():
            assert np.array_equal(value, other.annotation[part])


def test_the_classes_of_a_model_are_found_by_name(mini_root):
    (each,) = stream(mini_root, described("det", classes=("car", "dog"))).experiences
    samples = read_split(each, "val", ("dog", "car"), ignore)
    assert [sample.annotation["labels"].tolist() for sample in samples] == [[1], [0, 1]]


def test_classes_of_a_model_that_the_data_lack_are_refused(mini_root):
    (each,) = stream(mini_root, described("cls", classes=CLASSES["cls"][:1])).experiences
    with pytest.raises(DataError, match=r"^a\.yaml:cls: classes: unknown rose; the data of experience cls have n0"):
        read_split(each, "val", (CLASSES["cls"][0], "rose"), ignore)


# Drawn images.


@pytest.fixture
def few(monkeypatch):
    for split, count in (("train", 20), ("val", 10)):
        monkeypatch.setitem(COUNTS, split, count)


@pytest.mark.usefixtures("few")
def test_a_ready_made_stream_is_drawn_without_a_data_folder():
    experiences, told = read(None, *FOLDERS)
    assert told == []
    assert [each.root for each in experiences] == [None] * 3
    assert [each.classes for each in experiences] == [("background", *CATEGORIES), CATEGORIES, CATEGORIES]
    assert [(len(each.train), len(each.val)) for each in experiences] == [(20, 10)] * 3
    assert {sample.image.shape for each in experiences for sample in each.train} == {(3, 40, 40)}


@pytest.mark.usefixtures("few")
def test_drawn_images_are_chosen_from_by_class():
    (experience,), told = read(None, described("cls", classes=Share(2, 2)))
    assert experience.classes == CATEGORIES[5:]
    assert sorted(sample.annotation["label"] for sample in experience.val) == [0, 1, 2, 3, 4]
    assert told == [
        "cls: 10 of 20 train images have none of its classes and are left out",
        "cls: 5 of 10 val images have none of its classes and are left out",
    ]


@pytest.mark.usefixtures("few")
def test_a_split_of_drawn_images():
    (each,) = stream(None, described("det")).experiences
    assert each.format == DRAWN
    assert len(read_split(each, "val", CATEGORIES, ignore)) == 10


# A user's own kind and reader.


def test_an_unknown_kind_names_the_line(mini_root):
    mine = replace(described("det"), kind="nowhere_at_all:Kind")
    with pytest.raises(UsageError, match=r"^a\.yaml:det: kind: nowhere_at_all:Kind: the module"):
        read(mini_root, mine)


def test_a_kind_without_classes_refuses_a_choice(mini_root, tmp_path, monkeypatch):
    (tmp_path / "classless.py").write_text(
        "from onehead_avl.kinds.kind import Kind\nfrom onehead_avl.kinds.segmentation import Segmentation\n\n"
        "class Plain(Segmentation):\n    name = 'plain'\n    select = Kind.select\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = replace(described("seg", classes=("cat",)), kind="classless:Plain")
    assert refused(mini_root, mine).startswith("a.yaml:seg: classes: expected no classes to choose for the kind plain")
    (experience,), _ = read(mini_root, replace(mine, classes=None))
    assert experience.kind.path == "classless:Plain"


# Real data.


@needs_real
def test_real_data_have_no_findings():
    assert inspect(stream(REAL, *FOLDERS), ignore)[1] == []
    assert len(read(REAL, *FOLDERS)[1]) == 3  # the layouts


@needs_real
@each_experience
def test_real_validation_data(name):
    samples = read_split(stream(REAL, name).experiences[0], "val", REAL_CLASSES[name], ignore)
    assert len(samples) == 60
    kind = kind_of(KINDS[name])
    present = set().union(*(kind.classes_in(sample.annotation, REAL_CLASSES[name]) for sample in samples))
    assert present == set(range(1 if name == "seg" else 0, len(REAL_CLASSES[name])))
