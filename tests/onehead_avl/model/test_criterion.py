import math

import pytest
import torch

from onehead_avl.model.boxes import assign, cell_centres
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.target import VOID, Target
from onehead_avl.tasks import Task

LOG2 = math.log(2)


@pytest.fixture
def loss(layout):
    return MultiTaskLoss(layout)


@pytest.fixture
def each(layout):
    """The loss of each sample."""
    return MultiTaskLoss(layout, reduction="none")


@pytest.fixture
def noise(layout):
    """A random output ``(B, C, rows, columns)``."""

    def make(batch, rows=4, columns=4, seed=0):
        return torch.randn(batch, layout.channels, rows, columns, generator=torch.Generator().manual_seed(seed))

    return make


def segmentation(mask):
    return Target.single(Task.SEG, mask.shape, mask=mask)


def detection(*boxes, labels=None, crowd=None, size=(32, 32)):
    return Target.single(
        Task.DET,
        size,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * len(boxes)),
        crowd=torch.tensor(crowd or [False] * len(boxes)),
    )


def classification(label):
    return Target.single(Task.CLS, (32, 32), label=label)


def halves(height=32, width=32, left=1, right=2):
    mask = torch.full((height, width), left)
    mask[:, width // 2 :] = right
    return mask


def mixture():
    """Two samples of each task, not in the order of the tasks."""
    return Target.cat(
        [
            classification(3),
            segmentation(halves()),
            detection((4, 4, 20, 28), (10, 0, 30, 9), labels=[2, 0]),
            segmentation(halves(20, 48, left=VOID)),
            detection(size=(60, 90)),
            classification(0),
        ]
    )


def test_another_reduction_is_refused(layout):
    with pytest.raises(ValueError, match="'mean' or 'none', got 'sum'"):
        MultiTaskLoss(layout, reduction="sum")


def test_a_mixed_batch_costs_the_sum_of_its_tasks(loss, noise):
    output, target = noise(6), mixture()
    alone = [loss(output[target.of(task)], target[target.of(task)]) for task in Task]
    assert min(alone) > 0
    torch.testing.assert_close(loss(output, target), sum(alone))


def test_a_task_weighs_the_same_however_many_samples_it_has(loss, noise):
    output = noise(2)
    target = Target.cat([segmentation(halves()), classification(1)])
    many = torch.cat([output[:1], output[1:].expand(5, -1, -1, -1)])
    torch.testing.assert_close(loss(many, Target.cat([target, *[target[1]] * 4])), loss(output, target))


def test_without_reduction_there_is_one_loss_per_sample(loss, each, noise):
    output, target = noise(6), mixture()
    losses = each(output, target)
    assert losses.shape == (6,)
    torch.testing.assert_close(sum(losses[target.of(task)].mean() for task in Task), loss(output, target))


def test_each_loss_stands_at_the_place_of_its_sample(each, noise):
    output, target = noise(6), mixture()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(each(output[order], target[order]), each(output, target)[order])
    for i in (0, 1, 3, 5):  # detection is divided by the cells of the batch, the others do not see their neighbours
        torch.testing.assert_close(each(output[i : i + 1], target[i]), each(output, target)[i : i + 1])


@pytest.mark.parametrize("task", Task)
def test_a_task_is_learned_by_its_own_channels_only(layout, loss, noise, task):
    output, target = noise(6).requires_grad_(), mixture()
    loss(output[target.of(task)], target[target.of(task)]).backward()
    touched = output.grad.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == list(layout.of(task))


def test_a_batch_of_other_tasks_leaves_a_sample_untouched(loss, noise):
    output, target = noise(6).requires_grad_(), mixture()
    loss(output, target).backward()
    assert (output.grad[target.of(Task.CLS)].abs().sum(dim=(0, 2, 3))[: -loss.layout.n_cls] == 0).all()


# Segmentation


def test_uniform_logits_cost_the_logarithm_of_the_number_of_classes(layout, loss):
    output = torch.zeros(2, layout.channels, 4, 4)
    target = Target.cat([segmentation(halves()), segmentation(halves(17, 50))])
    assert loss(output, target).item() == pytest.approx(math.log(layout.n_seg))


def test_segmentation_is_the_cross_entropy_of_the_pixels(layout, loss):
    output = torch.zeros(1, layout.channels, 4, 4)
    output[:, 1] = 2.0  # class 1 everywhere; it is right in the left half only
    normaliser = math.log(math.exp(2) + layout.n_seg - 1)
    assert loss(output, segmentation(halves())).item() == pytest.approx(normaliser - 1)


def test_a_right_mask_costs_almost_nothing_and_a_wrong_one_much(layout, loss):
    output = torch.zeros(1, layout.channels, 8, 8)
    output[:, 1, :, :4] = 60
    output[:, 2, :, 4:] = 60
    assert loss(output, segmentation(halves(64, 64))) < 1e-3
    assert loss(output, segmentation(halves(64, 64, left=2, right=1))) > 20


def test_void_pixels_cost_nothing(loss, noise):
    output, mask = noise(1, 8, 8), halves(64, 64, left=VOID)
    before = loss(output, segmentation(mask))
    output[..., :3] += 100 * noise(1, 8, 3, seed=1)  # one cell away from the pixels that count
    torch.testing.assert_close(loss(output, segmentation(mask)), before)
    output[..., 3] += noise(1, 8, 1, seed=1)[..., 0]
    assert loss(output, segmentation(mask)) != before


def test_void_pixels_do_not_thin_the_loss(layout, loss):
    output = torch.zeros(1, layout.channels, 4, 4)
    assert loss(output, segmentation(halves(left=VOID))).item() == pytest.approx(math.log(layout.n_seg))


def test_a_mask_that_is_all_void_costs_nothing(loss, noise):
    output = noise(1).requires_grad_()
    value = loss(output, segmentation(halves(left=VOID, right=VOID)))
    value.backward()
    assert value == 0
    assert (output.grad == 0).all()


def test_the_padding_of_a_mask_does_not_count(each, noise):
    output = noise(2)
    target = Target.cat([segmentation(halves(20, 24)), segmentation(halves(40, 60))])
    before = each(output, target)
    torch.testing.assert_close(before[:1], each(output[:1], segmentation(halves(20, 24))))
    target.mask[0, 20:] = 3
    target.mask[0, :, 24:] = 0
    assert torch.equal(each(output, target), before)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_mask_may_have_the_size_of_the_original_picture(loss, noise, factor):
    output, mask = noise(1), torch.randint(0, 4, (8, 8), generator=torch.Generator().manual_seed(1))
    small, large = mask, mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    torch.testing.assert_close(loss(output, segmentation(large)), loss(output, segmentation(small)))


def test_the_pixel_in_the_middle_speaks_for_those_around_it(loss, noise):
    output, mask = noise(1), torch.randint(0, 4, (8, 8), generator=torch.Generator().manual_seed(1))
    fine = torch.full((24, 24), VOID)
    fine[1::3, 1::3] = mask
    torch.testing.assert_close(loss(output, segmentation(fine)), loss(output, segmentation(mask)))


# Detection


def focal_of_nothing(logits):
    """Focal loss of background, summed: 0.75 * p^2 * -log(1 - p)."""
    p = logits.double().sigmoid()
    return -(0.75 * p**2 * (1 - p).log()).sum().item()


def test_a_picture_without_objects_is_all_background(layout, loss, noise):
    output = noise(1)
    classes = output[:, layout.n_seg + 5 : layout.n_seg + 5 + layout.n_det]
    assert loss(output, detection()).item() == pytest.approx(focal_of_nothing(classes), rel=1e-5)


def test_the_loss_of_one_box_by_hand(layout, loss):
    # In a 4 x 4 grid the box is learned by the four cells in the middle. With zero parameters each of them predicts
    # a box of side 32 that contains it: IoU = GIoU = 256 / 1024. All probabilities are one half.
    box = 2 * (1 - 0.25) + LOG2
    positive, negative = 0.25 * 0.25 * LOG2, 0.75 * 0.25 * LOG2
    focal = 4 * positive + (16 * layout.n_det - 4) * negative
    output = torch.zeros(1, layout.channels, 4, 4)
    assert loss(output, detection((8, 8, 24, 24))).item() == pytest.approx((4 * box + focal) / 4, rel=1e-5)


def test_confidence_learns_the_overlap_of_its_box(layout, loss):
    values = []
    for overlap in (0.15, 0.25, 0.35):
        output = torch.zeros(1, layout.channels, 4, 4)
        output[:, layout.n_seg + 4] = math.log(overlap / (1 - overlap))
        values.append(loss(output, detection((8, 8, 24, 24))).item())
    assert values[1] < values[0]
    assert values[1] < values[2]


def test_the_overlap_that_confidence_learns_does_not_move_the_box(layout, loss):
    gradients = []
    for logit in (-3.0, 3.0):
        output = torch.zeros(1, layout.channels, 4, 4)
        output[:, layout.n_seg + 4] = logit
        output.requires_grad_()
        loss(output, detection((8, 8, 24, 24))).backward()
        gradients.append(output.grad[:, layout.n_seg : layout.n_seg + 4])
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(*gradients)


def test_a_perfect_detection_costs_almost_nothing(loss, blank, place):
    output, boxes, labels = blank(1, 8, 8), [(8, 8, 24, 40), (30, 6, 62, 20), (50, 50, 53, 54)], [2, 0, 1]
    target = detection(*boxes, labels=labels, size=(64, 64))
    assigned = assign(target.boxes[0], cell_centres(8, 8, output.device))
    for cell, box in enumerate(assigned.tolist()):
        if box >= 0:
            place(output[0], divmod(cell, 8), boxes[box], labels[box])
    assert sorted(set(assigned.tolist())) == [-1, 0, 1, 2]
    assert loss(output, target) < 1e-4
    assert loss(output, detection(*boxes, labels=[2, 0, 2], size=(64, 64))) > 1


def test_boxes_may_have_coordinates_of_the_original_picture(loss, noise):
    output, boxes, labels = noise(1, 8, 8), [(5.0, 9.0, 30.0, 41.0), (33.0, 2.0, 61.0, 19.0)], [1, 2]
    expected = loss(output, detection(*boxes, labels=labels, size=(64, 64)))
    for y, x in ((2, 2), (0.5, 3), (2.5, 1)):
        scaled = [(x1 * x, y1 * y, x2 * x, y2 * y) for x1, y1, x2, y2 in boxes]
        original = detection(*scaled, labels=labels, size=(int(64 * y), int(64 * x)))
        torch.testing.assert_close(loss(output, original), expected)


def test_detection_is_divided_by_the_cells_that_learn_a_box(layout, loss):
    # The first picture has four such cells, the second none: two in the average picture.
    output = torch.zeros(2, layout.channels, 4, 4)
    one, none = loss(output[:1], detection((8, 8, 24, 24))) * 4, loss(output[:1], detection())
    both = loss(output, Target.cat([detection((8, 8, 24, 24)), detection()]))
    torch.testing.assert_close(both, (one + none) / 4)


def test_the_padding_of_boxes_does_not_count(loss, noise):
    output, target = noise(1), detection((4, 4, 20, 28), labels=[1])
    padded = Target.cat([target, detection((0, 0, 9, 9), (3, 3, 9, 9), (8, 8, 30, 30))])[0]
    before = loss(output, target)
    assert torch.equal(loss(output, padded), before)
    padded.boxes[0, 1:] = torch.tensor([0.0, 0.0, 32.0, 32.0])
    padded.crowd[0, 1:] = True
    assert torch.equal(loss(output, padded), before)


def test_a_crowd_is_neither_learned_nor_background(layout, loss, noise):
    # The crowd covers the centres of the two left columns of cells.
    output, crowd = noise(1), detection((0, 0, 17, 32), crowd=[True])
    classes = slice(layout.n_seg + 5, layout.n_seg + 5 + layout.n_det)
    before = loss(output, crowd)
    assert before.item() == pytest.approx(focal_of_nothing(output[0, classes, :, 2:]), rel=1e-5)
    inside, outside = output.clone(), output.clone()
    inside[:, layout.n_seg :, :, :2] += 3
    outside[:, classes, 0, 2] += 3
    assert torch.equal(loss(inside, crowd), before)
    assert loss(outside, crowd) > before


def test_an_object_inside_a_crowd_is_learned(layout, loss, noise):
    box = (1, 1, 7, 7)  # learned by the first cell
    target = detection((0, 0, 32, 32), box, labels=[0, 1], crowd=[True, False])
    output = noise(1).requires_grad_()
    loss(output, target).backward()
    touched = output.grad[0, layout.n_seg : -layout.n_cls].abs().sum(dim=0).nonzero().tolist()
    assert touched == [[0, 0]]
    better = output.detach().clone()
    better[:, layout.n_seg + 5 + 1, 0, 0] += 5
    assert loss(better, target) < loss(output, target)


# Classification


def test_classification_is_the_smoothed_cross_entropy_of_the_mean_evidence(layout, loss):
    output = torch.zeros(1, layout.channels, 2, 2)
    output[0, -6 + 4] = torch.tensor([[12.0, 0.0], [0.0, 0.0]])  # 3 in the mean
    normaliser = math.log(math.exp(3) + 5)
    right, wrong = normaliser - 3, normaliser
    # Smoothing by 0.1 gives every class 0.1 / 6, the right one 0.9 more.
    expected = (0.9 + 0.1 / 6) * right + 5 * 0.1 / 6 * wrong
    assert loss(output, classification(4)).item() == pytest.approx(expected, rel=1e-5)


def test_an_absent_class_costs_nothing(each, noise):
    losses = each(noise(2), Target.cat([classification(None), classification(1)]))
    assert losses[0] == 0
    assert losses[1] > 0


# All tasks


def test_a_batch_with_nothing_annotated_still_has_a_gradient(loss, noise):
    output = noise(2).requires_grad_()
    target = Target.cat([segmentation(halves(left=VOID, right=VOID)), classification(None)])
    value = loss(output, target)
    value.backward()
    assert value == 0
    assert (output.grad == 0).all()


def test_losses_are_finite_whatever_the_network_says(layout, loss):
    for value in (-1e4, 1e4):
        output = torch.full((6, layout.channels, 4, 4), value, requires_grad=True)
        result = loss(output, mixture())
        result.backward()
        assert result.isfinite()
        assert output.grad.isfinite().all()


def test_following_the_gradient_learns_all_three_tasks(loss, each, noise):
    output, target = noise(6).requires_grad_(), mixture()
    before = each(output, target).detach()
    optimizer = torch.optim.Adam([output], lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss(output, target).backward()
        optimizer.step()
    after = each(output, target).detach()
    assert (after < before / 2).all()
    assert output.grad.isfinite().all()
