import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from onehead_avl.kinds.augmentation import colours, cropped_and_flipped
from onehead_avl.kinds.detection import MAX_ZOOM_OUT, MIN_BOX_SIDE
from onehead_avl.kinds.kind import kind_of

SEG, DET, CLS = KINDS = "segmentation", "detection", "classification"

SIZE = 64
HEIGHT, WIDTH = 80, 120
SEEDS = range(150)


def picture(*boxes):
    """A grey picture with a rectangle in each box: the first red, the second green, the third blue."""
    image = torch.full((3, HEIGHT, WIDTH), 60, dtype=torch.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(boxes):
        image[channel, y1:y2, x1:x2] = 220
    return tv_tensors.Image(image)


def annotated(*boxes, crowd=None):
    """A picture with rectangles and their boxes; labels are 7, 8 and 9."""
    return {
        "image": picture(*boxes),
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(HEIGHT, WIDTH), dtype=torch.float32),
        "labels": torch.arange(len(boxes)) + 7,
        "crowd": torch.tensor(crowd or [False] * len(boxes)),
    }


def no_boxes(height, width):
    """The annotation of a picture without objects."""
    return {
        "boxes": tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=(height, width)),
        "labels": torch.zeros(0, dtype=torch.int64),
        "crowd": torch.zeros(0, dtype=torch.bool),
    }


def seen(image, channel=0):
    """Where a picture has the colour of a rectangle; colour jitter keeps which channel is the largest."""
    others = [image[other].int() for other in range(3) if other != channel]
    return image[channel].int() - torch.stack(others).amax(dim=0) > 20


def extent(region):
    """The ``x1, y1, x2, y2`` of the true pixels."""
    ys, xs = region.nonzero().unbind(1)
    return torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()


def augmented(task, sample, seed):
    torch.manual_seed(seed)
    return kind_of(task).augmentation(SIZE)(sample)


def test_image_mask_and_boxes_move_together():
    box = (30, 20, 80, 60)
    sample = annotated(box)
    sample["mask"] = tv_tensors.Mask(torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
    sample["mask"][20:60, 30:80] = 5
    extents = []
    for seed in SEEDS:
        found = augmented(SEG, sample, seed)
        assert found["image"].shape == (3, SIZE, SIZE)
        assert found["mask"].shape == (SIZE, SIZE)
        assert set(found["mask"].unique().tolist()) <= {0, 5}  # never a mixture of two classes
        mask, pixels = found["mask"] == 5, seen(found["image"])
        assert mask.any()
        assert (extent(mask) - found["boxes"][0]).abs().max() <= 1
        assert (extent(pixels) - found["boxes"][0]).abs().max() <= 1.5  # the edge is smooth
        assert (mask != pixels).sum() <= 1.5 * perimeter(found["boxes"][0])
        extents.append(extent(mask))
    assert torch.stack(extents).std(dim=0).min() > 3  # the crop does move


def perimeter(box):
    return 2 * (box[2] - box[0] + box[3] - box[1])


def test_boxes_follow_what_is_seen_of_their_objects():
    boxes = (5, 10, 35, 40), (50, 30, 90, 75), (100, 5, 118, 70)
    sample = annotated(*boxes, crowd=[False, True, False])
    kept, mirrored = [], set()
    for seed in SEEDS:
        found = augmented(DET, sample, seed)
        labels = found["labels"].tolist()
        assert len(found["boxes"]) == len(labels) == len(found["crowd"])
        assert found["crowd"].tolist() == [label == 8 for label in labels]
        for channel in range(3):
            pixels = seen(found["image"], channel)
            if 7 + channel in labels:
                box = found["boxes"][labels.index(7 + channel)]
                assert (extent(pixels) - box).abs().max() <= 1.5
            elif pixels.any():  # its centre was cut away
                x1, y1, x2, y2 = extent(pixels).tolist()
                assert min(x1, y1, SIZE - x2, SIZE - y2) <= 0.5
        if {7, 9} <= set(labels):
            mirrored.add(bool(found["boxes"][labels.index(7), 0] > found["boxes"][labels.index(9), 0]))
        kept.append(len(labels))
    assert set(kept) >= {1, 2, 3}  # something is cut away now and then
    assert mirrored == {True, False}


def test_boxes_stay_within_the_picture_and_keep_a_side():
    sample = annotated((0, 0, 40, 30), (60, 40, 120, 80), (110, 0, 120, 80))
    for seed in SEEDS:
        boxes = augmented(DET, sample, seed)["boxes"]
        assert ((boxes >= 0) & (boxes <= SIZE)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= MIN_BOX_SIDE).all()


def test_boxes_that_are_cut_away_go_with_their_labels_and_crowd_flags():
    sample = annotated((40, 20, 80, 60), (0, 0, 3, 3), (117, 77, 120, 80), crowd=[False, True, True])
    lost = 0
    for seed in SEEDS:
        found = augmented(DET, sample, seed)
        assert len(found["boxes"]) == len(found["labels"]) == len(found["crowd"])
        assert found["crowd"].tolist() == [label != 7 for label in found["labels"].tolist()]
        lost += len(found["labels"]) < 3
    assert lost > len(SEEDS) / 2


@pytest.mark.parametrize("size", [32, 96])
def test_a_picture_without_boxes_stays_one(size):
    sample = {"image": picture()} | no_boxes(HEIGHT, WIDTH)
    found = kind_of(DET).augmentation(size)(sample)
    assert found["image"].shape == (3, size, size)
    assert found["boxes"].shape == (0, 4)
    assert (found["labels"].shape, found["crowd"].shape) == ((0,), (0,))


@pytest.mark.parametrize("task", KINDS)
def test_augmentation_is_new_each_time_and_repeats_with_the_seed(task):
    sample = {"image": picture((30, 20, 80, 60))} | (annotated((30, 20, 80, 60)) if task == DET else {})
    first, again, other = (augmented(task, sample, seed)["image"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("task", [SEG, CLS])
def test_a_picture_to_classify_is_moved_beyond_its_crop(task):
    """Crop, flip and colours leave a grey picture of one colour; shears, rotations and shifts show black corners."""
    sample = {"image": tv_tensors.Image(torch.full((3, HEIGHT, WIDTH), 120, dtype=torch.uint8))}
    pictures = [augmented(task, sample, seed)["image"].flatten(1) for seed in SEEDS]
    moved = sum(bool((picture.amin(dim=1) < picture.amax(dim=1)).any()) for picture in pictures)
    assert moved > len(SEEDS) / 5 if task == CLS else moved == 0


def test_augmentation_leaves_its_input_alone():
    sample = annotated((30, 20, 80, 60))
    before = {name: part.clone() for name, part in sample.items()}
    augmented(DET, sample, 0)
    assert all(torch.equal(part, before[name]) for name, part in sample.items())


@pytest.mark.parametrize(("task", "least"), [(SEG, 0.4), (CLS, 0.3)])
def test_a_crop_keeps_enough_of_the_picture(task, least):
    """A picture whose red is its column and whose green is its row shows what was cut out."""
    side = 128
    ramp = torch.arange(side, dtype=torch.uint8)
    image = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), torch.zeros(side, side).byte()])
    sample = {"image": tv_tensors.Image(image)}
    augment = kind_of(task).augmentation(side)
    augment.transforms = augment.transforms[:1]  # what follows may move and colour what was cut
    areas = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        red, green, _ = augment(sample)["image"].float()
        areas.append(float((red.max() - red.min()) * (green.max() - green.min())) / side**2)
    assert least - 0.05 < min(areas) < least + 0.15
    assert max(areas) > 0.85


