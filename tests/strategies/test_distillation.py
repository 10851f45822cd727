from types import SimpleNamespace

import pytest
import torch

from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from strategies.distillation import Distillation, feature_distillation

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SEG, DET, CLS = TASKS = range(3)

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "a", "b", "c")),
        ("det", "det", kind_of("detection"), ("d", "e")),
        ("cls", "cls", kind_of("classification"), ("f", "g", "h")),
    ]
)


def loss_of(part, output, teacher):
    """The distillation of one part of two whole outputs."""
    return part.kind.distillation(part.of(output), part.of(teacher))


class Strategy(SimpleNamespace):
    """What the plugin asks of a strategy, for one minibatch of two pictures, of no old task unless they are given."""

    def __init__(self, model, loss=0.0, tasks=(-1, -1)):
        target = SimpleNamespace(of=lambda task: torch.tensor(tasks) == task)
        super().__init__(model=model, mb_x=torch.randn(2, 3, 64, 64), mb_y=target, loss=torch.tensor(loss))
        self.mb_task_id = torch.tensor(tasks)
        self.plugins = []  # nobody freezes anything

    def step(self, plugin):
        """One iteration up to the loss."""
        plugin.before_forward(self)
        self.mb_output = self.model(self.mb_x)
        plugin.after_forward(self)
        plugin.before_backward(self)

    def learn(self, plugin, *tasks):
        """Experiences without iterations, and the beginning of one more."""
        for task in tasks:
            self.experience = SimpleNamespace(task_labels=[task])
            plugin.before_training_exp(self)
            plugin.after_training_exp(self)
        plugin.before_training_exp(self)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return OneHeadNet(LAYOUT, channels=16)


@pytest.fixture
def asked(monkeypatch):
    """The task labels whose loss was asked for; no two tasks are of one kind."""
    tasks = []
    for task, part in enumerate(LAYOUT.parts):
        loss = type(part.kind).distillation

        def noted(kind, *arguments, task=task, loss=loss):
            tasks.append(task)
            return loss(kind, *arguments)

        monkeypatch.setattr(type(part.kind), "distillation", noted)
    return tasks


def ones():
    return dict.fromkeys(KINDS, 1.0)


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
    plugin, strategy = Distillation(LAYOUT, ones(), features), Strategy(model, loss=5.0)
    strategy.learn(plugin)
    strategy.step(plugin)
    assert strategy.loss == 5
    assert asked == []
    assert plugin.teacher is None


@pytest.mark.parametrize("order", [(SEG, DET, CLS), (CLS, SEG), (DET,)])
def test_only_tasks_learned_before_are_distilled(order, model, asked):
    plugin = Distillation(LAYOUT, ones())
    for learned in range(1, len(order) + 1):
        Strategy(model).learn(plugin, order[learned - 1])
        asked.clear()
        Strategy(model).step(plugin)
        assert sorted(asked) == sorted(order[:learned])


def test_a_task_that_counts_nothing_is_not_distilled(model, asked):
    plugin, strategy = Distillation(LAYOUT, ones() | {"segmentation": 0.0}), Strategy(model)
    strategy.learn(plugin, SEG, DET)
    strategy.step(plugin)
    assert asked == [DET]


