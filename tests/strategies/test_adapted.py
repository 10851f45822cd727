import copy
import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.models.base_model import BaseModel
from avalanche.training.plugins import LwFPlugin, SynapticIntelligencePlugin
from avalanche.training.supervised.lamaml import LaMAML as AvalancheLaMAML
from torch import nn
from torch.distributions import Categorical, kl_divergence
from torch.nn.functional import cosine_similarity, mse_loss

from onehead_avl.evaluation.periodic import PeriodicEvaluation
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.target import collate
from strategies.adapted import LFL, MIR, SI, FeatureDistillation, LaMAML, LwF

pytestmark = pytest.mark.filterwarnings(
    "ignore:No loggers specified",
    "ignore:Avalanche is transitioning",
    "ignore:__array_wrap__ must accept",
)

SEG, DET, CLS = TASKS = range(3)
CHANNELS = (range(4), range(4, 11), range(11, 14))
"""Four classes; four box parameters, a confidence and two classes; three classes."""

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "a", "b", "c")),
        ("det", "det", kind_of("detection"), ("d", "e")),
        ("cls", "cls", kind_of("classification"), ("f", "g", "h")),
    ]
)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def plugin_of(strategy, kind):
    (found,) = (plugin for plugin in strategy.plugins if isinstance(plugin, kind))
    return found


def batch_of(dataset):
    return collate([tuple(dataset[i][:3]) for i in range(len(dataset))])


class AtLoss(SupervisedPlugin):
    """Calls a function at a moment of every training step."""

    def __init__(self, call, moment="before_backward"):
        super().__init__()
        setattr(self, moment, lambda strategy, **kwargs: call(strategy))


# Learning without forgetting


@pytest.fixture
def maps():
    """Outputs of a model and of its teacher."""
    torch.manual_seed(0)
    return torch.randn(2, LAYOUT.channels, 3, 4), torch.randn(2, LAYOUT.channels, 3, 4)


def lwf(learned, alpha=1.0, temperature=2.0, kind=LwF):
    """The penalty after some tasks were learned; its teacher's output is what it is given for pictures."""
    penalty = kind(alpha, temperature).lwf
    penalty.prev_model = nn.Identity()
    penalty.prev_classes_by_task.update({task: set(CHANNELS[task]) for task in learned})
    return lambda output, teacher: penalty(teacher, output, None)


@pytest.mark.parametrize("learned", [[SEG], [DET], [CLS, SEG], TASKS])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_lwf_distils_a_softmax_over_the_channels_of_every_old_task(learned, temperature, maps):
    expected = 0
    for task in learned:
        output, teacher = (
            Categorical(logits=each[:, list(CHANNELS[task])].movedim(1, -1) / temperature) for each in maps
        )
        expected += kl_divergence(teacher, output).mean()
    found = lwf(learned, temperature=temperature)(*maps)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert lwf(learned, alpha=3.0, temperature=temperature)(*maps).item() == pytest.approx(3 * found.item(), rel=1e-5)


def test_avalanches_own_lwf_distils_task_0_alone_and_grows_with_the_resolution(maps):
    """If this fails, the adapter is needed no more."""
    assert lwf([DET, CLS], kind=LwFPlugin)(*maps) == 0
    larger = [each.repeat(1, 1, 2, 3) for each in maps]
    once = lwf([SEG], kind=LwFPlugin)(*maps).item()
    assert lwf([SEG], kind=LwFPlugin)(*larger).item() == pytest.approx(6 * once, rel=1e-5)


def test_lwf_does_not_depend_on_the_resolution_or_the_number_of_pictures(maps):
    once = lwf(TASKS)(*maps).item()
    for repeats in ((1, 1, 2, 3), (3, 1, 1, 1)):
        repeated = [each.repeat(repeats) for each in maps]
        assert lwf(TASKS)(*repeated).item() == pytest.approx(once, rel=1e-5)


def test_lwf_keeps_channels_that_two_tasks_share_once(maps):
    penalty = LwF(1.0, 2.0).lwf
    penalty.prev_model = nn.Identity()
    penalty.prev_classes_by_task.update({0: set(CHANNELS[SEG]), 1: set(CHANNELS[DET]), 2: set(CHANNELS[SEG])})
    assert penalty(maps[1], maps[0], None).item() == pytest.approx(lwf([SEG, DET])(*maps).item(), rel=1e-6)


def test_lwf_asks_nothing_before_a_task_was_learned(maps):
    assert LwF(1.0, 2.0).lwf(None, maps[0], None) == 0


