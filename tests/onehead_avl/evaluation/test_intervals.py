import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from onehead_avl.evaluation.intervals import image_intervals, measure
from onehead_avl.kinds.kind import Metric, MetricName
from onehead_avl.target import Target

SEG, DET, CLS = TASKS = range(3)
N_SEG, N_DET, N_CLS = 4, 3, 6  # classes of the three experiences of the layout

PICTURES = 12
SIZES = [(20, 14), (9, 33), (16, 16)]


def segmentation(rng, layout, output):
    mask = rng.integers(0, N_SEG, SIZES[rng.integers(3)]).astype(np.uint8)
    mask[rng.random(mask.shape) < 0.2] = 255
    output[:N_SEG] = torch.tensor(rng.normal(size=(N_SEG, 8, 8)))
    return Target.single(SEG, mask.shape, {"mask": torch.tensor(mask)})


def detection(rng, layout, output, place):
    """Boxes of which most are found, about right, beside mistakes; some are crowds, and some pictures have none."""
    boxes, labels = [], []
    for cell in range(int(rng.integers(0, 4))):
        corner, side = rng.uniform(0, 30, 2), rng.uniform(12, 30, 2)
        boxes.append([*corner, *(corner + side)])
        labels.append(int(rng.integers(N_DET)))
        found = [value + rng.normal(0, 1) for value in boxes[-1]]
        if rng.random() < 0.8:
            place(output, (cell, cell), found, labels[-1], round(rng.uniform(0.3, 0.9), 1))
    if rng.random() < 0.5:
        place(output, (7, 7), (40, 40, 60, 60), int(rng.integers(N_DET)), 0.5)
    crowd = torch.tensor(rng.random(len(boxes)) < 0.2, dtype=torch.bool)
    return boxed(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.long), crowd)


def boxed(boxes=None, labels=None, crowd=None):
    """A detection target; by default without boxes."""
    boxes = torch.zeros(0, 4) if boxes is None else boxes.float()
    labels = torch.zeros(len(boxes), dtype=torch.long) if labels is None else labels
    crowd = torch.zeros(len(boxes), dtype=torch.bool) if crowd is None else crowd
    return Target.single(DET, (64, 64), {"boxes": boxes, "labels": labels, "crowd": crowd})


def classification(rng, layout, output):
    output[layout.parts[CLS].channels] = torch.tensor(rng.normal(size=(N_CLS, 1, 1))).float()
    return Target.single(CLS, (8, 8), {"label": int(rng.integers(N_CLS))})


@pytest.fixture
def pictures(layout, blank, place):
    """Outputs and targets of so many pictures of a task, none of them perfect."""

    def make(task, n=PICTURES):
        rng = np.random.default_rng(task + 3)
        output = blank(n, 8, 8)
        kinds = {SEG: segmentation, DET: lambda *of: detection(*of, place), CLS: classification}
        return output, [kinds[task](rng, layout, output[i]) for i in range(n)]

    return make


@pytest.fixture
def counted(layout, pictures):
    """The metric of a task after counting pictures, by default all of them in two batches."""

    def make(task, chosen=None):
        output, targets = pictures(task)
        part = layout.parts[task]
        metric = part.kind.metric(part.classes)
        chosen = list(range(PICTURES)) if chosen is None else chosen
        for some in (chosen[:5], chosen[5:]):
            if some:
                metric.update(part.of(output[some]), Target.cat([targets[i] for i in some]))
        return metric

    return make


@pytest.mark.parametrize("task", TASKS)
def test_all_pictures_once_give_the_result(counted, task):
    metric = counted(task)
    assert len(metric) == PICTURES
    result = metric.result()
    assert all(0.02 < value < 0.98 for value in result.values()), "pictures that test nothing"
    assert metric.compute(range(PICTURES)) == result
    assert metric.compute(list(reversed(range(PICTURES)))) == pytest.approx(result, abs=0.02)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(4))
def test_a_resample_is_the_measure_of_its_pictures_anew(counted, task, seed):
    metric = counted(task)
    drawn = np.random.default_rng(seed).integers(PICTURES, size=PICTURES if seed else 4).tolist()
    before = metric.result()
    assert metric.compute(drawn) == counted(task, drawn).result() != before
    assert metric.result() == before
    assert metric.compute(range(PICTURES)) == before


def test_the_pictures_of_detection_have_crowds_and_some_have_no_objects(pictures):
    _, targets = pictures(DET)
    assert any(target.parts["crowd"].any() for target in targets)
    assert any(not target.parts["labels"].numel() for target in targets)


@pytest.mark.parametrize("task", TASKS)
def test_the_interval_lies_about_the_value(counted, task):
    metric = counted(task)
    found = image_intervals(metric)
    assert list(found) == list(metric.names)
    for name, value in metric.result().items():
        low, high = found[name]
        assert 0 <= low <= value <= high <= 1
        assert 0.02 < high - low < 0.9
    assert image_intervals(metric) == found


