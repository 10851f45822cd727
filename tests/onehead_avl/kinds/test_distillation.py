"""What keeps an output as a teacher's is: of every kind of task, on its own channels of a whole output."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from onehead_avl.kinds.distillation import TEMPERATURE, divergence
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads

SEG, DET, CLS = TASKS = range(3)
N_SEG, N_CLS = 4, 3
CHANNELS = (range(4), range(4, 11), range(11, 14))
"""Four classes; four box parameters, a confidence and two classes; three classes."""

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "a", "b", "c")),
        ("det", "det", kind_of("detection"), ("d", "e")),
        ("cls", "cls", kind_of("classification"), ("f", "g", "h")),
    ]
)
SURE, UNSURE = 30.0, -30.0
"""Logits of a class that the teacher sees for certain, and of one that it does not see at all."""


def random_output(seed, batch=2, height=3, width=4):
    torch.manual_seed(seed)
    return torch.randn(batch, LAYOUT.channels, height, width)


def loss_of(task, output, teacher):
    """Of the task's own channels of two whole outputs."""
    part = LAYOUT.parts[task]
    return part.kind.distillation(part.of(output), part.of(teacher))


def gradient(task, output, teacher):
    output = output.clone().requires_grad_(True)
    loss_of(task, output, teacher).backward()
    return output.grad


def softened_divergence(output, teacher):
    """Of the teacher's distributions along the last dimension from the model's, softened; by another library."""
    softened = (Categorical(logits=logits / TEMPERATURE) for logits in (teacher, output))
    return kl_divergence(*softened).mean() * TEMPERATURE**2


def detection_output(parameters=(0.0, 0.0, 0.0, 0.0), confidence=0.0, classes=(0.0, 0.0), cells=1):
    """An output of a row of cells that all see the same; the rest of the channels is zero."""
    output = torch.zeros(1, LAYOUT.channels, 1, cells)
    output[:, list(CHANNELS[DET])] = torch.tensor([*parameters, confidence, *classes])[None, :, None, None]
    return output


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_vanishes_where_the_model_is_its_teacher_and_nowhere_else(task):
    teacher = random_output(0)
    assert gradient(task, teacher, teacher).abs().max() < 1e-6
    assert gradient(task, random_output(1), teacher).abs().max() > 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_no_output_has_a_smaller_loss_than_the_teachers(task):
    teacher = random_output(0)
    least = loss_of(task, teacher, teacher)
    for seed in range(1, 6):
        for size in (0.01, 0.3, 3.0):
            assert loss_of(task, teacher + size * random_output(seed), teacher) > least - 1e-6


@pytest.mark.parametrize("task", [SEG, CLS])
def test_the_divergence_from_itself_is_zero(task):
    teacher = random_output(0)
    assert loss_of(task, teacher, teacher).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_each_loss_learns_the_channels_of_its_task_alone(task):
    moved = gradient(task, random_output(1), random_output(0)).abs().amax(dim=(0, 2, 3)) > 0
    assert moved.nonzero().flatten().tolist() == list(CHANNELS[task])


@pytest.mark.parametrize("task", TASKS)
def test_each_loss_is_a_finite_scalar_for_extreme_outputs(task):
    loss = loss_of(task, 100 * random_output(1), 100 * random_output(0))
    assert loss.shape == ()
    assert loss.isfinite()


def test_segmentation_keeps_the_distribution_of_each_cell():
    output, teacher = random_output(1), random_output(0)
    expected = softened_divergence(*(each[:, :N_SEG].movedim(1, -1) for each in (output, teacher)))
    assert loss_of(SEG, output, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_segmentation_weighs_cells_alike_at_any_resolution():
    output, teacher = random_output(1), random_output(0)
    larger = [each.repeat(1, 1, 2, 3) for each in (output, teacher)]
    once = loss_of(SEG, output, teacher)
    assert loss_of(SEG, *larger).item() == pytest.approx(once.item(), rel=1e-5)


def test_classification_keeps_the_distribution_of_the_whole_picture():
    output, teacher = random_output(1), random_output(0)
    expected = softened_divergence(*(each[:, -N_CLS:].mean(dim=(2, 3)) for each in (output, teacher)))
    assert loss_of(CLS, output, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_classification_does_not_mind_where_the_evidence_is():
    teacher = random_output(0)
    mirrored = teacher.flip(2, 3)
    assert loss_of(CLS, mirrored, teacher).item() == pytest.approx(0, abs=1e-6)
    assert loss_of(SEG, mirrored, teacher) > 0.01


@pytest.mark.parametrize("cells", [1, 2, 6])
def test_detection_by_hand(cells):
    """A teacher that is half sure of one class, and a box of 32 x 32 pixels that is a stride beside its own."""
    teacher = detection_output(confidence=0.0, classes=(0.0, UNSURE), cells=cells)
    output = detection_output((1.0, 0.0, 0.0, 0.0), confidence=math.log(3), classes=(math.log(3), UNSURE), cells=cells)
    probability = 0.75  # of the logit log 3
    cross_entropy = -0.5 * math.log(probability) - 0.5 * math.log(1 - probability)
    focal = (probability - 0.5) ** 2 * cross_entropy
    overlap = 24 * 32 / (2 * 32 * 32 - 24 * 32)  # the smallest box around both is no larger than they are
    one = focal + 2 * 0.5 * (1 - overlap) + 0.5 * cross_entropy
    expected = cells * one / max(cells * 0.5, 1)
    assert loss_of(DET, output, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_detection_of_the_teacher_itself_costs_the_entropy_of_its_confidence():
    teacher = random_output(0)
    confidence, classes = teacher[:, N_SEG + 4], teacher[:, N_SEG + 5 : -N_CLS]
    sure = classes.sigmoid().amax(dim=1)
    entropy = binary_cross_entropy_with_logits(confidence, confidence.sigmoid(), reduction="none")
    expected = (sure * entropy).sum() / sure.sum()
    assert loss_of(DET, teacher, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_boxes_and_confidence_count_only_where_the_teacher_is_sure():
    teacher = detection_output(classes=(UNSURE, UNSURE), cells=2)
    teacher[0, N_SEG + 5, 0, 1] = SURE  # it sees an object in the second cell
    learned = slice(N_SEG, N_SEG + 5)
    output = teacher.clone()
    output[0, learned, 0] += torch.tensor([[1.5], [1.2], [-0.3], [-0.2], [0.5]])
    parts = gradient(DET, output, teacher)[0, learned, 0]
    assert parts[:, 0].abs().max() < 1e-6
    assert (parts[:, 1].abs() > 1e-3).all()


def test_what_the_teacher_does_not_see_is_to_stay_unseen():
    teacher = detection_output(classes=(UNSURE, UNSURE), cells=2)
    quiet = loss_of(DET, teacher, teacher)
    louder = teacher.clone()
    louder[0, N_SEG + 6, 0, 0] = 3.0
    assert quiet.item() == pytest.approx(0, abs=1e-6)
    assert loss_of(DET, louder, teacher) > 1


@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 3, 4)], ids=["images", "maps"])
def test_a_divergence_is_the_mean_over_all_distributions(shape):
    torch.manual_seed(0)
    output, teacher = torch.randn(shape), torch.randn(shape)
    expected = softened_divergence(*(each.movedim(1, -1) for each in (output, teacher)))
    assert divergence(output, teacher).item() == pytest.approx(expected.item(), rel=1e-5)
