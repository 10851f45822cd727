import math

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from onehead_avl.ignored import ABSENT, VOID
from onehead_avl.target import Target, collate, ignore_value

SEG, DET, CLS = range(3)
PARTS = ("mask", "boxes", "labels", "crowd", "label")


def segmentation(height, width, value=1):
    return Target.single(SEG, (height, width), {"mask": torch.full((height, width), value, dtype=torch.uint8)})


def detection(n, size=(20, 30)):
    annotation = {
        "boxes": torch.arange(4.0 * n).reshape(n, 4) + 1,
        "labels": torch.arange(n),
        "crowd": torch.arange(n) % 2 == 1,
    }
    return Target.single(DET, size, annotation)


def classification(label):
    return Target.single(CLS, (10, 12), {"label": label})


def tensors(target):
    """All tensors of a target by name."""
    return {"task": target.task, "size": target.size, **target.parts}


def assert_same(one, other):
    first, second = tensors(one), tensors(other)
    assert set(first) == set(second)
    for name, part in first.items():
        assert part.dtype == second[name].dtype, name
        assert torch.equal(part.nan_to_num(-7), second[name].nan_to_num(-7)), name
        assert torch.equal(part.isnan(), second[name].isnan()), name


@pytest.fixture
def mixed():
    return Target.cat([segmentation(3, 4), detection(2), classification(7), detection(0)])


def test_a_single_target_is_a_batch_of_one_with_the_parts_it_is_given():
    target = segmentation(3, 4)
    assert len(target) == 1
    assert target.task.tolist() == [0]
    assert target.size.tolist() == [[3, 4]]
    assert set(target.parts) == {"mask"}
    assert target.parts["mask"].shape == (1, 3, 4)
    target = detection(2)
    assert target.task.tolist() == [1]
    assert set(target.parts) == {"boxes", "labels", "crowd"}
    assert target.parts["boxes"].tolist() == [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    assert target.parts["labels"].tolist() == [[0, 1]]
    assert target.parts["crowd"].tolist() == [[False, True]]
    target = classification(0)
    assert target.task.tolist() == [2]
    assert target.parts["label"].tolist() == [0]
    assert target.parts["label"].dtype == torch.int64


def test_a_target_may_have_no_annotation_and_a_size_of_torchs():
    target = Target.single(4, torch.Size((8, 9)))
    assert (target.task.tolist(), target.size.tolist(), target.parts) == ([4], [[8, 9]], {})


def test_the_ignore_value_follows_from_the_type():
    assert ignore_value(torch.uint8) == VOID == 255
    assert ignore_value(torch.int64) == ignore_value(torch.int32) == ABSENT == -1
    assert ignore_value(torch.bool) is False
    assert math.isnan(ignore_value(torch.float32))


def test_parts_that_some_lack_hold_their_ignore_value(mixed):
    assert set(mixed.parts) == set(PARTS)
    assert (mixed.parts["mask"][1:] == VOID).all()
    assert mixed.parts["boxes"][[0, 2, 3]].isnan().all()
    assert (mixed.parts["labels"][[0, 2, 3]] == ABSENT).all()
    assert not mixed.parts["crowd"][[0, 2, 3]].any()
    assert mixed.parts["label"].tolist() == [ABSENT, ABSENT, 7, ABSENT]


def test_a_part_of_any_name_is_carried_along():
    depth = Target.single(3, (2, 3), {"depth": torch.rand(2, 3)})
    joined = Target.cat([classification(1), depth])
    assert joined.parts["depth"].shape == (2, 2, 3)
    assert joined.parts["depth"][0].isnan().all()
    assert torch.equal(joined.parts["depth"][1], depth.parts["depth"][0])


def test_a_part_that_only_later_batches_have_is_filled_in_for_whole_batches():
    first = Target.cat([detection(1), detection(2)])
    joined = Target.cat([first, Target.cat([classification(3), segmentation(2, 3)])])
    assert joined.parts["label"].tolist() == [ABSENT, ABSENT, 3, ABSENT]
    assert joined.parts["mask"].shape == (4, 2, 3)
    assert (joined.parts["mask"][:3] == VOID).all()
    assert joined.parts["boxes"].isnan().all(dim=2).tolist() == [[False, True], [False, False], [True] * 2, [True] * 2]


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (torch.zeros(2, 2, dtype=torch.int64), r"3-dimensional torch\.int64, 3-dimensional torch\.uint8"),
        (torch.zeros(2, dtype=torch.uint8), r"2-dimensional torch\.uint8, 3-dimensional torch\.uint8"),
    ],
)
def test_a_part_in_two_types_is_refused(other, found):
    with pytest.raises(ValueError, match=f"expected 'mask' of one type in every target, got {found}"):
        Target.cat([Target.single(SEG, (2, 2), {"mask": other}), segmentation(2, 2)])


