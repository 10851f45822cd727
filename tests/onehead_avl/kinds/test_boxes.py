import math

import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou

from onehead_avl.kinds.boxes import assign, boxes_of, cell_centres, inside, overlaps

CPU = torch.device("cpu")


def assigned_to(*boxes, wanted=None):
    """Which box each cell of a grid of 4 x 6 cells, 32 x 48 pixels, learns."""
    boxes = torch.tensor(boxes, dtype=torch.float32)
    wanted = torch.tensor([True] * len(boxes) if wanted is None else wanted)
    return assign(boxes[None], wanted[None], 4, 6)[0]


def cells_of(assigned, box=0):
    """Row and column of the cells of a 4 x 6 grid that learn a box."""
    return [divmod(cell, 6) for cell in (assigned == box).nonzero().flatten().tolist()]


def test_cell_centres_go_along_the_rows():
    expected = [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    assert cell_centres(2, 3, CPU).tolist() == expected


def test_zero_parameters_are_a_box_of_four_strides_around_the_cell():
    boxes = boxes_of(torch.zeros(2, 4, 2, 3))
    assert boxes.shape == (2, 6, 4)
    assert boxes[1].tolist() == [[x - 16, y - 16, x + 16, y + 16] for y in (4, 12) for x in (4, 12, 20)]


def test_parameters_are_an_offset_in_strides_and_log_sizes():
    parameters = torch.zeros(1, 4, 2, 3)
    parameters[0, :, 1, 2] = torch.tensor([0.5, -1.25, math.log(0.5), math.log(3)])
    # The cell's centre is (20, 12); the box's is (24, 2), its size 16 x 96.
    torch.testing.assert_close(boxes_of(parameters)[0, 5], torch.tensor([16.0, -46.0, 32.0, 50.0]))


def test_each_box_depends_on_its_own_cell_only():
    parameters = torch.zeros(1, 4, 2, 3)
    parameters[0, :, 0, 1] = 1
    changed = (boxes_of(parameters) != boxes_of(torch.zeros(1, 4, 2, 3)))[0].any(dim=1)
    assert changed.tolist() == [False, True, False, False, False, False]


def test_an_enormous_size_stays_finite():
    box = boxes_of(torch.full((1, 4, 1, 1), 1000.0))[0, 0]
    assert box.isfinite().all()
    assert (box[2:] - box[:2]).tolist() == pytest.approx([32 * math.exp(4)] * 2)


def test_centres_on_the_border_are_inside():
    boxes = torch.tensor(
        [[[4.0, 4.0, 12.0, 9.0], [4.1, 4.0, 12.0, 12.0]], [[0.0, 4.1, 50.0, 50.0], [4.0, 4.0, 4.0, 4.0]]]
    )
    expected = [[[1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0]], [[0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0]]]
    assert inside(boxes, 2, 3).int().tolist() == expected


def test_what_is_absent_is_around_nothing():
    assert not inside(torch.full((1, 1, 4), torch.nan), 4, 6).any()


@pytest.mark.parametrize("seed", range(3))
def test_boxes_overlap_as_torchvision_says(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randint(0, 20, (2, 50, 2), generator=generator).float() for _ in range(2))
    boxes, others = (torch.cat([corners.amin(dim=0), corners.amax(dim=0) + 1], dim=1) for corners in (first, second))
    iou, giou = overlaps(boxes, others)
    assert 0 < (iou > 0).sum() < 50
    torch.testing.assert_close(iou, box_iou(boxes, others).diag())
    torch.testing.assert_close(giou, generalized_box_iou(boxes, others).diag())


def test_boxes_without_an_area_do_not_overlap():
    box = torch.tensor([3.0, 3.0, 3.0, 3.0], requires_grad=True)
    iou, giou = overlaps(box, box.detach())
    giou.backward()
    assert (iou.item(), giou.item()) == (0, 0)
    assert box.grad.isfinite().all()


def test_without_boxes_to_learn_all_is_background():
    assigned = assigned_to((10, 9, 22, 15), (torch.nan,) * 4, wanted=[False, False])
    assert assigned.dtype == torch.int64
    assert assigned.tolist() == [-1] * 24


def test_a_cell_learns_the_box_around_its_centre():
    # Centres inside: x of 12 and 20, y of 12.
    assert cells_of(assigned_to((10, 9, 22, 15))) == [(1, 1), (1, 2)]


def test_each_image_has_boxes_of_its_own():
    boxes = torch.tensor(
        [[[10.0, 9.0, 22.0, 15.0], [26.0, 25.0, 30.0, 31.0]], [[26.0, 25.0, 30.0, 31.0], [torch.nan] * 4]]
    )
    first, second = assign(boxes, torch.tensor([[True, True], [True, False]]), 4, 6)
    assert (cells_of(first), cells_of(first, 1)) == ([(1, 1), (1, 2)], [(3, 3)])
    assert (cells_of(second), cells_of(second, 1)) == ([(3, 3)], [])


def test_only_cells_near_the_middle_learn_a_large_box():
    # The middle is (24, 16): within 12 pixels of it are x of 20 and 28, y of 12 and 20.
    assigned = assigned_to((0, 0, 48, 32))
    assert cells_of(assigned) == [(1, 2), (1, 3), (2, 2), (2, 3)]
    assert (assigned == -1).sum() == 20


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_smallest_box_wins_a_cell(order):
    boxes = [(0, 0, 48, 32), (16, 8, 24, 16)]
    assigned = assigned_to(*(boxes[i] for i in order))
    assert cells_of(assigned, order.index(1)) == [(1, 2)]
    assert cells_of(assigned, order.index(0)) == [(1, 3), (2, 2), (2, 3)]


def test_a_tiny_box_between_cells_gets_exactly_the_nearest_cell():
    # No centre lies inside; (15, 17) is nearest to (12, 20).
    assert cells_of(assigned_to((14, 16, 16, 18))) == [(2, 1)]


def test_a_thin_box_far_from_all_centres_still_gets_one_cell():
    # A line along the upper rim: centres lie 4 pixels below it.
    assert cells_of(assigned_to((26, 0, 31, 1))) == [(0, 3)]


def test_only_a_box_without_a_cell_gets_the_nearest_one():
    # The middle, (-5, 12), is as far from (4, 4) as from (4, 12), which alone is inside.
    assert cells_of(assigned_to((-20, 9, 10, 15))) == [(1, 0)]


def test_several_tiny_boxes_each_get_their_own_cell():
    assigned = assigned_to((6, 6, 7, 7), (46, 30, 47, 31))
    assert cells_of(assigned, 0) == [(0, 0)]
    assert cells_of(assigned, 1) == [(3, 5)]