def test_lwf_remembers_the_channels_of_each_task_it_learned(built, stream):
    strategy = built("lwf")
    remembered = plugin_of(strategy, LwF).lwf
    for experience, task in zip(stream, TASKS, strict=True):
        strategy.train(experience)
        assert remembered.prev_classes_by_task.keys() == set(range(task + 1))
        assert remembered.prev_classes_by_task[task] <= set(strategy.model.layout.parts[task].channels)
        assert len(remembered.prev_classes_by_task[task]) > 1
        assert same(state_of(strategy.model), remembered.prev_model.state_dict())


# Synaptic intelligence


def test_si_finds_important_what_lowered_the_loss_on_its_way_as_published(built, stream):
    strategy = built("si")
    start = state_of(strategy.model)
    moves = {name: torch.zeros_like(parameter) for name, parameter in strategy.model.named_parameters()}
    steps = []

    def before(strategy):
        steps.append({name: (p.grad.clone(), p.detach().clone()) for name, p in strategy.model.named_parameters()})

    def after(strategy):
        for name, parameter in strategy.model.named_parameters():
            gradient, old = steps[-1][name]
            moves[name] += gradient * (parameter.detach() - old)

    strategy.plugins += [AtLoss(before, "before_update"), AtLoss(after, "after_update")]
    strategy.train(stream[0])
    assert len(steps) == 2
    plugin = plugin_of(strategy, SI)
    for name, parameter in strategy.model.named_parameters():
        way = moves[name] / ((parameter.detach() - start[name]).square() + plugin.eps)
        found = plugin.syn_data["cum_trajectory"][name].data.view_as(way.flatten())
        assert torch.allclose(found, way.flatten(), rtol=1e-3, atol=1e-6), name
        importance = plugin.ewc_data[1][name].data
        assert torch.equal(importance, (-found).clamp(max=0.001))
        assert importance.count_nonzero() > 0


def test_avalanches_own_si_finds_nothing_important_on_a_cpu(built, stream):
    strategy = built("naive")
    strategy.model.to(memory_format=torch.contiguous_format)  # another one is copied, if the weight is of several cells
    plugin = SynapticIntelligencePlugin(1.0)
    strategy.plugins.append(plugin)
    strategy.train(stream[0])
    assert all(importance.data.count_nonzero() == 0 for importance in plugin.ewc_data[1].values())


# Less-forgetful learning


def test_lfl_freezes_the_output_layer_after_the_first_task_and_nothing_else(built, stream):
    strategy = built("lfl")
    model, plugin = strategy.model, plugin_of(strategy, LFL)
    states = [state_of(model)]
    for experience in stream:
        strategy.train(experience)
        states.append(state_of(model))
        assert same(states[-1], plugin.prev_model.state_dict())
    last = {f"{model.output_layer}.weight", f"{model.output_layer}.bias"}
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == last
    assert not any(parameter.requires_grad for parameter in plugin.prev_model.parameters())
    assert not same({name: states[0][name] for name in last}, states[1])
    for before, after in pairwise(states[1:]):
        assert all(torch.equal(before[name], after[name]) for name in last)
        assert not torch.equal(before["head.0.weight"], after["head.0.weight"])
        assert not torch.equal(before["neck.lateral.0.weight"], after["neck.lateral.0.weight"])


def test_lfl_keeps_the_features_that_the_head_sees():
    torch.manual_seed(0)
    before, model = (OneHeadNet(LAYOUT, channels=16) for _ in range(2))
    plugin = LFL(3.0)
    plugin.prev_model = before
    pictures = torch.randn(2, 3, 32, 32)
    strategy = SimpleNamespace(model=model, mb_x=pictures, loss=torch.tensor(5.0))
    plugin.before_training(strategy)
    plugin.before_backward(strategy)
    expected = 5 + 3 * mse_loss(model.get_features(pictures), before.get_features(pictures))
    assert strategy.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert isinstance(model, BaseModel)


# Distillation of features


def test_feature_distillation_keeps_the_direction_of_the_features(built, stream):
    strategy = built("feature-distillation", "feature-distillation.alpha=3")
    plugin = plugin_of(strategy, FeatureDistillation)
    differences = []

    def compare(strategy):
        loss = strategy._criterion(strategy.mb_output, strategy.mb_y)
        if plugin.prev_model is not None:
            features = (model.get_features(strategy.mb_x) for model in (strategy.model, plugin.prev_model))
            loss = loss + 3 * (1 - cosine_similarity(*features, dim=1).mean())
            differences.append(abs(strategy.loss - strategy._criterion(strategy.mb_output, strategy.mb_y)).item())
        assert strategy.loss.item() == pytest.approx(loss.item(), rel=1e-5, abs=1e-6)

    strategy.plugins.append(AtLoss(compare))
    for experience in stream:
        strategy.train(experience)
    assert len(differences) == 4
    assert max(differences) > 1e-4


