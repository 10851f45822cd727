import math
import pickle

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex
from torchvision import tv_tensors
from torchvision.transforms import v2

from onehead_avl.ignored import VOID
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.segmentation import MeanIoU, Segmentation, class_iou, mean_iou
from onehead_avl.target import Target

SEG = 0
N_SEG = 4  # classes of the layout's experience
KIND = Segmentation()
CLASSES = ("background", "cat", "dog", "cow")


@pytest.fixture
def part(layout):
    return layout.parts[SEG]


@pytest.fixture
def each(part):
    """The loss of each image."""
    return lambda output, target: KIND.loss(part.of(output), target)


@pytest.fixture
def loss(each):
    """The mean loss of the images."""
    return lambda output, target: each(output, target).mean()


def annotated(mask):
    mask = torch.as_tensor(mask)
    return Target.single(SEG, mask.shape, {"mask": mask.to(torch.uint8)})


def halves(height=32, width=32, left=1, right=2):
    mask = torch.full((height, width), left)
    mask[:, width // 2 :] = right
    return mask


def test_there_is_a_channel_for_each_class_and_it_starts_without_a_bias():
    assert KIND.channels(CLASSES) == 4
    assert KIND.start(CLASSES).tolist() == [0.0] * 4


# Loss


def test_uniform_logits_cost_the_logarithm_of_the_number_of_classes(layout, loss):
    output = torch.zeros(2, layout.channels, 4, 4)
    target = Target.cat([annotated(halves()), annotated(halves(17, 50))])
    assert loss(output, target).item() == pytest.approx(math.log(N_SEG))


def test_the_loss_is_the_cross_entropy_of_the_pixels(layout, loss):
    output = torch.zeros(1, layout.channels, 4, 4)
    output[:, 1] = 2.0  # class 1 everywhere; it is right in the left half only
    normaliser = math.log(math.exp(2) + N_SEG - 1)
    assert loss(output, annotated(halves())).item() == pytest.approx(normaliser - 1)


def test_a_right_mask_costs_almost_nothing_and_a_wrong_one_much(layout, loss):
    output = torch.zeros(1, layout.channels, 8, 8)
    output[:, 1, :, :4] = 60
    output[:, 2, :, 4:] = 60
    assert loss(output, annotated(halves(64, 64))) < 1e-3
    assert loss(output, annotated(halves(64, 64, left=2, right=1))) > 20


def test_void_pixels_cost_nothing(loss, noise):
    output, mask = noise(1, 8, 8), halves(64, 64, left=VOID)
    before = loss(output, annotated(mask))
    output[..., :3] += 100 * noise(1, 8, 3, seed=1)  # one cell away from the pixels that count
    torch.testing.assert_close(loss(output, annotated(mask)), before)
    output[..., 3] += noise(1, 8, 1, seed=1)[..., 0]
    assert loss(output, annotated(mask)) != before


def test_void_pixels_do_not_thin_the_loss(layout, loss):
    output = torch.zeros(1, layout.channels, 4, 4)
    assert loss(output, annotated(halves(left=VOID))).item() == pytest.approx(math.log(N_SEG))


def test_a_mask_that_is_all_void_costs_nothing(loss, noise):
    output = noise(1).requires_grad_()
    value = loss(output, annotated(halves(left=VOID, right=VOID)))
    value.backward()
    assert value == 0
    assert (output.grad == 0).all()


def test_the_padding_of_a_mask_does_not_count(each, noise):
    output = noise(2)
    target = Target.cat([annotated(halves(20, 24)), annotated(halves(40, 60))])
    before = each(output, target)
    torch.testing.assert_close(before[:1], each(output[:1], annotated(halves(20, 24))))
    target.parts["mask"][0, 20:] = 3
    target.parts["mask"][0, :, 24:] = 0
    assert torch.equal(each(output, target), before)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_mask_may_have_the_size_of_the_original_image(loss, noise, factor):
    output, mask = noise(1), torch.randint(0, 4, (8, 8), generator=torch.Generator().manual_seed(1))
    small, large = mask, mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    torch.testing.assert_close(loss(output, annotated(large)), loss(output, annotated(small)))


def test_the_pixel_in_the_middle_speaks_for_those_around_it(loss, noise):
    output, mask = noise(1), torch.randint(0, 4, (8, 8), generator=torch.Generator().manual_seed(1))
    fine = torch.full((24, 24), VOID)
    fine[1::3, 1::3] = mask
    torch.testing.assert_close(loss(output, annotated(fine)), loss(output, annotated(mask)))


# Decoding


def masks_of(part, output, *sizes):
    return [found["mask"] for found in KIND.decode(part.of(output), torch.tensor(sizes))]


def test_masks_have_the_original_resolution(part, blank):
    output = blank(2, 4, 4)
    output[:, 0, :, :2] = 5  # class 0 on the left, class 3 on the right
    output[:, 3, :, 2:] = 5
    wide, tall = masks_of(part, output, (6, 20), (37, 8))
    for mask, (height, width) in ((wide, (6, 20)), (tall, (37, 8))):
        assert mask.dtype == torch.int64
        assert mask.shape == (height, width)
        assert (mask[:, : width // 2] == 0).all()
        assert (mask[:, width // 2 :] == 3).all()


def test_masks_change_class_where_the_interpolated_evidence_does(part, blank):
    output = blank(1, 4, 4)
    output[0, 1] = torch.tensor([-1.0, -1.0, 3.0, 3.0])  # against 0 for the others, from x = 12 to x = 20
    (mask,) = masks_of(part, output, (32, 256))
    assert (mask[:, : 14 * 8] == 0).all()
    assert (mask[:, 14 * 8 :] == 1).all()


def test_mask_rows_are_image_rows(part, blank):
    output = blank(1, 4, 4)
    output[0, 2, 3] = 5
    (mask,) = masks_of(part, output, (4, 8))
    assert mask.tolist() == [[0] * 8] * 3 + [[2] * 8]


def test_masks_ignore_the_channels_of_other_parts(part, blank):
    output = blank(1, 4, 4)
    output[0, 1] = 1
    output[0, N_SEG:] = 9
    (mask,) = masks_of(part, output, (5, 5))
    assert (mask == 1).all()


def test_a_prediction_has_the_form_of_an_annotation(part, noise):
    assert [set(found) for found in KIND.decode(part.of(noise(2)), torch.tensor([[8, 9], [5, 5]]))] == [{"mask"}] * 2


# Mean intersection over union


def measured(*batches, classes=CLASSES):
    """The values of a new metric that counts some ``(logits, target)``."""
    metric = MeanIoU(classes)
    for logits, target in batches:
        metric.update(logits, target)
    return metric.result()


def painted(prediction):
    """The logits whose decoded mask, at their own size, is the prediction."""
    prediction = torch.as_tensor(prediction)
    return torch.zeros(1, N_SEG, *prediction.shape).scatter(1, prediction[None, None], 9.0)


def enlarged(logits, height, width):
    """Bilinear interpolation between the centres of cells, ``(C, h, w)`` to ``(C, height, width)``."""
    for axis, size in ((1, height), (2, width)):
        n = logits.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, None)
        low = np.minimum(np.floor(position).astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        share = (position - low).reshape((-1, 1) if axis == 1 else (1, -1))
        logits = np.take(logits, low, axis) * (1 - share) + np.take(logits, high, axis) * share
    return logits


def voc_scores(predictions, masks, n_classes):
    """PASCAL VOC's score of each class, from a confusion matrix over all pixels that are not void."""
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    for prediction, mask in zip(predictions, masks, strict=True):
        for row, column in zip(mask[mask != VOID], prediction[mask != VOID], strict=True):
            confusion[row, column] += 1
    scores = []
    for k in range(n_classes):
        union = confusion[k].sum() + confusion[:, k].sum() - confusion[k, k]
        scores.append(float(confusion[k, k] / union) if union else None)
    return scores


def mean_of(scores):
    return float(np.mean([score for score in scores if score is not None]))


NINE = tuple("abcdefghi")
SIZES = [(5, 7), (20, 11), (9, 33), (3, 4), (16, 16), (41, 26)]


def random_data(rng, classes):
    """Logits ``(B, 9, 5, 7)``, and masks of ragged sizes with classes in blobs and with void."""
    logits = rng.normal(size=(len(SIZES), 9, 5, 7)).astype(np.float32)
    logits[:, 7:] = -50  # never predicted, and in no mask
    masks = []
    for each, (height, width) in zip(logits, SIZES, strict=True):
        blobs = enlarged(each + rng.normal(0, 0.7, (9, 5, 7)), height, width)
        mask = np.array(classes)[blobs[classes].argmax(axis=0)].astype(np.uint8)
        mask[rng.random((height, width)) < 0.1] = VOID
        masks.append(mask)
    return logits, masks


@pytest.mark.parametrize("classes", [[0, 1, 2, 3, 4, 5, 6], [0, 2, 5], [1, 3]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_miou_agrees_with_a_confusion_matrix(seed, classes):
    logits, masks = random_data(np.random.default_rng(seed), classes)
    predictions = [
        enlarged(each.astype(np.float64), *size).argmax(axis=0) for each, size in zip(logits, SIZES, strict=True)
    ]
    expected = voc_scores(predictions, masks, 9)
    assert 0.05 < mean_of(expected) < 0.95
    target = Target.cat([annotated(mask) for mask in masks])
    assert target.parts["mask"].shape == (6, 41, 33)
    metric = MeanIoU(NINE)
    metric.update(torch.tensor(logits), target)
    assert metric.result() == {"mIoU": pytest.approx(mean_of(expected), abs=1e-6)}
    assert expected[7:] == [None, None]
    assert metric.per_class() == {"IoU": pytest.approx(dict(zip(NINE, expected, strict=True)), abs=1e-6)}


@pytest.mark.parametrize("images", [[0, 0, 5, 2], [3], [5, 4, 3, 2, 1, 0]], ids=str)
def test_images_count_as_often_as_they_are_named(images):
    logits, masks = random_data(np.random.default_rng(4), list(range(7)))
    logits, targets = torch.tensor(logits), [annotated(mask) for mask in masks]
    metric = MeanIoU(NINE)
    metric.update(logits, Target.cat(targets))
    again = measured((logits[images], Target.cat([targets[i] for i in images])), classes=NINE)
    assert metric.compute(images) == pytest.approx(again, abs=1e-9)
    assert len(metric) == 6


def test_what_is_kept_of_an_image_with_few_of_many_classes_is_small():
    metric = MeanIoU([str(i) for i in range(150)])
    logits = torch.zeros(1, 150, 32, 32)
    logits[:, 7, :16], logits[:, 149, 16:] = 9.0, 9.0
    for _ in range(20):
        metric.update(logits, annotated(halves(left=7, right=140)))
    assert metric.result() == {"mIoU": pytest.approx((1 / 3 + 0 + 0) / 3)}
    assert len(pickle.dumps(metric)) < 20 * 2000


def test_miou_of_several_batches_is_that_of_one():
    logits, masks = random_data(np.random.default_rng(9), list(range(7)))
    logits, targets = torch.tensor(logits), [annotated(mask) for mask in masks]
    whole = measured((logits, Target.cat(targets)), classes=NINE)
    batches = [(logits[i:j], Target.cat(targets[i:j])) for i, j in ((0, 1), (1, 4), (4, 6))]
    assert measured(*batches, classes=NINE) == pytest.approx(whole, abs=1e-6)
    single = [measured(batch, classes=NINE)["mIoU"] for batch in batches]
    assert sum(single) / 3 != pytest.approx(whole["mIoU"], abs=1e-3), "a mean of batches would pass"


def test_a_right_mask_scores_one_whatever_classes_are_absent():
    mask = np.array([[0, 0, 2], [2, 2, 0]])
    assert measured((painted(mask), annotated(mask))) == {"mIoU": 1.0}


def test_a_class_absent_in_truth_but_predicted_counts_zero():
    truth, prediction = np.array([[0, 0, 0, 0]]), np.array([[0, 0, 1, 1]])
    # Class 0 has an IoU of 1/2, class 1 of 0; classes 2 and 3 do not occur.
    assert measured((painted(prediction), annotated(truth)))["mIoU"] == pytest.approx(0.25)


def test_a_class_that_is_missed_counts_zero():
    truth, prediction = np.array([[0, 0, 0, 3]]), np.array([[0, 0, 0, 0]])
    assert measured((painted(prediction), annotated(truth)))["mIoU"] == pytest.approx((3 / 4 + 0) / 2)


def test_what_is_predicted_on_void_does_not_count():
    truth, prediction = np.array([[0, 1, VOID, VOID]]), np.array([[0, 1, 2, 0]])
    assert measured((painted(prediction), annotated(truth))) == {"mIoU": 1.0}


def test_the_padding_of_masks_does_not_count():
    mask = np.array([[0, 1]])
    target = Target.cat([annotated(mask), annotated(np.ones((4, 5), dtype=int))])[0]
    target.parts["mask"][0, 1:] = 3
    target.parts["mask"][0, :, 2:] = 3
    assert measured((painted(mask), target)) == {"mIoU": 1.0}


def test_miou_of_nothing_but_void_is_not_measured():
    void = painted(np.zeros((2, 3), dtype=int)), annotated(np.full((2, 3), VOID))
    assert measured(void) == {"mIoU": None}
    mask = np.array([[0, 0, 0], [1, 1, 1]])
    right = painted(mask), annotated(mask)
    assert measured(right, void) == measured(void, right) == {"mIoU": 1.0}


def test_the_iou_of_each_class_by_hand():
    truth = np.array([[0, 0, 0, 1, 1, VOID]])
    prediction = np.array([[0, 0, 1, 1, 2, 3]])
    metric = MeanIoU(CLASSES)
    metric.update(painted(prediction), annotated(truth))
    values = metric.per_class()["IoU"]
    assert values == {"background": pytest.approx(2 / 3), "cat": pytest.approx(1 / 3), "dog": 0.0, "cow": None}
    assert metric.result()["mIoU"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)


@pytest.mark.parametrize("classes", [5, 21])
@pytest.mark.parametrize("seed", range(3))
def test_the_score_of_a_confusion_matrix_is_that_of_torchmetrics(classes, seed):
    torch.manual_seed(seed)
    # The last two classes occur nowhere, the one before them in predictions only.
    truth, prediction = torch.randint(classes - 3, (4, 20, 20)), torch.randint(classes - 2, (4, 20, 20))
    truth[torch.rand(truth.shape) < 0.1] = VOID
    prediction = torch.where(torch.rand(truth.shape) < 0.5, truth.clamp(max=classes - 3), prediction)
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    for row, column in zip(truth[truth != VOID].tolist(), prediction[truth != VOID].tolist(), strict=True):
        confusion[row, column] += 1
    expected = MulticlassJaccardIndex(classes, ignore_index=VOID)(prediction, truth).item()
    assert 0.1 < expected < 0.9
    assert mean_iou(confusion) == pytest.approx(expected, abs=1e-6)
    of_classes = MulticlassJaccardIndex(classes, ignore_index=VOID, average=None)(prediction, truth).double()
    torch.testing.assert_close(class_iou(confusion)[:-2], of_classes[:-2], atol=1e-6, rtol=0)
    assert class_iou(confusion)[-2:].isnan().all()


def test_a_confusion_matrix_by_hand():
    # Rows are truth: class 0 has 3 pixels right, 1 missed; class 1 has 2 right; class 2 does not occur.
    confusion = torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    assert class_iou(confusion).tolist() == pytest.approx([3 / 4, 2 / 3, math.nan], nan_ok=True)
    assert mean_iou(confusion) == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert mean_iou(torch.zeros(3, 3, dtype=torch.long)) is None


# Annotations


def test_the_classes_in_a_mask_are_those_of_its_pixels_without_background_and_void():
    mask = torch.tensor([[0, 0, 3], [1, VOID, 3]], dtype=torch.uint8)
    assert KIND.classes_in({"mask": mask}, CLASSES) == {1, 3}
    assert KIND.classes_in({"mask": mask}, ("sky", "road", "car", "tree")) == {0, 1, 3}
    assert KIND.classes_in({"mask": mask}, ("sky", "background", "car", "tree")) == {0, 3}
    assert KIND.classes_in({"mask": torch.tensor([[0, VOID]], dtype=torch.uint8)}, CLASSES) == set()


@pytest.mark.parametrize(
    ("classes", "chosen", "expected"),
    [
        (CLASSES, ("cow", "cat"), ("background", "cow", "cat")),
        (CLASSES, ("cat", "background"), ("background", "cat")),
        (CLASSES, (), ("background",)),
        (("sky", "road"), ("road",), ("background", "road")),
    ],
)
def test_what_is_not_chosen_becomes_a_background_that_comes_first(classes, chosen, expected):
    assert KIND.selected_classes(classes, chosen) == expected


def test_pixels_of_all_other_classes_become_background():
    mask = torch.tensor([[0, 1, 2], [3, VOID, 1]], dtype=torch.uint8)
    annotation = {"mask": mask.clone()}
    found = KIND.select(annotation, {3: 1, 1: 2})
    assert set(found) == {"mask"}
    assert found["mask"].dtype == torch.uint8
    assert found["mask"].tolist() == [[0, 2, 0], [1, VOID, 2]]
    assert torch.equal(annotation["mask"], mask)


def test_a_set_without_background_gets_one():
    mask = torch.tensor([[0, 1, VOID]], dtype=torch.uint8)
    assert KIND.select({"mask": mask}, {0: 1})["mask"].tolist() == [[1, 0, VOID]]


def test_a_mask_moves_with_its_image(image):
    mask = (image[0] // 64).to(torch.uint8)
    wrapped = KIND.wrap({"mask": mask}, mask.shape)
    assert type(wrapped["mask"]) is tv_tensors.Mask
    moved = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Pad([2, 0, 0, 3])])(
        {"image": tv_tensors.Image(image)} | wrapped
    )
    torch.testing.assert_close(moved["image"][:, :64, 2:].as_subclass(torch.Tensor), image.flip(2))
    torch.testing.assert_close(moved["mask"][:64, 2:].as_subclass(torch.Tensor), mask.flip(1))


def test_a_mask_is_never_blended(image):
    mask = torch.zeros(64, 96, dtype=torch.uint8)
    mask[10:40, 20:70] = 3
    small = v2.Resize((17, 23))({"image": tv_tensors.Image(image)} | KIND.wrap({"mask": mask}, mask.shape))
    assert small["mask"].shape == (17, 23)
    assert set(small["mask"].unique().tolist()) == {0, 3}


# Drawing


def blended(image, index):
    """The image under six tenths of the colour of a class."""
    return 0.4 * image.float() + 0.6 * torch.tensor(colour_of(index)).float()[:, None, None]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64], ids=["annotation", "prediction"])
def test_the_colour_of_each_class_lies_over_its_pixels_and_over_no_others(image, dtype):
    before, mask = image.clone(), torch.zeros(64, 96, dtype=dtype)
    mask[:20, :30], mask[30:50, 40:90], mask[55:, :] = 1, 3, VOID
    drawn = KIND.draw(image, {"mask": mask}, CLASSES)
    assert (drawn.dtype, drawn.shape) == (torch.uint8, image.shape)
    for index in (1, 3):
        here = mask == index
        assert (drawn.float() - blended(image, index)).abs()[:, here].max() <= 1
        assert (drawn != image).any(dim=0)[here].float().mean() > 0.99
    untouched = (mask == 0) | (mask == VOID)
    assert torch.equal(drawn[:, untouched], image[:, untouched])
    assert torch.equal(image, before)


def test_a_first_class_that_is_no_background_is_drawn(image):
    mask = torch.zeros(64, 96, dtype=torch.uint8)
    mask[32:] = 1
    drawn = KIND.draw(image, {"mask": mask}, ("sky", "background"))
    assert (drawn.float() - blended(image, 1)).abs()[:, :32].max() <= 1
    assert torch.equal(drawn[:, 32:], image[:, 32:])


@pytest.mark.parametrize("value", [0, VOID])
def test_a_mask_without_objects_leaves_a_copy_of_the_image(image, value):
    drawn = KIND.draw(image, {"mask": torch.full((64, 96), value, dtype=torch.uint8)}, CLASSES)
    assert torch.equal(drawn, image)
    assert drawn.data_ptr() != image.data_ptr()


def test_a_region_with_room_for_it_has_the_name_of_its_class(image):
    image = torch.full((3, 200, 300), 100, dtype=torch.uint8)
    mask = torch.zeros(200, 300, dtype=torch.uint8)
    mask[100:180, 150:290] = 2
    drawn = KIND.draw(image, {"mask": mask}, CLASSES)
    ground = (drawn == torch.tensor(colour_of(2), dtype=torch.uint8)[:, None, None]).all(dim=0)
    assert ground.sum() > 100
    assert not ground[mask == 0].any()
    other = KIND.draw(image, {"mask": mask}, ("background", "cat", "owl", "cow"))
    assert not torch.equal(drawn, other)
    assert torch.equal(drawn[:, mask == 0], other[:, mask == 0])


# Telling


def test_a_prediction_is_told_by_the_share_of_each_class_and_by_a_mask_with_a_palette():
    mask = torch.zeros(4, 5, dtype=torch.int64)
    mask[0, :3] = 3
    assert KIND.as_json({"mask": mask}, CLASSES, 1) == {"share": {"background": 0.85, "cow": 0.15}}
    picture = KIND.as_picture({"mask": mask})
    assert picture.mode == "P"
    assert np.array_equal(np.array(picture), mask.numpy())
    palette = picture.getpalette()
    assert [tuple(palette[3 * i : 3 * i + 3]) for i in range(256)] == [colour_of(i) for i in range(256)]


def test_exported_scores_are_those_of_the_pixels_of_the_input():
    logits = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    scores = KIND.outputs(logits)["scores"]
    (decoded,) = KIND.decode(logits, torch.tensor([[24, 40]]))
    assert torch.equal(scores[0].argmax(dim=0), decoded["mask"])