def test_half_of_the_pictures_with_boxes_are_put_on_a_larger_canvas():
    sample = {"image": tv_tensors.Image(torch.full((3, HEIGHT, WIDTH), 120, dtype=torch.uint8))}
    sample |= no_boxes(HEIGHT, WIDTH)  # nothing is cropped where no object is
    augment = kind_of(DET).augmentation(SIZE)
    augment.transforms = augment.transforms[:3]  # colours may make black a grey
    sides = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        image = augment(sample)["image"]
        x1, y1, x2, y2 = extent(image.amin(dim=0) > 60).tolist()
        assert abs((x2 - x1) - (y2 - y1)) <= 2  # the canvas has the proportions of the picture
        sides.append((x2 - x1) / SIZE)
    smaller = [side for side in sides if side < 1]
    assert 0.4 < len(smaller) / len(sides) < 0.6
    assert 1 / MAX_ZOOM_OUT - 0.03 < min(smaller) < 1 / MAX_ZOOM_OUT + 0.05


def test_an_annotation_moves_with_its_picture_once_it_is_wrapped():
    box = (30, 20, 80, 60)
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    mask[20:60, 30:80] = 5
    of_kinds = {
        SEG: {"mask": mask},
        DET: {name: part.as_subclass(torch.Tensor) for name, part in annotated(box).items() if name != "image"},
        CLS: {"label": 3},
    }
    for name, annotation in of_kinds.items():
        wrapped = kind_of(name).wrap(annotation, (HEIGHT, WIDTH))
        assert set(wrapped) == set(annotation)
        for seed in range(20):
            found = augmented(name, {"image": picture(box)} | wrapped, seed)
            if name == SEG:
                assert (extent(found["mask"] == 5) - extent(seen(found["image"]))).abs().max() <= 2
            if name == DET:
                assert (found["boxes"][0] - extent(seen(found["image"]))).abs().max() <= 1.5
            if name == CLS:
                assert found["label"] == 3


def test_what_follows_a_crop_is_done_after_it_and_in_order():
    order = []

    class Noted(v2.Transform):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def transform(self, part, params):
            order.append((self.name, tuple(part.shape)))
            return part

    cropped_and_flipped(48, 0.5, Noted("first"), Noted("second"))(picture((30, 20, 80, 60)))
    assert order == [("first", (3, 48, 48)), ("second", (3, 48, 48))]


def test_flips_happen_half_of_the_time():
    left = tv_tensors.Image(torch.zeros(3, 64, 64, dtype=torch.uint8))
    left[:, :, :4] = 255  # only a crop from the rim shows it, and on the side to which it was flipped
    sides = []
    for seed in range(300):
        torch.manual_seed(seed)
        columns = cropped_and_flipped(64, 1.0)(left)[0].float().mean(dim=0)
        sides.append(bool(columns[:32].sum() < columns[32:].sum()))
    assert 120 < sum(sides) < 180


def test_colours_change_an_image_and_leave_its_annotation():
    mask = torch.arange(64, dtype=torch.uint8).reshape(8, 8)
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    found = colours()({"image": tv_tensors.Image(image), "mask": tv_tensors.Mask(mask)})
    assert found["image"].shape == image.shape
    assert not torch.equal(found["image"], image)
    assert torch.equal(found["mask"], mask)


@pytest.mark.parametrize("grey", [60, 120, 190])
def test_colours_change_brightness_by_three_tenths_at_most(grey):
    """Contrast and saturation leave a grey picture alone, but for the three roundings to whole values."""
    image = tv_tensors.Image(torch.full((3, 8, 8), grey, dtype=torch.uint8))
    values = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        values.append(int(colours()(image)[0, 0, 0]))
    assert 0.7 * grey - 3 <= min(values) < 0.75 * grey
    assert 1.25 * grey < max(values) <= 1.3 * grey
