import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from onehead_avl.target import ABSENT, VOID, Target, collate
from onehead_avl.tasks import Task

PARTS = ("task", "size", "mask", "boxes", "labels", "crowd", "label")


def segmentation(height, width, value=1):
    return Target.single(Task.SEG, (height, width), mask=torch.full((height, width), value))


def detection(n, size=(20, 30)):
    boxes = torch.arange(4.0 * n).reshape(n, 4) + 1
    return Target.single(Task.DET, size, boxes=boxes, labels=torch.arange(n), crowd=torch.arange(n) % 2 == 1)


def classification(label):
    return Target.single(Task.CLS, (10, 12), label=label)


def assert_same(one, other):
    for part in PARTS:
        a, b = getattr(one, part), getattr(other, part)
        assert a.dtype == b.dtype, part
        assert torch.equal(a, b), part


@pytest.fixture
def mixed():
    return Target.cat([segmentation(3, 4), detection(2), classification(7), detection(0)])


def test_a_single_segmentation_target_is_a_batch_of_one():
    target = segmentation(3, 4)
    assert len(target) == 1
    assert target.task.tolist() == [0]
    assert target.size.tolist() == [[3, 4]]
    assert target.mask.shape == (1, 3, 4)
    assert target.boxes.shape == (1, 0, 4)
    assert target.labels.shape == target.crowd.shape == (1, 0)
    assert target.label.tolist() == [ABSENT]


def test_a_single_detection_target_is_a_batch_of_one():
    target = detection(2)
    assert target.task.tolist() == [1]
    assert target.mask.shape == (1, 0, 0)
    assert target.boxes.tolist() == [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    assert target.labels.tolist() == [[0, 1]]
    assert target.crowd.tolist() == [[False, True]]
    assert target.label.tolist() == [ABSENT]


def test_a_single_classification_target_is_a_batch_of_one():
    target = classification(0)
    assert target.task.tolist() == [2]
    assert target.label.tolist() == [0]
    assert target.mask.shape == (1, 0, 0)
    assert target.boxes.shape == (1, 0, 4)


def test_boxes_without_crowd_flags_are_no_crowds():
    target = Target.single(Task.DET, (8, 8), boxes=torch.ones(2, 4), labels=torch.tensor([0, 1]))
    assert target.crowd.tolist() == [[False, False]]


@pytest.mark.parametrize("target", [segmentation(2, 2), detection(1), detection(0), classification(3)])
def test_the_types_of_the_parts_do_not_depend_on_the_task(target):
    assert [getattr(target, part).dtype for part in PARTS] == [
        torch.int64,
        torch.int64,
        torch.uint8,
        torch.float32,
        torch.int64,
        torch.bool,
        torch.int64,
    ]


def test_types_are_converted_to_the_ones_of_a_target():
    target = Target.single(
        Task.DET,
        torch.Size((8, 9)),
        boxes=torch.tensor([[1, 2, 3, 4]], dtype=torch.float64),
        labels=torch.tensor([2], dtype=torch.int32),
        crowd=torch.tensor([1]),
    )
    assert (target.boxes.dtype, target.labels.dtype, target.crowd.dtype) == (torch.float32, torch.int64, torch.bool)
    assert target.size.tolist() == [[8, 9]]


def test_ragged_masks_are_padded_with_void():
    wide, tall = segmentation(2, 5, value=1), segmentation(4, 3, value=2)
    mask = Target.cat([wide, tall]).mask
    assert mask.shape == (2, 4, 5)
    assert (mask[0, :2, :5] == 1).all()
    assert (mask[0, 2:] == VOID).all()
    assert (mask[1, :4, :3] == 2).all()
    assert (mask[1, :, 3:] == VOID).all()


def test_ragged_boxes_are_padded_with_absent_labels():
    target = Target.cat([detection(1), detection(3), detection(0)])
    assert target.boxes.shape == (3, 3, 4)
    assert target.labels.tolist() == [[0, ABSENT, ABSENT], [0, 1, 2], [ABSENT] * 3]
    assert target.crowd.tolist() == [[False] * 3, [False, True, False], [False] * 3]
    assert target.boxes[0].tolist() == [[1, 2, 3, 4], [0] * 4, [0] * 4]
    assert target.boxes[1, 2].tolist() == [9, 10, 11, 12]


def test_a_joined_batch_keeps_order_sizes_and_tasks(mixed):
    assert len(mixed) == 4
    assert mixed.task.tolist() == [0, 1, 2, 1]
    assert mixed.size.tolist() == [[3, 4], [20, 30], [10, 12], [20, 30]]
    assert mixed.label.tolist() == [ABSENT, ABSENT, 7, ABSENT]
    assert (mixed.mask[1:] == VOID).all()
    assert (mixed.labels[[0, 2, 3]] == ABSENT).all()


def test_joining_keeps_the_types(mixed):
    assert [getattr(mixed, part).dtype for part in PARTS] == [getattr(detection(1), part).dtype for part in PARTS]


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
        lambda target: target.label.add(target),
    ],
    ids=["cat along 1", "cat along 1 by position", "stack", "unique", "cross_entropy", "add"],
)
def test_what_else_torch_does_to_tensors_is_refused(mixed, ask):
    with pytest.raises(TypeError):
        ask(mixed)


def test_a_clone_shares_nothing(mixed):
    clone = mixed.clone()
    assert_same(clone, mixed)
    for part in PARTS:
        assert getattr(clone, part).data_ptr() != getattr(mixed, part).data_ptr(), part
    clone.label.fill_(5)
    clone.boxes.fill_(5)
    assert mixed.label.tolist() == [ABSENT, ABSENT, 7, ABSENT]
    assert mixed.boxes[1, 0].tolist() == [1, 2, 3, 4]


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
    for part in PARTS:
        whole = getattr(mixed, part)
        assert torch.equal(getattr(part_of, part), whole[torch.tensor(chosen, dtype=torch.long)]), part


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_out_of_range_is_refused(mixed, index):
    with pytest.raises(IndexError, match="below 4"):
        mixed[index]


def test_iteration_gives_each_sample_and_ends(mixed):
    samples = list(mixed)
    assert [len(sample) for sample in samples] == [1] * 4
    assert_same(Target.cat(samples), mixed)


def test_moving_to_a_device_moves_every_part(mixed):
    moved = mixed.to("meta", non_blocking=True)
    assert {getattr(moved, part).device.type for part in PARTS} == {"meta"}
    assert_same(mixed.to(torch.device("cpu")), mixed)


def test_samples_are_told_apart_by_task(mixed):
    assert mixed.of(Task.SEG).tolist() == [True, False, False, False]
    assert mixed.of(Task.DET).tolist() == [False, True, False, True]
    assert mixed.of(Task.CLS).tolist() == [False, False, True, False]


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
    assert [target.labels.tolist() for _, target, _ in batches] == [[[0, 1], [ABSENT, ABSENT]], [[0]]]
