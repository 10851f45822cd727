import numpy as np
import pytest

from onehead_avl.kinds.precision import Matched, precision

RIGHT, WRONG, IGNORED = "right", "wrong", "ignored"


def matched(*pictures, n_classes=1):
    """Pictures ``(detections, labels of objects)``; a detection is its label, score, and what each threshold says."""
    found = [(picture, *each) for picture, (detections, _) in enumerate(pictures) for each in detections]
    objects = [(picture, label) for picture, (_, labels) in enumerate(pictures) for label in labels]
    ranks = sorted({(label, -score) for _, label, score, _ in found})
    each_is = np.array([each for *_, each in found]).T
    return Matched(
        n_classes=n_classes,
        first=np.cumsum([0, *(len(detections) for detections, _ in pictures)]),
        label=np.array([label for _, label, _, _ in found]),
        place=np.array([ranks.index((label, -score)) for _, label, score, _ in found], dtype=np.uint32),
        right=each_is == RIGHT,
        ignored=each_is == IGNORED,
        object_picture=np.array([picture for picture, _ in objects], dtype=int),
        object_label=np.array([label for _, label in objects], dtype=int),
    )


def at(recalls, pictures, named=None, n_classes=1):
    """The precisions at some recalls: ``(T, R, C)`` as nested lists."""
    named = range(len(pictures)) if named is None else named
    return precision(matched(*pictures, n_classes=n_classes), np.array(named), np.array(recalls)).tolist()


def test_the_precision_at_a_recall_is_the_best_there_or_above_by_hand():
    # Right ones at places 1, 3 and 4 of 5, of four objects: precision 1, 2/3 and 3/4 at recall 1/4, 1/2 and 3/4.
    kinds = [RIGHT, WRONG, RIGHT, RIGHT, WRONG]
    picture = [(0, 0.9 - 0.1 * i, [kind]) for i, kind in enumerate(kinds)], [0] * 4
    (found,) = at([0, 0.25, 0.26, 0.5, 0.75, 0.76, 1], [picture])
    assert [each for (each,) in found] == pytest.approx([1, 1, 3 / 4, 3 / 4, 3 / 4, 0, 0])


def test_each_threshold_and_class_has_its_own_precision_by_hand():
    detections = [
        (0, 0.5, [RIGHT, WRONG]),
        (1, 0.9, [RIGHT, RIGHT]),
        (1, 0.8, [WRONG, WRONG]),
        (1, 0.7, [RIGHT, WRONG]),
    ]
    found = np.array(at([0.5, 1], [(detections, [0, 1, 1])], n_classes=2))
    assert found[:, :, 0] == pytest.approx(np.array([[1, 1], [0, 0]]))
    assert found[:, :, 1] == pytest.approx(np.array([[1, 2 / 3], [1, 0]]))


def test_what_is_ignored_is_no_mistake():
    detections = [(0, 0.9, [IGNORED, WRONG]), (0, 0.8, [IGNORED, IGNORED]), (0, 0.7, [RIGHT, RIGHT])]
    assert np.array(at([1], [(detections, [0])])).ravel() == pytest.approx([1, 1 / 2])


def test_a_class_without_objects_has_none_and_one_without_right_detections_zero():
    detections = [(0, 0.9, [WRONG]), (1, 0.8, [WRONG]), (3, 0.9, [RIGHT])]
    found = at([0, 1], [(detections, [1, 2, 3])], n_classes=5)
    assert found == [[[-1, 0, 0, pytest.approx(1), -1]] * 2]


def test_equal_scores_are_in_the_order_of_their_pictures_by_hand():
    pictures = [([(0, 0.5, [RIGHT])], [0]), ([(0, 0.5, [WRONG])], [])]
    assert np.ravel(at([1], pictures, [0, 1])) == pytest.approx(1)
    assert np.ravel(at([1], pictures, [1, 0])) == pytest.approx(1 / 2)
    assert np.ravel(at([1], pictures, [0, 1, 0])) == pytest.approx(2 / 3)


def test_only_the_pictures_that_are_named_count():
    pictures = [([(0, 0.9, [RIGHT])], [0]), ([(0, 0.5, [WRONG])], [0, 1]), ([], [])]
    assert np.ravel(at([1], pictures, [0, 0, 2], n_classes=2)) == pytest.approx([1, -1])
    assert np.ravel(at([0.5, 1], pictures, [0, 1, 2], n_classes=2)) == pytest.approx([1, 0, 0, 0])


@pytest.mark.parametrize("n", [1, 3, 7, 29, 57, 100, 101, 199, 300])
def test_a_recall_is_reached_where_its_quotient_is(n):
    # 0.29 * 100 is 28.999999999999996, and 29 / 100 is 0.29.
    recalls = np.linspace(0, 1, 101)
    for seed in range(5):
        right = np.random.default_rng(seed).permutation(np.repeat([True, False], n))
        detections = [(0, 1 - i / 1000, [RIGHT if each else WRONG]) for i, each in enumerate(right)]
        hits = np.cumsum(right)
        precise = hits / np.arange(1, 2 * n + 1)
        expected = [precise[hits / n >= recall].max() for recall in recalls]
        assert np.ravel(at(recalls, [(detections, [0] * n)])) == pytest.approx(expected, abs=1e-12)


def test_more_places_than_sixteen_bits_hold_are_in_order():
    n = 70_000
    label, right = np.zeros(n, dtype=int), np.zeros((1, n), dtype=bool)
    place = np.random.default_rng(0).permutation(n).astype(np.uint32)
    right[0, place == 65_999] = True
    many = Matched(
        n_classes=1,
        first=np.array([0, n]),
        label=label,
        place=place,
        right=right,
        ignored=np.zeros_like(right),
        object_picture=np.array([0]),
        object_label=np.array([0]),
    )
    assert precision(many, np.array([0]), np.array([1.0])).ravel() == pytest.approx(1 / 66_000)