def test_a_task_is_distilled_on_all_pictures_though_some_are_replayed(model):
    plugin, strategy = Distillation(LAYOUT, ones()), Strategy(model, tasks=(DET, SEG))
    strategy.learn(plugin, SEG)
    disturb(model.head)
    strategy.step(plugin)
    strategy.mb_output.retain_grad()
    strategy.loss.backward()
    assert (strategy.mb_output.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_the_losses_are_weighed_and_added_to_what_was_there(pretrained):
    weights = {"segmentation": 2.0, "detection": 3.0, "classification": 5.0}
    plugin, strategy = Distillation(LAYOUT, weights, features=11.0), Strategy(pretrained, loss=7.0)
    strategy.learn(plugin, *TASKS)
    disturb(pretrained.head)
    disturb(pretrained.backbone.features[-1])
    wanted = plugin.teacher(strategy.mb_x)
    features = (each.backbone(strategy.mb_x)[-1] for each in (pretrained, plugin.teacher))
    strategy.step(plugin)
    losses = {part.kind.name: loss_of(part, strategy.mb_output, wanted).item() for part in LAYOUT.parts}
    of_features = feature_distillation(*features).item()
    expected = 7 + sum(weights[kind] * loss for kind, loss in losses.items()) + 11 * of_features
    assert strategy.loss.item() == pytest.approx(expected, rel=1e-5)
    assert min(*losses.values(), of_features) > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_outputs_of_half_precision_are_distilled_in_float32(pretrained, dtype, monkeypatch):
    plugin, strategy = Distillation(LAYOUT, ones(), features=1.0), Strategy(pretrained)
    strategy.learn(plugin, *TASKS)
    disturb(pretrained.head)
    types = []
    for kind in [type(part.kind) for part in LAYOUT.parts]:
        monkeypatch.setattr(kind, "distillation", noting(kind.distillation, types))
    monkeypatch.setattr("strategies.distillation.feature_distillation", noting(feature_distillation, types))
    with torch.autocast("cpu", dtype):
        strategy.step(plugin)
    assert strategy.mb_output.dtype == dtype
    assert types == [torch.float32] * 2 * 4
    assert strategy.loss.dtype == torch.float32
    assert strategy.loss.isfinite()
    strategy.loss.backward()
    assert pretrained.head[-1].weight.grad.any()


def noting(loss, types):
    """A loss of two tensors, the types of which are noted."""

    def noted(*arguments):
        types.extend(each.dtype for each in arguments[-2:])
        return loss(*arguments)

    return noted


def test_a_pretrained_start_keeps_its_features_from_the_first_experience_on(pretrained, asked):
    plugin, strategy = Distillation(LAYOUT, ones(), features=3.0), Strategy(pretrained)
    strategy.learn(plugin)
    disturb(pretrained.backbone.features[-1])
    strategy.step(plugin)
    assert asked == []
    strategy.loss.backward()
    assert all(parameter.grad is None for part in (pretrained.neck, pretrained.head) for parameter in part.parameters())
    assert pretrained.backbone.features[-1][0].weight.grad.abs().max() > 0


def test_without_a_weight_a_pretrained_start_keeps_nothing_at_first(pretrained):
    plugin = Distillation(LAYOUT, ones())
    Strategy(pretrained).learn(plugin)
    assert plugin.teacher is None


def test_no_hook_stays_on_the_model(pretrained):
    plugin, strategy = Distillation(LAYOUT, ones(), features=3.0), Strategy(pretrained)
    strategy.learn(plugin)
    strategy.step(plugin)
    assert not any(module._forward_hooks for module in pretrained.modules())
    assert plugin._features is None


def test_the_teacher_is_a_frozen_copy_in_evaluation_mode(model):
    plugin = Distillation(LAYOUT, ones())
    Strategy(model.train()).learn(plugin, SEG)
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
            last = f"{strategy.model.output_layer}.weight"
            assert not torch.equal(taught[last], strategy.model.state_dict()[last])
        end = {name: value.clone() for name, value in strategy.model.state_dict().items()}


# Several experiences of one kind, and such as share a part of the output


TWICE = layout_of_heads(
    [
        ("seg-1", "seg", kind_of("segmentation"), ("background", "a", "b")),
        ("seg-2", "seg-2", kind_of("segmentation"), ("background", "c")),
        ("cls", "cls", kind_of("classification"), ("d", "e")),
        ("seg-night", "seg", kind_of("segmentation"), ("background", "a", "b")),
    ]
)
PARTS = {"seg": slice(0, 3), "seg-2": slice(3, 5), "cls": slice(5, 7)}
SEG_1, SEG_2, CLS_OF_TWICE, SEG_NIGHT = range(4)


@pytest.fixture
def twice():
    """Distil on two pictures of some tasks: the strategy after its step, and what the teacher emits."""

    def twice(learned, tasks=(-1, -1), weights=None):
        torch.manual_seed(0)
        model = OneHeadNet(TWICE, channels=16)
        plugin = Distillation(TWICE, {"segmentation": 2.0, "classification": 3.0} if weights is None else weights)
        strategy = Strategy(model, loss=7.0, tasks=tasks)
        strategy.learn(plugin, *learned)
        disturb(model.head)
        strategy.step(plugin)
        strategy.mb_output.retain_grad()
        strategy.loss.backward()
        return strategy, plugin.teacher(strategy.mb_x)

    return twice


def parts_moved(strategy):
    """The parts of the output that are to change, of each picture."""
    return [
        {name for name, channels in PARTS.items() if picture[channels].abs().max() > 0}
        for picture in strategy.mb_output.grad
    ]


def loss_on(head, strategy, wanted):
    kind = kind_of("classification" if head == "cls" else "segmentation")
    output, teacher = (each[:, PARTS[head]] for each in (strategy.mb_output, wanted))
    return kind.distillation(output, teacher).item()


def test_two_experiences_of_one_kind_are_kept_each_with_the_weight_of_the_kind(twice):
    strategy, wanted = twice([SEG_1, SEG_2, CLS_OF_TWICE])
    losses = [loss_on(head, strategy, wanted) for head in ("seg", "seg-2", "cls")]
    assert min(losses) > 1e-4
    assert strategy.loss.item() == pytest.approx(7 + 2 * losses[0] + 2 * losses[1] + 3 * losses[2], rel=1e-5)
    assert parts_moved(strategy) == [{"seg", "seg-2", "cls"}] * 2


@pytest.mark.parametrize("learned", [[SEG_1], [SEG_NIGHT], [SEG_1, SEG_NIGHT]])
@pytest.mark.parametrize("tasks", [(-1, -1), (SEG_1, SEG_NIGHT), (SEG_NIGHT, SEG_1)])
def test_what_two_experiences_share_is_kept_once(learned, tasks, twice):
    strategy, wanted = twice(learned, tasks)
    assert parts_moved(strategy) == [{"seg"}] * 2
    assert strategy.loss.item() == pytest.approx(7 + 2 * loss_on("seg", strategy, wanted), rel=1e-5)


def test_a_kind_without_a_weight_of_its_own_counts_once(twice):
    strategy, wanted = twice([SEG_1, CLS_OF_TWICE], weights={"segmentation": 2.0})
    expected = 7 + 2 * loss_on("seg", strategy, wanted) + loss_on("cls", strategy, wanted)
    assert strategy.loss.item() == pytest.approx(expected, rel=1e-5)


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