def test_ragged_masks_are_padded_with_void():
    wide, tall = segmentation(2, 5, value=1), segmentation(4, 3, value=2)
    mask = Target.cat([wide, tall]).parts["mask"]
    assert mask.shape == (2, 4, 5)
    assert (mask[0, :2, :5] == 1).all()
    assert (mask[0, 2:] == VOID).all()
    assert (mask[1, :4, :3] == 2).all()
    assert (mask[1, :, 3:] == VOID).all()


def test_ragged_boxes_are_padded_with_absent_labels():
    target = Target.cat([detection(1), detection(3), detection(0)])
    assert target.parts["boxes"].shape == (3, 3, 4)
    assert target.parts["labels"].tolist() == [[0, ABSENT, ABSENT], [0, 1, 2], [ABSENT] * 3]
    assert target.parts["crowd"].tolist() == [[False] * 3, [False, True, False], [False] * 3]
    assert target.parts["boxes"][0, 0].tolist() == [1, 2, 3, 4]
    assert target.parts["boxes"][0, 1:].isnan().all()
    assert target.parts["boxes"][1, 2].tolist() == [9, 10, 11, 12]


def test_a_joined_batch_keeps_order_sizes_and_tasks(mixed):
    assert len(mixed) == 4
    assert mixed.task.tolist() == [0, 1, 2, 1]
    assert mixed.size.tolist() == [[3, 4], [20, 30], [10, 12], [20, 30]]
    assert mixed.parts["label"].tolist() == [ABSENT, ABSENT, 7, ABSENT]


def test_joining_keeps_the_types(mixed):
    assert {name: part.dtype for name, part in tensors(mixed).items()} == {
        "task": torch.int64,
        "size": torch.int64,
        "mask": torch.uint8,
        "boxes": torch.float32,
        "labels": torch.int64,
        "crowd": torch.bool,
        "label": torch.int64,
    }


def test_joining_batches_equals_joining_their_samples(mixed):
    more = Target.cat([detection(4), segmentation(6, 2)])
    assert_same(Target.cat([mixed, more]), Target.cat([*mixed, *more]))


def test_joining_one_batch_changes_nothing(mixed):
    assert_same(Target.cat([mixed]), mixed)


def test_torch_joins_batches_along_the_first_dimension(mixed):
    more = Target.cat([detection(4), segmentation(6, 2)])
    expected = Target.cat([mixed, more])
    for joined in (torch.cat((mixed, more)), torch.cat([mixed, more], dim=0)):
        assert_same(joined, expected)
    with pytest.raises(ValueError, match="at least one target"):
        Target.__torch_function__(torch.cat, (Target,), ([],))


@pytest.mark.parametrize(
    "ask",
    [
        lambda target: torch.cat([target, target], dim=1),
        lambda target: torch.cat([target, target], 1),
        lambda target: torch.stack([target, target]),
        lambda target: torch.unique(target),
        lambda target: torch.nn.functional.cross_entropy(torch.zeros(4, 2), target),
        lambda target: target.task.add(target),
    ],
    ids=["cat along 1", "cat along 1 by position", "stack", "unique", "cross_entropy", "add"],
)
def test_what_else_torch_does_to_tensors_is_refused(mixed, ask):
    with pytest.raises(TypeError):
        ask(mixed)