def test_more_pictures_give_a_narrower_interval(layout, pictures):
    part = layout.parts[CLS]
    metric = part.kind.metric(part.classes)
    widths = []
    for n in (10, 160):
        output, targets = pictures(CLS, n)
        metric.reset()
        metric.update(part.of(output), Target.cat(targets))
        low, high = image_intervals(metric)["Top5"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_equal_pictures_say_nothing_of_others(counted):
    assert image_intervals(counted(SEG, [3] * 6)) == {"mIoU": None}


def test_without_pictures_there_is_no_interval(layout):
    for part in layout.parts:
        metric = part.kind.metric(part.classes)
        assert image_intervals(metric) == dict.fromkeys(metric.names)


def test_one_picture_says_nothing_of_others(counted):
    assert image_intervals(counted(SEG, [3])) == {"mIoU": None}
    assert image_intervals(counted(SEG, [3, 4]))["mIoU"] is not None


def test_what_no_picture_measures_has_no_interval(layout, blank):
    part = layout.parts[DET]
    metric = part.kind.metric(part.classes)
    metric.update(part.of(blank(3, 8, 8)), Target.cat([boxed()] * 3))
    assert image_intervals(metric) == {"AP": None, "AP50": None}


def test_what_one_picture_alone_measures_has_no_interval(layout, blank, place):
    part = layout.parts[DET]
    metric = part.kind.metric(part.classes)
    output = blank(2, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0)
    metric.update(part.of(output), Target.cat([boxed(torch.tensor([[8.0, 8, 24, 24]])), boxed()]))
    assert metric.compute([1]) == {"AP": None, "AP50": None}
    assert image_intervals(metric) == {"AP": None, "AP50": None}


class Mean(Metric):
    """The mean of a number of each image, which are only pretended."""

    values = (MetricName("Mean", limits=(0.0, 1.0)),)

    def __init__(self, numbers):
        super().__init__(())
        self.numbers = np.asarray(numbers)

    def count(self, logits, target): ...

    def clear(self): ...

    def __len__(self):
        return len(self.numbers)

    def compute(self, images):
        return {"Mean": float(self.numbers[list(images)].mean())}


@pytest.mark.parametrize("n", [2, 60, 100])
def test_the_interval_of_a_mean_is_students(n):
    numbers = np.random.default_rng(n).uniform(0.4, 0.6, n)
    expected = scipy.stats.t.interval(0.95, n - 1, numbers.mean(), scipy.stats.sem(numbers))
    assert image_intervals(Mean(numbers))["Mean"] == pytest.approx((max(expected[0], 0), min(expected[1], 1)))


@pytest.mark.parametrize("n", [101, 257, 1001])
def test_of_many_images_groups_are_left_out(n):
    """Of groups of different sizes, as of equal ones; the error is as far from the true one as 100 groups tell it."""
    numbers = np.random.default_rng(n).uniform(0, 1, n)
    metric = Mean(numbers)
    asked = []
    compute, metric.compute = metric.compute, lambda images: asked.append(list(images)) or compute(images)
    low, high = image_intervals(metric)["Mean"]
    left_out = [set(range(n)) - set(images) for images in asked[1:]]
    assert len(left_out) == 100
    assert sorted(image for group in left_out for image in group) == list(range(n))
    assert {len(group) for group in left_out} == {n // 100, n // 100 + 1}
    assert (low + high) / 2 == pytest.approx(numbers.mean())
    assert (high - low) / 2 == pytest.approx(1.984 * numbers.std(ddof=1) / n**0.5, rel=0.25)


def test_images_that_differ_by_rounding_alone_say_nothing_of_others():
    metric = Mean([0.1] * 6)
    assert len({metric.compute(range(6))["Mean"], metric.compute(range(5))["Mean"]}) == 2
    assert image_intervals(metric) == {"Mean": None}


def test_an_interval_ends_at_the_limits_of_its_value():
    low, high = image_intervals(Mean([1.0] * 19 + [0.8]))["Mean"]
    assert low == pytest.approx(0.99 - 2.093 * 0.01, abs=1e-5)
    assert high == 1.0


@pytest.mark.parametrize(("n", "least"), [(20, 0.92), (60, 0.93)])
def test_the_interval_holds_the_value_of_all_images_95_times_of_100(n, least):
    """A share of right answers, of which the jackknife is known to hold a little less."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        found = image_intervals(Mean(rng.random(n) < 0.7))["Mean"]
        held.append(found is not None and found[0] <= 0.7 <= found[1])
    assert least < np.mean(held) < 0.97


class Fixed(nn.Module):
    """Answers with prepared outputs, one after the other."""

    def __init__(self, output):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.output, self.seen = output, 0

    def forward(self, images):
        self.seen += len(images)
        return self.output[self.seen - len(images) : self.seen]


@pytest.mark.parametrize("batch_size", [1, 5, 50])
def test_measuring_counts_a_data_set_from_zero(layout, counted, pictures, batch_size):
    output, targets = pictures(CLS)
    metric, expected = counted(CLS, [0, 1, 2]), counted(CLS).result()
    samples = [(torch.zeros(3, 8, 8), target, CLS) for target in targets]
    found = measure(Fixed(output), samples, layout.parts[CLS], metric, batch_size)
    assert len(metric) == PICTURES
    assert found == metric.result() == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_output_of_half_precision_is_measured_in_float32(layout, pictures, task, dtype, monkeypatch):
    output, targets = pictures(task)
    part, output = layout.parts[task], output.to(dtype)
    metric, wanted = (part.kind.metric(part.classes) for _ in range(2))
    wanted.update(part.of(output.float()), Target.cat(targets))
    count, counted = metric.count, []
    monkeypatch.setattr(metric, "count", lambda logits, target: counted.append(logits.dtype) or count(logits, target))
    samples = [(torch.zeros(3, 8, 8), target) for target in targets]
    assert measure(Fixed(output), samples, part, metric, batch_size=5) == wanted.result()
    assert set(counted) == {torch.float32}
