"""A tiny stream of drawn images."""

import copy

import pytest

from onehead_avl.kinds.kind import kind_of
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream

CHALLENGE = {"seg": "segmentation", "det": "detection", "cls": "classification"}


@pytest.fixture(scope="session")
def _images() -> Stream:
    experiences = []
    for name, kind in CHALLENGE.items():
        train, val = (drawn(kind, split, size=32, count=count) for split, count in (("train", 2), ("val", 1)))
        experiences.append(Experience(name, kind_of(kind), drawn_classes(kind), train, val, name))
    return Stream("challenge", tuple(experiences))


@pytest.fixture
def stream(_images) -> Stream:
    """The challenge with two drawn training images and a validation image for each experience; free to be changed."""
    return copy.deepcopy(_images)


@pytest.fixture
def file(tmp_path):
    """Write a stream of one's own; unless it is said otherwise, of two experiences of one kind on no disk."""

    def file(*experiences, name="own.yaml"):
        experiences = experiences or (
            "{name: near, kind: detection, format: drawn}",
            "{name: far, kind: detection, format: drawn, domain: grey}",
        )
        path = tmp_path / name
        path.write_text("experiences:\n" + "".join(f"  - {each}\n" for each in experiences))
        return str(path)

    return file
