from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenarios.read.pairs import find_pairs, pair_of, read_pairs, require_values, values_of
from scenarios.samples.facts import Facts
from scenarios.samples.findings import LEFT_OUT, Fault, Notes


def values(names, ignore=(255,), classes=None):
    return values_of(Path("set"), names, ignore, classes)


def refused(*args):
    with pytest.raises(Fault) as caught:
        values(*args)
    return str(caught.value)


def test_sparse_values_become_indices_in_their_order():
    meaning, classes = values({7: "sky", 2: "road", 200: "tree"}, (0, 255))
    assert classes == ("road", "sky", "tree")
    assert meaning.known == {0, 2, 7, 200, 255}
    assert meaning.table[[2, 7, 200, 0, 255]].tolist() == [0, 1, 2, 255, 255]


def test_given_classes_decide_the_indices_by_name():
    meaning, classes = values({0: "road", 1: "sky"}, (255,), ["sky", "road"])
    assert classes == ("sky", "road")
    assert meaning.table[:2].tolist() == [1, 0]


@pytest.mark.parametrize("classes", [("road",), ("road", "sky", "tree"), ("road", "sea")])
def test_other_classes_than_those_given_are_refused(classes):
    expected = f"set: the masks have the classes road, sky, expected {', '.join(classes)}; use data of these classes"
    assert refused({0: "road", 1: "sky"}, (), classes) == expected


def test_a_value_that_no_mask_can_hold_is_refused():
    assert "expected mask values 0 to 255, got 300; correct names or ignore" in refused({300: "sky"})
    assert "expected mask values 0 to 255, got -1 and 256;" in refused({0: "sky"}, (256, -1))


def test_a_value_with_two_meanings_is_refused():
    assert "got a name for 3 and 5, which is ignored too" in refused({3: "a", 4: "b", 5: "c"}, (5, 3))


@pytest.mark.parametrize(
    ("names", "got"), [({}, "none"), ({0: "sky", 1: "sky"}, "sky, sky"), ({i: f"c{i}" for i in range(255)}, "c0, c1")]
)
def test_impossible_class_lists_are_refused(names, got):
    assert f"expected 1 to 254 different class names, got {got}" in refused(names, ())


def test_as_many_classes_as_indices_can_name():
    meaning, classes = values({i: f"c{i}" for i in range(1, 255)})
    assert len(classes) == 254
    assert meaning.table[254] == 253


def facts(size=(2, 3), **options):
    return Facts(size, "checksum", **options)


def joined(picture=None, mask=None, names=None):
    """The sample of an image and its mask, of which some facts are known, the findings, and the notes."""
    findings, noted = [], []
    meaning, _ = values(names or {2: "road", 7: "sky"}, (0,))
    with Notes(noted, Path("images")) as notes:
        pair = (Path("a.jpg"), picture or facts()), (Path("a.png"), mask or facts(values=(0, 2, 7)))
        sample = pair_of(*pair, meaning, findings, notes)
    return sample, findings, noted


def test_an_image_and_its_mask_are_a_sample():
    sample, findings, noted = joined()
    assert (findings, noted) == ([], [])
    assert (sample.name, sample.mask.file, sample.size) == ("a.jpg", "a.png", (2, 3))
    assert sample.brief["mask"].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    ("picture", "mask", "expected"),
    [
        (facts(problem="no picture"), None, [("a.jpg", "no picture", 1)]),
        (None, facts(problem="no mask"), [("a.png", "no mask", 1)]),
        (
            facts(problem="no picture"),
            facts(problem="no mask"),
            [("a.jpg", "no picture", 0), ("a.png", "no mask", 1)],
        ),
        (
            facts((3, 2)),
            None,
            [("a.png", "the mask is 3 x 2 pixels but its image a.jpg is 2 x 3; make them the same size", 1)],
        ),
        (
            None,
            facts(values=(0, 8, 9)),
            [("a.png", "expected mask values 0, 2 and 7, found 8, 9; store class indices, not colours", 1)],
        ),
    ],
    ids=range(5),
)
def test_a_pair_that_does_not_fit_is_left_out_and_counted_once(picture, mask, expected):
    sample, findings, _ = joined(picture, mask)
    assert sample is None
    assert [(str(finding.file), finding.problem, finding.pictures) for finding in findings] == expected
    assert all(finding.fatal and finding.repair == LEFT_OUT for finding in findings)


def test_all_that_is_wrong_with_a_pair_is_found():
    sample, findings, _ = joined(facts((3, 2)), facts(values=(9,)))
    assert sample is None
    assert [finding.problem.split(",")[0] for finding in findings] == [
        "expected mask values 0",
        "the mask is 3 x 2 pixels but its image a.jpg is 2 x 3; make them the same size",
    ]
    assert sum(finding.pictures for finding in findings) == 1


