import numpy as np
import pytest
import torch

from onehead_avl.evaluation.shown import CANDIDATES, ShownPredictions, candidates, compact, read_arrays, write_arrays
from onehead_avl.target import Target


class Strategy:
    """What a strategy is at the end of an evaluated minibatch."""

    def __init__(self, output, target):
        self.mb_output, self.mb_y = output, target


class Black:
    """An image without light."""

    image = torch.zeros(3, 16, 24, dtype=torch.uint8)


BLACK = Black()


def minibatch(task, batch):
    """Images of different sizes."""
    return Target.cat([Target.single(task, (16 + row, 24), {}) for row in range(batch)])


def test_the_seed_chooses_different_images_each_once_and_the_same_ones_again():
    chosen = candidates(60, 0)
    assert len(set(chosen)) == len(chosen) == CANDIDATES
    assert set(chosen) <= set(range(60))
    assert candidates(60, 0) == chosen != candidates(60, 1)
    assert sorted(candidates(5, 3)) == [0, 1, 2, 3, 4]


def test_predictions_are_noted_by_the_position_of_the_image_in_its_experience(layout, blank):
    plugin = ShownPredictions(layout, {0: {0: BLACK, 3: BLACK}, 2: {1: BLACK}})
    plugin.before_eval(None)
    outputs = {}
    for task, batch in ((0, 2), (0, 2), (1, 2), (2, 3)):
        output = blank(batch, 2, 3) + torch.arange(batch)[:, None, None, None] * torch.randn(layout.channels, 1, 1)
        outputs.setdefault(task, []).extend(output)
        plugin.after_eval_iteration(Strategy(output, minibatch(task, batch)))
    assert set(plugin.predictions) == {(0, 0), (0, 3), (2, 1)}
    for (task, position), found in plugin.predictions.items():
        part = layout.parts[task]
        size = torch.tensor([[16 + position % (2 if task < 2 else 3), 24]])
        (expected,) = part.kind.decode(part.of(outputs[task][position][None]), size)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    drawn = list(plugin.drawn(1))
    assert [name for name, _ in drawn] == ["seg", "cls"]
    classification = layout.parts[2]
    expected = classification.kind.draw(BLACK.image, plugin.predictions[2, 1], classification.classes)
    assert torch.equal(drawn[1][1], expected)
    plugin.before_eval(None)
    assert plugin.predictions == {}
    assert list(plugin.drawn(1)) == []


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 255], "uint8"), ([-1, 20], "int64"), ([0, 300], "uint16"), ([True], "bool"), ([0.5], "f4")],
)
def test_classes_are_kept_in_the_smallest_type_that_holds_them(values, dtype):
    array = compact(torch.tensor(values))
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == values


def test_arrays_are_read_as_they_were_written_and_objects_are_refused(tmp_path):
    arrays = {"a/0/mask": np.arange(6, dtype=np.uint8).reshape(2, 3), "a/0": np.asarray(0.5), "b": np.asarray("text")}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    np.savez(tmp_path / "y.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(tmp_path / "y.npz")
