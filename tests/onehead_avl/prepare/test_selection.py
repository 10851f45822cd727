from collections import Counter

import pytest

from onehead_avl.prepare.selection import Candidate, Distinct, draw, take_all

OFFICIAL = {"train": "train", "val": "val"}
SHARED = {"train": "val", "val": "val"}


def candidates(split, *classes_and_numbers, start=0):
    """As many pictures of each set of classes (a string of one-letter names) as said."""
    found = []
    for classes, number in classes_and_numbers:
        found += [Candidate(f"{split}{start + len(found) + i}", split, frozenset(classes)) for i in range(number)]
    return found


def always(candidate):
    return True


def counts(pictures):
    return Counter(name for each in pictures for name in each.classes)


POOL = candidates("val", ("a", 40), ("b", 9), ("c", 30), ("ac", 21))
BOTH = candidates("train", ("a", 40), ("b", 9), ("c", 30)) + candidates("val", ("a", 12), ("b", 5), ("c", 12))


def test_the_splits_are_as_large_as_asked_and_disjoint():
    for pool, pools in ((POOL, SHARED), (BOTH, OFFICIAL)):
        drawn = draw(pool, pools, {"train": 24, "val": 6}, 0, always)
        assert {split: len(pictures) for split, pictures in drawn.items()} == {"train": 24, "val": 6}
        assert not set(drawn["train"]) & set(drawn["val"])
        assert drawn["train"] == sorted(drawn["train"])


def test_official_splits_are_respected():
    drawn = draw(BOTH, OFFICIAL, {"train": 24, "val": 6}, 0, always)
    assert {(split, each.split) for split, pictures in drawn.items() for each in pictures} == {
        ("train", "train"),
        ("val", "val"),
    }


def test_classes_are_equally_frequent_as_far_as_there_are_pictures():
    drawn = draw(BOTH, OFFICIAL, {"train": 36, "val": 6}, 0, always)
    assert counts(drawn["val"]) == {"a": 2, "b": 2, "c": 2}
    assert counts(drawn["train"])["b"] == 9
    assert abs(counts(drawn["train"])["a"] - counts(drawn["train"])["c"]) <= 1


def test_the_order_of_the_candidates_does_not_matter():
    drawn = draw(POOL, SHARED, {"train": 24, "val": 6}, 3, always)
    for order in (POOL[::-1], sorted(POOL, key=lambda each: each.name[::-1])):
        assert draw(order, SHARED, {"train": 24, "val": 6}, 3, always) == drawn


def test_another_seed_draws_other_pictures():
    drawn = [draw(POOL, SHARED, {"train": 24, "val": 6}, seed, always) for seed in range(3)]
    assert len({tuple(each["train"]) for each in drawn}) == len({tuple(each["val"]) for each in drawn}) == 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rare", [2, 3])
def test_a_class_of_two_pictures_is_in_both_splits_even_if_both_are_drawn_from_one_pool(seed, rare):
    pool = candidates("val", ("ab", 30), ("abc", 30), ("z", rare), start=seed)
    drawn = draw(pool, SHARED, {"train": 40, "val": 10}, seed, always)
    assert counts(drawn["train"])["z"] >= 1
    assert counts(drawn["val"])["z"] >= 1


def test_a_rare_class_that_occurs_with_a_frequent_one_is_not_missed():
    pool = candidates("train", ("a", 500), ("az", 1)) + candidates("val", ("a", 100), ("az", 1))
    drawn = draw(pool, OFFICIAL, {"train": 5, "val": 2}, 0, always)
    assert counts(drawn["train"])["z"] == counts(drawn["val"])["z"] == 1


def test_what_is_not_usable_is_asked_about_once_and_passed_over():
    asked = Counter()

    def usable(candidate):
        asked[candidate] += 1
        return candidate.name not in {
            "val40",
            "val41",
            "val42",
            "val43",
            "val44",
            "val45",
            "val46",
            "val47",
        }  # b but one

    drawn = draw(POOL, SHARED, {"train": 60, "val": 20}, 0, usable)
    assert len(drawn["train"]) == 60
    assert counts(drawn["train"])["b"] + counts(drawn["val"])["b"] == 1
    assert set(asked.values()) == {1}


def test_too_few_pictures_are_all_drawn():
    drawn = draw(POOL, SHARED, {"train": 90, "val": 30}, 0, always)
    assert len(drawn["train"]) + len(drawn["val"]) == len(POOL) == 100
    assert len(drawn["val"]) == 30 * len(drawn["train"]) // 70 or abs(len(drawn["val"]) - 25) <= 1


def test_pictures_without_classes_are_not_drawn():
    drawn = draw(candidates("val", ("a", 3), ("", 3)), SHARED, {"train": 2, "val": 2}, 0, always)
    assert sum(map(len, drawn.values())) == 3


def test_all_pictures_are_taken_validation_first():
    asked = []

    def usable(candidate):
        asked.append(candidate.split)
        return candidate.name != "train3"

    taken = take_all(BOTH[::-1], OFFICIAL, usable)
    assert taken == {
        split: sorted(each for each in BOTH if each.split == split and each.name != "train3") for split in OFFICIAL
    }
    assert asked == sorted(asked, key=lambda split: split == "train")


def test_a_picture_is_distinct_once():
    distinct = Distinct()
    assert [distinct.take(digest) for digest in (b"a", b"b", b"a", b"a")] == [True, True, False, False]
    assert distinct.repeated == 2
