import math
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from onehead_avl.model.layout import Layout
from onehead_avl.model.network import OneHeadNet
from onehead_avl.tasks import Task
from strategies import distillation
from strategies.distillation import (
    LOSSES,
    TEMPERATURE,
    Distillation,
    classification_distillation,
    detection_distillation,
    feature_distillation,
    segmentation_distillation,
)

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

LAYOUT = Layout(4, 2, 3)
SURE, UNSURE = 30.0, -30.0
"""Logits of a class that the teacher sees for certain, and of one that it does not see at all."""


def random_output(seed, batch=2, height=3, width=4):
    torch.manual_seed(seed)
    return torch.randn(batch, LAYOUT.channels, height, width)


def gradient(loss, output, teacher):
    output = output.clone().requires_grad_(True)
    loss(output, teacher, LAYOUT).backward()
    return output.grad


def divergence(output, teacher):
    """Of the teacher's distributions along the last dimension from the model's, softened; by another library."""
    softened = (Categorical(logits=logits / TEMPERATURE) for logits in (teacher, output))
    return kl_divergence(*softened).mean() * TEMPERATURE**2


def detection_output(parameters=(0.0, 0.0, 0.0, 0.0), confidence=0.0, classes=(0.0, 0.0), cells=1):
    """An output of a row of cells that all see the same; the rest of the channels is zero."""
    output = torch.zeros(1, LAYOUT.channels, 1, cells)
    output[:, list(LAYOUT.of(Task.DET))] = torch.tensor([*parameters, confidence, *classes])[None, :, None, None]
    return output


@pytest.mark.parametrize("task", Task)
def test_the_gradient_vanishes_where_the_model_is_its_teacher_and_nowhere_else(task):
    teacher = random_output(0)
    assert gradient(LOSSES[task], teacher, teacher).abs().max() < 1e-6
    assert gradient(LOSSES[task], random_output(1), teacher).abs().max() > 1e-3


@pytest.mark.parametrize("task", Task)
def test_no_output_has_a_smaller_loss_than_the_teachers(task):
    teacher = random_output(0)
    least = LOSSES[task](teacher, teacher, LAYOUT)
    for seed in range(1, 6):
        for size in (0.01, 0.3, 3.0):
            assert LOSSES[task](teacher + size * random_output(seed), teacher, LAYOUT) > least - 1e-6


@pytest.mark.parametrize("task", [Task.SEG, Task.CLS])
def test_the_divergence_from_itself_is_zero(task):
    teacher = random_output(0)
    assert LOSSES[task](teacher, teacher, LAYOUT).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("task", Task)
def test_each_loss_learns_the_channels_of_its_task_alone(task):
    moved = gradient(LOSSES[task], random_output(1), random_output(0)).abs().amax(dim=(0, 2, 3)) > 0
    assert moved.nonzero().flatten().tolist() == list(LAYOUT.of(task))


@pytest.mark.parametrize("task", Task)
def test_each_loss_is_a_finite_scalar_for_extreme_outputs(task):
    loss = LOSSES[task](100 * random_output(1), 100 * random_output(0), LAYOUT)
    assert loss.shape == ()
    assert loss.isfinite()


def test_segmentation_keeps_the_distribution_of_each_cell():
    output, teacher = random_output(1), random_output(0)
    expected = divergence(*(each[:, : LAYOUT.n_seg].movedim(1, -1) for each in (output, teacher)))
    assert segmentation_distillation(output, teacher, LAYOUT).item() == pytest.approx(expected.item(), rel=1e-5)


def test_segmentation_weighs_cells_alike_at_any_resolution():
    output, teacher = random_output(1), random_output(0)
    larger = [each.repeat(1, 1, 2, 3) for each in (output, teacher)]
    once = segmentation_distillation(output, teacher, LAYOUT)
    assert segmentation_distillation(*larger, LAYOUT).item() == pytest.approx(once.item(), rel=1e-5)


def test_classification_keeps_the_distribution_of_the_whole_picture():
    output, teacher = random_output(1), random_output(0)
    expected = divergence(*(each[:, -LAYOUT.n_cls :].mean(dim=(2, 3)) for each in (output, teacher)))
    assert classification_distillation(output, teacher, LAYOUT).item() == pytest.approx(expected.item(), rel=1e-5)


def test_classification_does_not_mind_where_the_evidence_is():
    teacher = random_output(0)
    mirrored = teacher.flip(2, 3)
    assert classification_distillation(mirrored, teacher, LAYOUT).item() == pytest.approx(0, abs=1e-6)
    assert segmentation_distillation(mirrored, teacher, LAYOUT) > 0.01


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
    assert detection_distillation(output, teacher, LAYOUT).item() == pytest.approx(expected, rel=1e-5)


