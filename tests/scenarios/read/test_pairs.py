from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenarios.read.pairs import find_pairs, read_mask, values_of
from scenarios.samples.findings import Fault


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


def test_a_mask_holds_indices(tmp_path):
    Image.fromarray(np.array([[2, 7], [0, 7]], dtype=np.uint8)).save(tmp_path / "a.png")
    meaning, _ = values({2: "road", 7: "sky"}, (0,))
    mask = read_mask(tmp_path / "a.png", meaning)
    assert mask.dtype == torch.uint8
    assert mask.tolist() == [[0, 1], [255, 1]]


def test_a_value_without_meaning_is_named_with_those_that_have_one(tmp_path):
    Image.fromarray(np.array([[0, 9, 8]], dtype=np.uint8)).save(tmp_path / "a.png")
    meaning, _ = values({0: "a", 1: "b", 2: "c", 7: "d"}, (255,))
    with pytest.raises(Fault, match=r"a\.png: expected mask values 0 to 2, 7 and 255, found 8, 9; store class"):
        read_mask(tmp_path / "a.png", meaning)


def test_pairs_are_found_whatever_the_case_of_the_suffix(tmp_path):
    for name in ("b.JPG", "b.PNG", "a.jpg", "a.png"):
        (tmp_path / name).touch()
    assert find_pairs((tmp_path, tmp_path), (".jpg",), []) == [
        (tmp_path / "a.jpg", tmp_path / "a.png"),
        (tmp_path / "b.JPG", tmp_path / "b.PNG"),
    ]
