from pathlib import Path

import pytest
import torch

from onehead_avl.kinds.kind import kind_of
from scenarios.experience import Experience
from scenarios.inspection import absent_classes, repeated_images
from scenarios.samples.sample import Sample


def image(seed, height=40, width=50):
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def experience(name, train, val, root=None):
    """An experience whose images are given as ``{name: image}``."""
    read = [[Sample(name, image, {"label": 0}) for name, image in split.items()] for split in (train, val)]
    return Experience(name, kind_of("classification"), ("only",), *read, head=name, root=root)


def found(*experiences):
    return [(str(finding.file), finding.fatal) for finding in repeated_images(experiences)]


def test_different_images_are_no_finding():
    almost = image(0)
    almost[1, 3, 5] ^= 1
    assert found(experience("x", {"a": image(0), "b": almost}, {"c": image(1), "d": image(0)[:, :39]})) == []


def test_an_image_of_both_splits_is_fatal():
    (finding,) = repeated_images([experience("x", {"a": image(0)}, {"b": image(1), "c": image(0)})])
    assert finding.fatal
    assert str(finding) == "c: the same image as a: what was learned cannot be scored on; remove one of them"


def test_an_image_that_is_twice_in_a_split_counts_twice():
    (finding,) = repeated_images([experience("x", {"a": image(0), "b": image(0)}, {})])
    assert not finding.fatal
    assert str(finding) == "b: the same image as a: it counts twice"


def test_an_image_of_two_experiences_is_worth_knowing():
    findings = repeated_images(
        [experience("x", {"a": image(0)}, {"b": image(1)}), experience("y", {"c": image(1)}, {"d": image(0)})]
    )
    assert not any(finding.fatal for finding in findings)
    assert [str(finding) for finding in findings] == [
        "c: the same image as b: it is in x val too",
        "d: the same image as a: it is in x train too",
    ]


def test_an_image_of_both_splits_is_fatal_even_if_another_experience_has_it_too():
    experiences = experience("x", {"a": image(0)}, {}), experience("y", {"b": image(0)}, {"c": image(0)})
    assert found(*experiences) == [("b", False), ("c", True)]


def test_a_file_that_experiences_from_one_path_share_is_no_finding():
    splits = {"a": image(0), "b": image(1)}, {"c": image(2)}
    assert found(*(experience(name, *splits, root=Path("set")) for name in "xyz")) == []


def test_a_copy_is_found_once_for_each_experience_from_one_path_that_reads_it():
    splits = {"a": image(0), "b": image(0)}, {"c": image(1)}
    findings = repeated_images([experience(name, *splits, root=Path("set")) for name in "xy"])
    assert {str(finding) for finding in findings} == {"b: the same image as a: it counts twice"}


@pytest.mark.parametrize("name", ["a", "b"], ids=["the same file", "a copy"])
def test_what_one_experience_learns_another_from_the_same_path_cannot_be_scored_on(name):
    experiences = [
        experience("x", {"a": image(0)}, {"v": image(1)}, root=Path("set")),
        experience("y", {"w": image(2)}, {name: image(0)}, root=Path("set")),
    ]
    assert [fatal for _, fatal in found(*reversed(experiences))] == [True]
    (finding,) = repeated_images(experiences)
    assert finding.fatal
    assert str(finding) == f"{name}: the same image as a: what was learned cannot be scored on; remove one of them"


def test_images_are_compared_completely():
    images = [torch.zeros(3, 40, 50, dtype=torch.uint8) for _ in range(3)]
    images[1][0, 1, 1] = 9  # between the pixels that are looked at first
    assert found(experience("x", {"a": images[0]}, {"b": images[1], "c": images[2]})) == [("c", True)]


def experience_of(kind, classes, train, val=()):
    """An experience whose annotations are given."""
    learned = [Sample(f"t/{i}", image(i), parts) for i, parts in enumerate(train)]
    scored = [Sample(f"v/{i}", image(i), parts) for i, parts in enumerate(val)]
    return Experience("x", kind_of(kind), classes, learned, scored, head="x")


def boxes(*labels):
    return {
        "boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0]] * len(labels)).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "crowd": torch.zeros(len(labels), dtype=torch.bool),
    }


def test_classes_without_an_example_are_named_for_each_split():
    findings = absent_classes(experience_of("detection", ("dog", "cat", "cow"), [boxes(1), boxes()], [boxes()]))
    assert [(finding.file, finding.problem, finding.fatal) for finding in findings] == [
        (Path("t"), "x train has no example of dog, cow", False),
        (Path("v"), "x val has no example of dog, cat, cow", False),
    ]


def test_a_class_is_present_if_a_mask_says_so():
    mask = {"mask": torch.tensor([[0, 2], [255, 0]], dtype=torch.uint8)}
    (finding,) = absent_classes(experience_of("segmentation", ("ground", "cat", "dog"), [mask]))
    assert finding.problem == "x train has no example of cat"


def test_a_background_needs_no_example():
    mask = {"mask": torch.tensor([[1, 1]], dtype=torch.uint8)}
    assert absent_classes(experience_of("segmentation", ("background", "cat"), [mask])) == []


def test_a_class_is_present_if_a_label_says_so():
    labelled = [{"label": 0}, {"label": 1}]
    assert absent_classes(experience_of("classification", ("cat", "dog"), labelled, labelled)) == []