def test_detection_of_the_teacher_itself_costs_the_entropy_of_its_confidence():
    teacher = random_output(0)
    _, confidence, classes = LAYOUT.detection(teacher)
    sure = classes.sigmoid().amax(dim=1)
    entropy = binary_cross_entropy_with_logits(confidence, confidence.sigmoid(), reduction="none")
    expected = (sure * entropy).sum() / sure.sum()
    assert detection_distillation(teacher, teacher, LAYOUT).item() == pytest.approx(expected.item(), rel=1e-5)


def test_boxes_and_confidence_count_only_where_the_teacher_is_sure():
    teacher = detection_output(classes=(UNSURE, UNSURE), cells=2)
    teacher[0, LAYOUT.n_seg + 5, 0, 1] = SURE  # it sees an object in the second cell
    learned = slice(LAYOUT.n_seg, LAYOUT.n_seg + 5)
    output = teacher.clone()
    output[0, learned, 0] += torch.tensor([[1.5], [1.2], [-0.3], [-0.2], [0.5]])
    parts = gradient(detection_distillation, output, teacher)[0, learned, 0]
    assert parts[:, 0].abs().max() < 1e-6
    assert (parts[:, 1].abs() > 1e-3).all()


def test_what_the_teacher_does_not_see_is_to_stay_unseen():
    teacher = detection_output(classes=(UNSURE, UNSURE), cells=2)
    quiet = detection_distillation(teacher, teacher, LAYOUT)
    louder = teacher.clone()
    louder[0, LAYOUT.n_seg + 6, 0, 0] = 3.0
    assert quiet.item() == pytest.approx(0, abs=1e-6)
    assert detection_distillation(louder, teacher, LAYOUT) > 1


class Strategy(SimpleNamespace):
    """What the plugin asks of a strategy, for one minibatch of two pictures, of no old task unless they are given."""

    def __init__(self, model, loss=0.0, tasks=(-1, -1)):
        target = SimpleNamespace(of=lambda task: torch.tensor(tasks) == int(task))
        super().__init__(model=model, mb_x=torch.randn(2, 3, 64, 64), mb_y=target, loss=torch.tensor(loss))

    def step(self, plugin):
        """One iteration up to the loss."""
        plugin.before_forward(self)
        self.mb_output = self.model(self.mb_x)
        plugin.after_forward(self)
        plugin.before_backward(self)

    def learn(self, plugin, *tasks):
        """Experiences without iterations, and the beginning of one more."""
        for task in tasks:
            self.experience = SimpleNamespace(task_labels=[int(task)])
            plugin.before_training_exp(self)
            plugin.after_training_exp(self)
        plugin.before_training_exp(self)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return OneHeadNet(LAYOUT, channels=16)


@pytest.fixture
def asked(monkeypatch):
    """The tasks whose loss was asked for."""
    tasks = []
    for task, loss in LOSSES.items():

        def noted(*arguments, task=task, loss=loss):
            tasks.append(task)
            return loss(*arguments)

        monkeypatch.setitem(distillation.LOSSES, task, noted)
    return tasks


def ones():
    return dict.fromkeys(Task, 1.0)


@pytest.fixture
def pretrained():
    torch.manual_seed(0)
    return OneHeadNet(LAYOUT, pretrained=True, channels=16)


