import pytest
import torch

from onehead_avl.model.decode import decode_classification, decode_detection, decode_segmentation

# Boxes in a network picture 64 high and 96 wide, with the cell that finds each, its class and its score.
KNOWN = [
    ((0, 1), (2.0, 3.0, 21.0, 13.0), 2, 0.9),
    ((4, 8), (40.0, 8.0, 90.0, 60.0), 0, 0.6),
    ((6, 2), (5.0, 44.5, 37.0, 59.25), 1, 0.3),
]


@pytest.fixture
def seen(blank, place):
    """An output of one picture in which the known boxes were written, worst first."""
    output = blank(1, 8, 12)
    for cell, box, label, score in reversed(KNOWN):
        place(output[0], cell, box, label, score)
    return output


@pytest.mark.parametrize("size", [(64, 96), (32, 48), (333, 250), (50, 401)])
def test_boxes_come_back_in_coordinates_of_the_original_picture(layout, seen, size):
    (found,) = decode_detection(seen, torch.tensor([size]), layout)
    y, x = size[0] / 64, size[1] / 96
    expected = torch.tensor([box for _, box, _, _ in KNOWN]) * torch.tensor([x, y, x, y])
    torch.testing.assert_close(found.boxes, expected)
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.6, 0.3]))
    assert found.labels.tolist() == [2, 0, 1]


def test_every_picture_has_its_own_size_and_its_own_boxes(layout, blank, place):
    output = blank(3, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0)
    place(output[2], (1, 1), (8, 8, 24, 24), 1)
    found = decode_detection(output, torch.tensor([[64, 128], [10, 10], [32, 64]]), layout)
    torch.testing.assert_close(found[0].boxes, torch.tensor([[16.0, 8.0, 48.0, 24.0]]))
    assert [len(part) for part in found[1]] == [0, 0, 0]
    assert found[1].boxes.shape == (0, 4)
    torch.testing.assert_close(found[2].boxes, torch.tensor([[8.0, 4.0, 24.0, 12.0]]))
    assert found[2].labels.tolist() == [1]


def test_a_score_is_the_geometric_mean_of_class_and_confidence(layout, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, score=0.5)
    output[0, layout.n_seg + 4, 1, 1] = torch.tensor(0.08 / 0.92).log()
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert found.scores.tolist() == pytest.approx([0.2])  # sqrt(0.5 * 0.08)


def test_boxes_are_clipped_to_the_picture(layout, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (-10, -6, 20, 50), 0)
    (found,) = decode_detection(output, torch.tensor([[64, 32]]), layout)
    torch.testing.assert_close(found.boxes, torch.tensor([[0.0, 0.0, 20.0, 64.0]]))


def test_a_repeated_box_of_the_same_class_is_suppressed(layout, blank, place):
    output = blank(1, 4, 4)
    for column, score in ((1, 0.7), (2, 0.8)):
        place(output[0], (1, column), (8, 8, 24, 24), 1, score)
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert found.scores.tolist() == pytest.approx([0.8])


def test_a_repeated_box_of_another_class_stays(layout, blank, place):
    output = blank(1, 4, 4)
    for label, score in ((1, 0.7), (2, 0.8)):
        place(output[0], (1, label), (8, 8, 24, 24), label, score)
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert found.labels.tolist() == [2, 1]


def test_boxes_that_overlap_by_half_stay(layout, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (0, 0, 24, 24), 0, 0.9)
    place(output[0], (2, 2), (8, 0, 32, 24), 0, 0.8)  # IoU 16 / 32
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert len(found.boxes) == 2


def test_at_most_the_hundred_best_are_kept(layout, blank, place):
    output = blank(1, 16, 16)
    scores = [0.1 + 0.003 * i for i in range(256)]
    for i, score in enumerate(scores):
        row, column = divmod(i, 16)
        x, y = column * 8, row * 8
        place(output[0], (row, column), (x, y, x + 8, y + 8), 0, score)
    (found,) = decode_detection(output, torch.tensor([[128, 128]]), layout)
    assert found.scores.tolist() == pytest.approx(scores[:-101:-1])


def test_one_cell_may_find_two_classes(layout, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, 0.6)
    output[0, layout.n_seg + 5 + 2, 1, 1] = 0.0
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert found.labels.tolist() == [0, 2]
    assert found.scores.tolist() == pytest.approx([0.6, (0.5 * 0.6) ** 0.5])


def test_hopeless_boxes_are_dropped(layout, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (0, 0), (0, 0, 8, 8), 0, 0.012)
    place(output[0], (3, 3), (24, 24, 32, 32), 0, 0.008)
    (found,) = decode_detection(output, torch.tensor([[32, 32]]), layout)
    assert found.scores.tolist() == pytest.approx([0.012], rel=1e-3)


def test_masks_have_the_original_resolution(layout, blank):
    output = blank(2, 4, 4)
    output[:, 0, :, :2] = 5  # class 0 on the left, class 3 on the right
    output[:, 3, :, 2:] = 5
    wide, tall = decode_segmentation(output, torch.tensor([[6, 20], [37, 8]]), layout)
    for mask, (height, width) in ((wide, (6, 20)), (tall, (37, 8))):
        assert mask.dtype == torch.int64
        assert mask.shape == (height, width)
        assert (mask[:, : width // 2] == 0).all()
        assert (mask[:, width // 2 :] == 3).all()


def test_masks_change_class_where_the_interpolated_evidence_does(layout, blank):
    output = blank(1, 4, 4)
    output[0, 1] = torch.tensor([-1.0, -1.0, 3.0, 3.0])  # against 0 for the others, from x = 12 to x = 20
    (mask,) = decode_segmentation(output, torch.tensor([[32, 256]]), layout)
    assert (mask[:, : 14 * 8] == 0).all()
    assert (mask[:, 14 * 8 :] == 1).all()


def test_mask_rows_are_picture_rows(layout, blank):
    output = blank(1, 4, 4)
    output[0, 2, 3] = 5
    (mask,) = decode_segmentation(output, torch.tensor([[4, 8]]), layout)
    assert mask.tolist() == [[0] * 8] * 3 + [[2] * 8]


def test_masks_ignore_the_channels_of_other_tasks(layout, blank):
    output = blank(1, 4, 4)
    output[0, 1] = 1
    output[0, layout.n_seg :] = 9
    (mask,) = decode_segmentation(output, torch.tensor([[5, 5]]), layout)
    assert (mask == 1).all()


def test_class_probabilities_are_the_softmax_of_the_mean_evidence(layout, blank):
    output = blank(2, 2, 2)
    output[0, -6] = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    probabilities = decode_classification(output, layout)
    e = torch.tensor(1.0).exp()
    torch.testing.assert_close(probabilities[0], torch.tensor([e, 1, 1, 1, 1, 1]) / (e + 5))
    torch.testing.assert_close(probabilities[1], torch.full((6,), 1 / 6))