def test_an_image_is_turned_if_only_then_it_fits_its_mask():
    sample, findings, (note,) = joined(facts((3, 2), orientation=6))
    assert (findings, sample.size, sample.picture.upright) == ([], (2, 3), True)
    assert note.problem.startswith("pictures are turned as EXIF asks for")


def test_a_value_without_meaning_is_named_with_those_that_have_one():
    meaning, _ = values({0: "a", 1: "b", 2: "c", 7: "d"}, (255,))
    require_values(Path("a.png"), facts(values=(0, 1, 2, 7, 255)), meaning)
    with pytest.raises(Fault, match=r"a\.png: expected mask values 0 to 2, 7 and 255, found 8, 9; store class"):
        require_values(Path("a.png"), facts(values=(0, 8, 9)), meaning)


@pytest.mark.parametrize(
    ("names", "voc", "classes"),
    [
        ({0: "background", 15: "person"}, True, {15}),
        ({0: "background", 15: "people"}, False, {15}),
        ({1: "person"}, False, {1}),
        ({0: "background"}, True, set()),
        ({0: "ground", 21: "sky"}, False, {0, 21}),
    ],
)
def test_values_are_vocs_if_they_mean_what_they_do_there_and_background_is_no_class(names, voc, classes):
    meaning, _ = values(names)
    assert (meaning.voc, meaning.classes) == (voc, classes)


def mask_file(folder, name, *rows):
    Image.fromarray(np.array(rows, dtype=np.uint8)).save(folder / f"{name}.png")
    Image.new("RGB", (len(rows[0]), len(rows))).save(folder / f"{name}.jpg")


def read(folder, names, split="train", ignore=(255,)):
    findings = []
    samples = read_pairs((folder, folder), (".jpg",), values(names, ignore)[0], split, findings)
    return samples, findings


def test_masks_of_a_set_hold_indices(tmp_path):
    mask_file(tmp_path, "a", [2, 7], [0, 7])
    (sample,), findings = read(tmp_path, {2: "road", 7: "sky"}, ignore=(0,))
    assert findings == []
    assert sample.annotation["mask"].dtype == torch.uint8
    assert sample.annotation["mask"].tolist() == [[0, 1], [255, 1]]


def test_a_split_of_background_alone_is_refused(tmp_path):
    mask_file(tmp_path, "a", [0, 0], [0, 255])
    mask_file(tmp_path, "b", [0, 0], [0, 0])
    names = {0: "background", 1: "cat"}
    samples, findings = read(tmp_path, names)
    assert len(samples) == 2
    noted, refused = findings
    assert noted.problem == "masks that hold no class but background and void: there are 2, such as a.png, b.png"
    assert (noted.fatal, refused.fatal, refused.repair) == (False, True, "")
    assert str(refused) == (
        f"{tmp_path}: expected masks with classes, found none of them with a value but 0 and 255, background and void; "
        "store class indices"
    )
    assert [finding.fatal for finding in read(tmp_path, names, "val")[1]] == [False, True]
    mask_file(tmp_path, "b", [0, 0], [0, 1])
    assert [finding.problem.split(": ")[1] for finding in read(tmp_path, names)[1]] == ["there is one, a.png"]


def test_void_alone_is_refused_too(tmp_path):
    mask_file(tmp_path, "a", [255, 255])
    assert [finding.fatal for finding in read(tmp_path, {0: "road", 1: "sky"})[1]] == [False, True]


def test_pictures_in_folders_of_their_own_are_counted(tmp_path):
    mask_file(tmp_path, "a", [0, 1])
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("deep/b.jpg", "deep/er/c.jpg", "deep/d.avif"):
        (tmp_path / name).touch()
    _, findings = read(tmp_path, {0: "road", 1: "sky"})
    assert [(finding.problem.split(" are not read")[0], finding.pictures) for finding in findings] == [
        ("pictures in folders of their own", 2),
        ("pictures that cannot be decoded (.avif, .heic, .heif, .jxl ...)", 1),
    ]


def test_pairs_are_found_whatever_the_case_of_the_suffix(tmp_path):
    for name in ("b.JPG", "b.PNG", "a.jpg", "a.png"):
        (tmp_path / name).touch()
    assert find_pairs((tmp_path, tmp_path), (".jpg",), []) == [
        (tmp_path / "a.jpg", tmp_path / "a.png"),
        (tmp_path / "b.JPG", tmp_path / "b.PNG"),
    ]