def disturb(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("features", [0.0, 3.0])
def test_nothing_is_distilled_before_a_random_start_learned_anything(model, asked, features):
    plugin, strategy = Distillation(ones(), features), Strategy(model, loss=5.0)
    strategy.learn(plugin)
    strategy.step(plugin)
    assert strategy.loss == 5
    assert asked == []
    assert plugin.teacher is None


@pytest.mark.parametrize("order", [(Task.SEG, Task.DET, Task.CLS), (Task.CLS, Task.SEG), (Task.DET,)])
def test_only_tasks_learned_before_are_distilled(order, model, asked):
    plugin = Distillation(ones())
    for learned in range(1, len(order) + 1):
        Strategy(model).learn(plugin, order[learned - 1])
        asked.clear()
        Strategy(model).step(plugin)
        assert sorted(asked) == sorted(order[:learned])


def test_a_task_that_counts_nothing_is_not_distilled(model, asked):
    plugin, strategy = Distillation(ones() | {Task.SEG: 0.0}), Strategy(model)
    strategy.learn(plugin, Task.SEG, Task.DET)
    strategy.step(plugin)
    assert asked == [Task.DET]


def test_a_task_is_distilled_on_its_own_pictures_if_some_are_replayed(model):
    plugin, strategy = Distillation(ones()), Strategy(model, tasks=(int(Task.DET), int(Task.SEG)))
    strategy.learn(plugin, Task.SEG)
    disturb(model.head)
    strategy.step(plugin)
    strategy.mb_output.retain_grad()
    strategy.loss.backward()
    moved = strategy.mb_output.grad.abs().amax(dim=(1, 2, 3))
    assert moved[0] == 0
    assert moved[1] > 0


def test_the_losses_are_weighed_and_added_to_what_was_there(pretrained):
    weights = {Task.SEG: 2.0, Task.DET: 3.0, Task.CLS: 5.0}
    plugin, strategy = Distillation(weights, features=11.0), Strategy(pretrained, loss=7.0)
    strategy.learn(plugin, *Task)
    disturb(pretrained.head)
    disturb(pretrained.backbone.features[-1])
    wanted = plugin.teacher(strategy.mb_x)
    features = (each.backbone(strategy.mb_x)[-1] for each in (pretrained, plugin.teacher))
    strategy.step(plugin)
    losses = {task: LOSSES[task](strategy.mb_output, wanted, LAYOUT).item() for task in Task}
    of_features = feature_distillation(*features).item()
    expected = 7 + sum(weights[task] * loss for task, loss in losses.items()) + 11 * of_features
    assert strategy.loss.item() == pytest.approx(expected, rel=1e-5)
    assert min(*losses.values(), of_features) > 1e-3


def test_a_pretrained_start_keeps_its_features_from_the_first_experience_on(pretrained, asked):
    plugin, strategy = Distillation(ones(), features=3.0), Strategy(pretrained)
    strategy.learn(plugin)
    disturb(pretrained.backbone.features[-1])
    strategy.step(plugin)
    assert asked == []
    strategy.loss.backward()
    assert all(parameter.grad is None for part in (pretrained.neck, pretrained.head) for parameter in part.parameters())
    assert pretrained.backbone.features[-1][0].weight.grad.abs().max() > 0


def test_without_a_weight_a_pretrained_start_keeps_nothing_at_first(pretrained):
    plugin = Distillation(ones())
    Strategy(pretrained).learn(plugin)
    assert plugin.teacher is None


def test_no_hook_stays_on_the_model(pretrained):
    plugin, strategy = Distillation(ones(), features=3.0), Strategy(pretrained)
    strategy.learn(plugin)
    strategy.step(plugin)
    assert not any(module._forward_hooks for module in pretrained.modules())
    assert plugin._features is None


def test_the_teacher_is_a_frozen_copy_in_evaluation_mode(model):
    plugin = Distillation(ones())
    Strategy(model.train()).learn(plugin, Task.SEG)
    assert not any(parameter.requires_grad for parameter in plugin.teacher.parameters())
    assert not any(module.training for module in plugin.teacher.modules())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    before = plugin.teacher.head[-1].weight.clone()
    with torch.no_grad():
        model.head[-1].weight.zero_()
    assert torch.equal(plugin.teacher.head[-1].weight, before)


def test_the_teacher_is_the_model_at_the_end_of_the_previous_experience(built, stream):
    strategy = built("distillation")
    (plugin,) = (each for each in strategy.plugins if isinstance(each, Distillation))
    end = None
    for experience in stream:
        strategy.train(experience)
        if end:
            taught = plugin.teacher.state_dict()
            assert all(torch.equal(value, taught[name]) for name, value in end.items())
            assert not torch.equal(taught["head.4.weight"], strategy.model.head[4].weight)
        end = {name: value.clone() for name, value in strategy.model.state_dict().items()}


# Features


def random_features(seed, batch=3):
    torch.manual_seed(seed)
    return torch.randn(batch, 5, 2, 4) + 1


def test_the_loss_of_features_by_hand():
    features, teacher = random_features(0), random_features(1)
    expected = 0
    for own, wanted in zip(features.numpy(), teacher.numpy(), strict=True):
        difference = own.mean(axis=(1, 2)) - wanted.mean(axis=(1, 2))
        expected += (difference @ difference) / (wanted.mean(axis=(1, 2)) @ wanted.mean(axis=(1, 2))) / 3
    assert feature_distillation(features, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_features_may_move_about_the_picture_but_not_change():
    teacher = random_features(1)
    assert feature_distillation(teacher.flip(2, 3), teacher).item() == pytest.approx(0, abs=1e-10)
    assert feature_distillation(2 * teacher, teacher).item() == pytest.approx(1, rel=1e-5)


def test_the_loss_of_features_is_finite_where_the_teacher_sees_nothing():
    assert feature_distillation(random_features(0), torch.zeros(3, 5, 2, 4)).isfinite()