def test_feature_distillation_leaves_no_graph_and_a_model_that_can_be_copied(built, stream):
    strategy = built("feature-distillation")
    during = []
    strategy.plugins.append(AtLoss(lambda strategy: during.append(copy.deepcopy(strategy.model))))
    for experience in stream:
        strategy.train(experience)
        assert strategy.model.features is None
        assert strategy.model.head.input is None
        assert plugin_of(strategy, FeatureDistillation)._features is None
        copied = copy.deepcopy(strategy.model)
        assert same(state_of(strategy.model), copied.state_dict())
        copied(torch.zeros(1, 3, 32, 32))
        assert strategy.model.features is None  # a copy has features of its own
    assert len(during) == 6


@pytest.mark.parametrize("other", ["distillation", "lwf", "lfl", "onehead", "mir"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_feature_distillation_works_beside_what_copies_the_model_and_runs_it(other, first, built, stream):
    name = f"feature-distillation+{other}" if first else f"{other}+feature-distillation"
    strategy = built(name)
    for experience in list(stream)[:2]:
        strategy.train(experience)
    assert all(value.isfinite().all() for value in strategy.model.state_dict().values())


# Dark experience replay


@pytest.fixture(params=[("der", ()), ("derpp", ()), ("derpp", ("derpp.alpha=0", "derpp.beta=0"))], ids=str)
def der(request, built):
    name, options = request.param
    return built(name, *options, replay_size=24, replay_batch=3)


def test_der_stores_what_the_model_emitted_for_exactly_the_view_it_stores(der, stream):
    for count, experience in enumerate(list(stream)[:2], start=1):
        der.train(experience)
        buffer = der.storage_policy.buffer
        tasks = [int(buffer[i][2]) for i in range(len(buffer))]
        assert len(buffer) == 8 * count
        for i, task in enumerate(tasks):
            (picture, target, _, output), again = buffer[i], buffer[i]
            assert torch.equal(picture, again[0])
            assert torch.equal(output, again[3])
            assert len(target) == 1
            assert int(target.task) == task
            if task == count - 1:  # stored by the model as it is now
                with torch.no_grad():
                    assert torch.allclose(der.model(picture[None])[0], output, atol=1e-5)
    assert set(tasks) == {SEG, DET}


def test_der_keeps_the_seed_of_a_view_and_not_its_pixels(der, stream):
    der.train(stream[0])
    buffer = der.storage_policy.buffer
    state = torch.get_rng_state()
    one, other = buffer[0][0], buffer[0][0]
    assert torch.equal(torch.get_rng_state(), state)  # training goes on as if nothing had been drawn
    assert one.data_ptr() != other.data_ptr()
    views = [stream[0].dataset[i][0] for i in range(len(stream[0].dataset))]
    assert not any(torch.equal(one, view) for view in views)  # it is augmented like any other


def test_der_replays_outputs_of_the_teacher_and_adds_the_losses_as_published(der, stream):
    n = der.batch_size_mem
    teachers, checked = [], []

    def check(strategy):
        current = strategy._criterion(strategy.mb_output[n:], strategy.mb_y[n:])
        with torch.no_grad():
            emitted = teachers[-1](strategy.mb_x[:n])
        assert torch.allclose(strategy.batch_logits, emitted, atol=1e-5)
        assert strategy.mb_y.task.tolist()[:n] == [SEG] * n
        assert set(strategy.mb_y.task.tolist()[n:]) == {DET}
        dark = ((strategy.mb_output[:n] - emitted) ** 2).mean()
        annotated = strategy._criterion(strategy.mb_output[:n], strategy.mb_y[:n])
        expected = current + strategy.alpha * dark + strategy.beta * annotated
        assert strategy.loss.item() == pytest.approx(expected.item(), rel=1e-4)
        checked.append(((strategy.alpha * dark / expected).item(), (strategy.beta * annotated / expected).item()))

    der.train(stream[0])
    teachers.append(copy.deepcopy(der.model))
    with torch.no_grad():  # as after much learning
        der.model.head[-1].weight.add_(torch.randn_like(der.model.head[-1].weight))
    der.plugins.append(AtLoss(check))
    der.train(stream[1])
    assert len(checked) == 2
    for weight, shares in zip((der.alpha, der.beta), zip(*checked, strict=True), strict=True):
        assert min(shares) > 0.001 if weight else max(shares) == 0


def test_der_learns_the_current_task_alone_at_first(der, stream):
    def check(strategy):
        assert len(strategy.mb_y) == 4
        assert strategy.loss.item() == strategy._criterion(strategy.mb_output, strategy.mb_y).item()

    der.plugins.append(AtLoss(check))
    der.train(stream[0])
    assert der.replay_loader is None


def test_der_is_evaluated_by_the_criterion_alone_even_while_it_replays(built, stream):
    strategy = built("derpp")
    strategy.train_epochs = 2
    strategy.plugins.append(PeriodicEvaluation(1, [stream[0]]))
    replaying = []

    def check(strategy):
        replaying.append(strategy.replay_loader is not None)
        expected = strategy._criterion(strategy.mb_output, strategy.mb_y)
        assert strategy.criterion().item() == expected.item()

    strategy.plugins.append(AtLoss(check, "after_eval_forward"))
    for experience in list(stream)[:2]:
        strategy.train(experience)
    assert set(replaying) == {True, False}


# Maximally interfered retrieval


@pytest.fixture
def mir(built, stream):
    """A strategy that has learned segmentation, and its plugin with six samples in memory."""
    strategy = built("mir", "mir.subsample=24", replay_size=24, replay_batch=3)
    strategy.train(stream[0])
    return strategy, plugin_of(strategy, MIR)


def test_mir_keeps_samples_of_the_experience_that_just_ended(mir, stream):
    strategy, plugin = mir
    assert {int(plugin.storage_policy.buffer[i][2]) for i in range(8)} == {SEG}
    pictures, target, labels = next(plugin.replay_loader)
    assert (len(pictures), len(target), len(labels)) == (8, 8, 8)
    assert len(next(plugin.replay_loader)[0]) == 8  # it never ends
    strategy.train(stream[1])
    assert {label for i in range(16) for label in next(plugin.replay_loader)[2].tolist()} == {SEG, DET}


@pytest.mark.parametrize("frozen", [False, True])
def test_mir_replays_the_samples_whose_loss_the_step_would_raise_most(mir, stream, frozen):
    strategy, plugin = mir
    strategy.model.backbone.requires_grad_(not frozen)
    model, criterion, rate = strategy.model, MultiTaskLoss(strategy.model.layout), 0.01
    memory = next(plugin.replay_loader)
    pictures, target, _ = batch_of(stream[1].dataset)
    loss = criterion(model(pictures), target)

    stepped = copy.deepcopy(model)
    criterion(stepped(pictures), target).backward()
    torch.optim.SGD(stepped.parameters(), lr=rate).step()
    each = MultiTaskLoss(model.layout, reduction="none")
    with torch.no_grad():
        harm = each(stepped(memory[0]), memory[1]) - each(model(memory[0]), memory[1])
        worst = harm.argsort(descending=True)[:3]
        expected = loss + criterion(model(memory[0][worst]), memory[1][worst])
        others = loss + criterion(model(memory[0][harm.argsort()[:3]]), memory[1][harm.argsort()[:3]])

    plugin.replay_loader = iter([memory])
    step = SimpleNamespace(
        loss=loss,
        model=model,
        _criterion=criterion,
        device=torch.device("cpu"),
        optimizer=torch.optim.SGD(model.parameters(), lr=rate),
    )
    plugin.before_backward(step)
    assert step.model is model
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)  # added in place
    assert abs(expected - others) > 5e-5
    assert criterion.reduction == "mean"


# Look-ahead MAML


def test_lamaml_keeps_the_weights_it_is_given(setting):
    given = setting()
    start = state_of(given.model)
    arguments = given.optimised()
    LaMAML(**arguments)
    assert same(start, given.model.state_dict())
    AvalancheLaMAML(**arguments)
    assert not same(start, given.model.state_dict())


def test_lamaml_learns_its_step_sizes(built, stream):
    strategy = built("lamaml", "lamaml.rate=0.01")
    strategy.train(stream[0])
    rates = torch.cat([rate.flatten() for rate in strategy.alpha_params.parameters()])
    assert len(rates) == sum(parameter.numel() for parameter in strategy.model.parameters())
    assert rates.isfinite().all()
    assert not math.isclose(rates.min().item(), rates.max().item(), rel_tol=1e-6)
