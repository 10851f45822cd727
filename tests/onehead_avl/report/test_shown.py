import numpy as np
import pytest
import torch

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Measure
from onehead_avl.report.shown import ShownPicture, choose, read_shown, write_shown

MEASURE = Measure("seg", "mIoU")


def pixels(height=40, width=60):
    """A slope, which JPEG keeps."""
    return (torch.arange(width) * 4).to(torch.uint8).expand(3, height, width).contiguous()


PICTURE = ShownPicture(
    experience="seg",
    name="a/b.jpg",
    image=pixels(),
    annotation={"mask": torch.tensor([[0, 255], [3, 1]], dtype=torch.uint8), "crowd": torch.tensor([True])},
    predictions=(None, {"mask": torch.tensor([[0, 300]]), "boxes": torch.tensor([[0.5, 1, 2, 3]])}),
    values=(None, 0.25),
    lost=True,
)


def test_the_first_candidates_are_chosen_and_those_of_which_most_was_lost():
    values = {7: (0.5, 0.1), 2: (0.5, 0.5), 9: (0.1, 0.9), 1: (0.5, 0.4), 4: (0.5, 0.2), 3: (0.5, 0.6), 0: (0.5, 0.49)}
    chosen = choose(values, 0, MEASURE)
    assert chosen == {7: False, 2: False, 9: False, 4: True, 1: True, 0: True}
    assert list(chosen) == [7, 2, 9, 4, 1, 0]


def test_of_a_metric_that_is_better_if_lower_most_was_lost_where_it_rose():
    values = {0: (1.0, 1.0), 1: (1.0, 1.0), 2: (1.0, 1.0), 3: (1.0, 0.1), 4: (1.0, 2.0)}
    assert choose(values, 0, Measure("depth", "AbsRel", higher_is_better=False)) == {
        **dict.fromkeys((0, 1, 2), False),
        **{4: True, 3: False},
    }


def test_where_nothing_was_lost_or_measured_the_next_candidates_follow():
    values = {i: (None, 0.5) if i % 2 else (0.5, 0.5) for i in range(9)}
    assert choose(values, 0, MEASURE) == dict.fromkeys(range(6), False)
    assert choose({3: (0.5, 0.1)}, 0, MEASURE) == {3: False}
    assert choose({}, 0, MEASURE) == {}


def test_pictures_are_read_as_they_were_written(tmp_path):
    write_shown(tmp_path / "shown.npz", [PICTURE])
    (found,) = read_shown(tmp_path / "shown.npz")
    assert (found.experience, found.name, found.values, found.lost) == ("seg", "a/b.jpg", (None, 0.25), True)
    assert found.predictions[0] is None
    for name, value in (PICTURE.predictions[1] or {}).items():
        assert torch.equal(found.predictions[1][name], value)
    assert found.annotation["mask"].tolist() == [[0, 255], [3, 1]]
    assert found.annotation["crowd"].tolist() == [True]
    assert found.image.shape == PICTURE.image.shape
    assert (found.image.int() - PICTURE.image.int()).abs().max() < 12


def test_a_large_image_takes_little_room_and_has_its_size_again(tmp_path):
    write_shown(tmp_path / "shown.npz", [PICTURE.__class__(**{**vars(PICTURE), "image": pixels(1500, 2000)})])
    assert (tmp_path / "shown.npz").stat().st_size < 60_000
    (found,) = read_shown(tmp_path / "shown.npz")
    assert found.image.shape == (3, 1500, 2000)


def test_without_a_file_there_are_no_pictures(tmp_path):
    assert read_shown(tmp_path / "shown.npz") == []


@pytest.mark.parametrize("content", ["text", "empty", "other", "objects", "cut"])
def test_a_file_of_something_else_is_refused_by_name(tmp_path, content):
    file = tmp_path / "shown.npz"
    write_shown(file, [PICTURE])
    if content == "other":
        np.savez(file, a=np.zeros(3))
    elif content == "objects":
        np.savez(file, about=np.array([{}], dtype=object))
    else:
        whole = file.read_bytes()
        file.write_bytes({"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2]}[content])
    with pytest.raises(OutputError, match=r"shown\.npz: expected the pictures of a run"):
        read_shown(file)