def test_a_clone_shares_nothing(mixed):
    clone = mixed.clone()
    assert_same(clone, mixed)
    for name, part in tensors(mixed).items():
        assert tensors(clone)[name].data_ptr() != part.data_ptr(), name
    clone.parts["label"].fill_(5)
    clone.parts["boxes"].fill_(5)
    assert mixed.parts["label"].tolist() == [ABSENT, ABSENT, 7, ABSENT]
    assert mixed.parts["boxes"][1, 0].tolist() == [1, 2, 3, 4]


def test_joining_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one target"):
        Target.cat([])


@pytest.mark.parametrize(
    ("index", "chosen"),
    [
        (0, [0]),
        (2, [2]),
        (-1, [3]),
        (-4, [0]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        (slice(4, None), []),
        (torch.tensor([3, 0]), [3, 0]),
        (torch.tensor([False, True, True, False]), [1, 2]),
        ([2, 2, 1], [2, 2, 1]),
    ],
    ids=str,
)
def test_indexing_chooses_samples_of_every_part(mixed, index, chosen):
    part_of = mixed[index]
    assert isinstance(part_of, Target)
    assert len(part_of) == len(chosen)
    for name, whole in tensors(mixed).items():
        expected = whole[torch.tensor(chosen, dtype=torch.long)]
        assert torch.equal(tensors(part_of)[name].nan_to_num(-7), expected.nan_to_num(-7)), name


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_out_of_range_is_refused(mixed, index):
    with pytest.raises(IndexError, match="below 4"):
        mixed[index]


def test_iteration_gives_each_sample_and_ends(mixed):
    samples = list(mixed)
    assert [len(sample) for sample in samples] == [1] * 4
    assert_same(Target.cat(samples), mixed)


def test_moving_to_a_device_moves_every_part_but_task_labels_and_sizes(mixed):
    moved = mixed.to("meta", non_blocking=True)
    assert {part.device.type for part in moved.parts.values()} == {"meta"}
    assert (moved.task.device.type, moved.size.device.type) == ("cpu", "cpu")
    assert [each.shape for each in moved[[0, 2]].parts.values()] == [
        each.shape for each in mixed[[0, 2]].parts.values()
    ]
    assert_same(mixed.to(torch.device("cpu")), mixed)


def test_samples_are_told_apart_by_task(mixed):
    assert mixed.of(SEG).tolist() == [True, False, False, False]
    assert mixed.of(DET).tolist() == [False, True, False, True]
    assert mixed.of(CLS).tolist() == [False, False, True, False]


def test_collating_joins_images_targets_and_task_labels():
    samples = [(torch.full((3, 8, 8), float(i)), target, i) for i, target in enumerate([detection(1), detection(2)])]
    images, target, task_labels = collate(samples)
    assert images.shape == (2, 3, 8, 8)
    assert images[:, 0, 0, 0].tolist() == [0, 1]
    assert_same(target, Target.cat([detection(1), detection(2)]))
    assert torch.equal(task_labels, torch.tensor([0, 1]))


def test_collating_takes_any_mixture_of_tasks(mixed):
    _, target, task_labels = collate([(torch.zeros(3, 8, 8), sample, int(sample.task)) for sample in mixed])
    assert_same(target, mixed)
    assert task_labels.tolist() == [0, 1, 2, 1]


def test_the_default_collate_function_knows_targets(mixed):
    images, target = default_collate([(torch.zeros(3, 8, 8), sample) for sample in mixed])
    assert images.shape == (4, 3, 8, 8)
    assert_same(target, mixed)


def test_a_plain_data_loader_batches_targets():
    samples = [(torch.zeros(3, 8, 8), detection(n), 1) for n in (2, 0, 1)]
    batches = list(DataLoader(samples, batch_size=2))
    assert [target.parts["labels"].tolist() for _, target, _ in batches] == [[[0, 1], [ABSENT, ABSENT]], [[0]]]
