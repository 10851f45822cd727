import numpy as np
import pytest
import torch
from PIL import Image

from scenarios.samples.facts import picture_facts
from scenarios.samples.sample import Sample, checksum_of

IMAGE = torch.randint(0, 256, (3, 6, 10), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
BOXES = {"boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0]]), "labels": torch.tensor([2]), "crowd": torch.tensor([False])}


def test_a_sample_gives_what_it_was_made_of():
    sample = Sample("a", IMAGE, BOXES)
    assert sample.image is IMAGE
    assert sample.annotation is sample.brief is BOXES
    assert (sample.name, sample.size, repr(sample)) == ("a", (6, 10), "Sample('a')")
    assert Sample("a", IMAGE).annotation == {}


def test_images_in_memory_and_on_disk_are_compared_by_one_digest(tmp_path):
    Image.fromarray(np.ascontiguousarray(IMAGE.permute(1, 2, 0).numpy())).save(tmp_path / "a.png")
    assert Sample("a", IMAGE).digest == picture_facts(tmp_path / "a.png").digest
    other = IMAGE.clone()
    other[2, 5, 9] ^= 1
    assert Sample("a", other).digest != Sample("a", IMAGE).digest


def test_a_change_leaves_the_sample_as_it_was():
    sample = Sample("a", IMAGE, {"label": 1})
    changed = sample.changed("darker", lambda image: image // 2, lambda parts: {"label": parts["label"] + 1})
    assert (changed.name, changed.annotation, sample.annotation) == ("a", {"label": 2}, {"label": 1})
    assert torch.equal(changed.image, IMAGE // 2)
    assert sample.image is IMAGE
    same = sample.changed("nothing")
    assert (same.image, same.annotation) == (sample.image, sample.annotation)


def test_a_checksum_is_that_of_image_and_annotation_and_not_of_the_name():
    assert Sample("a", IMAGE, BOXES).checksum() == Sample("b", IMAGE.clone(), dict(BOXES)).checksum()


@pytest.mark.parametrize(
    "parts",
    [
        {**BOXES, "boxes": BOXES["boxes"] + 0.5},
        {**BOXES, "labels": BOXES["labels"] + 1},
        {**BOXES, "crowd": ~BOXES["crowd"]},
        {"boxes": BOXES["boxes"], "labels": BOXES["labels"]},
        {"boxes": BOXES["boxes"], "titles": BOXES["labels"], "crowd": BOXES["crowd"]},
        {**BOXES, "label": 1},
        {**BOXES, "label": 2},
        {**BOXES, "boxes": BOXES["boxes"].reshape(2, 2)},
    ],
    ids=range(8),
)
def test_another_annotation_has_another_checksum(parts):
    sample = Sample("a", IMAGE, BOXES)
    assert Sample("a", IMAGE, parts).checksum() != sample.checksum()


def test_what_is_said_beside_the_annotation_is_part_of_a_checksum():
    assert len({checksum_of("x", BOXES, *more) for more in ((), ("one",), ("two",), ("one", "two"))}) == 4
    assert checksum_of("y", BOXES) != checksum_of("x", BOXES)
