import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torch.optim import AdamW

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.torchvision_backbone import TAPS
from scenarios.experience import Stream
from scenarios.stream import avalanche_benchmark
from strategies.build import build
from strategies.memory import segmentation_replay
from strategies.multitask import MultiTask
from strategies.optimisation import (
    CLIP_NORM,
    PRETRAINED_RATES,
    RANDOM_RATES,
    WARMUP,
    Optimisation,
    frozen,
    parameter_groups,
    starting_optimizer,
    warmup_cosine,
)
from strategies.setting import Setting

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SIZE = 32
LR = 1e-3

SEG, DET, CLS = TASKS = range(3)
CLS_2 = 3

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "a", "b")),
        ("det", "det", kind_of("detection"), ("c", "d")),
        ("cls", "cls", kind_of("classification"), ("e", "f")),
        ("cls-2", "cls-2", kind_of("classification"), ("g", "h")),
    ]
)


class Watch(SupervisedPlugin):
    """Notes what the optimizer does in each experience."""

    def __init__(self):
        super().__init__()
        self.optimizers, self.fresh, self.rates, self.finals = [], [], [], []

    def before_training_exp(self, strategy, **kwargs):
        self.optimizers.append(strategy.optimizer)
        self.fresh.append(not strategy.optimizer.state)
        self.rates.append([])

    def before_update(self, strategy, **kwargs):
        assert strategy.optimizer is self.optimizers[-1]
        self.rates[-1].append([group["lr"] for group in strategy.optimizer.param_groups])

    def after_training_exp(self, strategy, **kwargs):
        assert strategy.optimizer.state
        self.finals.append([group["lr"] for group in strategy.optimizer.param_groups])


def make(model, *watching, plugins=(), criterion=None, optimisation=None, **options):
    """A strategy; plugins that watch come after the optimisation, and see what it did."""
    strategy = MultiTask(
        model=model,
        criterion=criterion or MultiTaskLoss(model.layout),
        plugins=[*plugins, *([optimisation] if optimisation else [])],
        evaluator=evaluator(model.layout),
        **options,
    )
    strategy.plugins += watching
    return strategy


@pytest.fixture(scope="module")
def of_length(drawn_experience):
    """Make a stream of segmentation, detection and classification, with so many pictures each."""
    kinds = {"seg": "segmentation", "det": "detection", "cls": "classification"}
    return lambda count: Stream("drawn", tuple(drawn_experience(name, kind, count) for name, kind in kinds.items()))


@pytest.fixture(scope="module")
def data(of_length):
    return of_length(20)


@pytest.fixture(scope="module")
def watched(data):
    """Three experiences of 2 epochs of 10 steps, with replay, seen by a watch."""
    torch.manual_seed(0)
    watch = Watch()
    model = OneHeadNet(data.layout, channels=16)
    strategy = make(
        model,
        watch,
        plugins=[segmentation_replay([SEG], 4, 1)],
        optimisation=Optimisation(lr=LR),
        train_mb_size=2,
        train_epochs=2,
    )
    for experience in avalanche_benchmark(data, SIZE).train_stream:
        strategy.train(experience)
    return watch


@pytest.fixture(params=[True, False], ids=["pretrained", "random"])
def model(request):
    return OneHeadNet(LAYOUT, pretrained=request.param, channels=16)


def rate_and_decay(groups):
    """What the groups say of each parameter."""
    return {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_every_parameter_is_in_exactly_one_group(model):
    grouped = [id(p) for group in parameter_groups(model, 1.0, 0.5, 0.1) for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters()}


def test_frozen_parameters_are_grouped_like_others_because_they_may_be_released(model):
    free = rate_and_decay(parameter_groups(model, 1.0, 0.5, 0.1))
    model.requires_grad_(False)
    assert rate_and_decay(parameter_groups(model, 1.0, 0.5, 0.1)) == free


def test_the_backbone_has_a_rate_of_its_own(model):
    found = rate_and_decay(parameter_groups(model, lr=1.0, backbone_lr=0.5, weight_decay=0.1))
    for name, parameter in model.named_parameters():
        assert found[id(parameter)][0] == (0.5 if name.startswith("backbone.") else 1.0)


def test_biases_and_normalisation_are_not_decayed(model):
    found = rate_and_decay(parameter_groups(model, 1.0, 0.5, weight_decay=0.1))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) > 10
    for module in (*norms, *convolutions):
        if module.bias is not None:
            assert found[id(module.bias)][1] == 0
    assert {found[id(module.weight)][1] for module in norms} == {0}
    assert {found[id(module.weight)][1] for module in convolutions} == {0.1}


def test_the_usual_rates_depend_on_the_start_of_the_backbone(model):
    found = rate_and_decay(parameter_groups(model))
    rate, backbone_rate = PRETRAINED_RATES if model.backbone.pretrained else RANDOM_RATES
    assert {found[id(p)][0] for p in model.backbone.parameters()} == {backbone_rate}
    assert {found[id(p)][0] for part in (model.neck, model.head) for p in part.parameters()} == {rate}


def test_a_rate_of_zero_is_not_the_usual_one(model):
    found = rate_and_decay(parameter_groups(model, lr=0.0, backbone_lr=0.0))
    assert {rate for rate, _ in found.values()} == {0.0}


def test_the_first_group_has_the_rate_of_neck_and_head(model):
    """Maximally interfered retrieval takes its step size from there."""
    assert parameter_groups(model, lr=1.0, backbone_lr=0.5)[0]["lr"] == 1.0


def test_a_strategy_starts_with_all_parameters_in_one_group(model):
    (group,) = starting_optimizer(model).param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in model.parameters()}


def test_a_pretrained_backbone_learns_slower_and_a_random_one_does_not():
    assert PRETRAINED_RATES[1] < PRETRAINED_RATES[0]
    assert RANDOM_RATES[1] == RANDOM_RATES[0]


def test_rates_and_decay_can_be_chosen(model):
    optimisation = Optimisation(lr=0.5, backbone_lr=0.25, weight_decay=0.125)
    strategy = SimpleNamespace(model=model, train_epochs=1, dataloader=range(20), adapted_dataset=pictures_of(SEG))
    optimisation.before_training_exp(strategy)
    groups = strategy.optimizer.param_groups
    assert {(group["initial_lr"], group["weight_decay"]) for group in groups} == {
        (rate, decay) for rate in (0.5, 0.25) for decay in (0.125, 0.0)
    }


def pictures_of(*tasks):
    return SimpleNamespace(targets_task_labels=SimpleNamespace(uniques=set(tasks)))


def learned_by(model):
    """The parts of the model that learn, and how many stages of the backbone do."""
    parts = {name: {p.requires_grad for p in part.parameters()} for name, part in model.named_children()}
    assert parts["neck"] == parts["head"] == {True}
    stages = [{p.requires_grad for p in stage.parameters()} for stage in model.backbone.features]
    assert all(len(flags) == 1 for flags in stages)
    return [flags == {True} for flags in stages]


@pytest.mark.parametrize(
    ("tasks", "free"),
    [((SEG,), 9), ((DET,), 9), ((CLS,), 0), ((SEG, CLS), 9), ((CLS, CLS_2), 0), (TASKS, 9)],
)
def test_a_pretrained_backbone_learns_beyond_stride_8_and_for_classification_not_at_all(tasks, free):
    model = OneHeadNet(LAYOUT, pretrained=True, channels=16)
    strategy = SimpleNamespace(model=model, train_epochs=1, dataloader=range(20), adapted_dataset=pictures_of(*tasks))
    optimisation = Optimisation()
    optimisation.before_training_exp(strategy)
    assert learned_by(model) == [False] * (13 - free) + [True] * free
    optimisation.after_training_exp(strategy)
    assert learned_by(model) == [True] * 13


@pytest.mark.parametrize("name", TAPS)
def test_what_is_frozen_of_every_backbone_ends_at_stride_8(name):
    backbone = OneHeadNet(LAYOUT, name, pretrained=True, channels=16).backbone
    assert backbone.stem(torch.zeros(1, 3, 64, 64)).shape == (1, backbone.channels[0], 8, 8)


def test_what_is_frozen_of_a_network_of_timm_ends_at_stride_8():
    model = OneHeadNet(LAYOUT, "timm:test_efficientnet", pretrained=True, channels=16)
    stages = tuple(f"backbone.features.{stage}." for stage in ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2"))
    wanted = [name for name, _ in model.named_parameters() if name.startswith(stages)]
    assert frozen(model, [SEG]) == wanted
    assert len(frozen(model, [CLS])) > len(wanted) > 10


def test_a_random_start_learns_everything():
    model = OneHeadNet(LAYOUT, channels=16)
    assert frozen(model, [CLS]) == frozen(model, [SEG]) == []


@pytest.mark.parametrize(("name", "frozen_in_the_end"), [("naive", 13), ("cumulative", 4), ("joint", 4)])
def test_what_is_frozen_goes_by_the_pictures_that_a_strategy_trains_on(name, frozen_in_the_end, data):
    seen = []

    class Look(SupervisedPlugin):
        def before_backward(self, strategy, **kwargs):
            seen.append(learned_by(strategy.model).count(False))

    model = OneHeadNet(data.layout, pretrained=True, channels=16)
    setting = Setting(
        model,
        model.layout,
        MultiTaskLoss(model.layout),
        evaluator(model.layout),
        torch.device("cpu"),
        *(20, 20, 4, 1),
        plugins=[Look()],
    )
    strategy = build(name, setting, {name: {}})
    stream = avalanche_benchmark(data, SIZE).train_stream
    for experience in [stream] if name == "joint" else stream:
        strategy.train(experience)
    assert seen[0] == 4
    assert seen[-1] == frozen_in_the_end


def test_what_a_method_froze_stays_frozen():
    model = OneHeadNet(LAYOUT, pretrained=True, channels=16)
    model.backbone.features[1].requires_grad_(False)
    strategy = SimpleNamespace(model=model, train_epochs=1, dataloader=range(20), adapted_dataset=pictures_of(CLS))
    optimisation = Optimisation()
    optimisation.before_training_exp(strategy)
    optimisation.after_training_exp(strategy)
    assert learned_by(model) == [True, False] + [True] * 11


def test_each_experience_begins_with_a_new_optimizer_of_fresh_state(watched):
    assert len({id(optimizer) for optimizer in watched.optimizers}) == 3
    assert all(type(optimizer) is AdamW for optimizer in watched.optimizers)
    assert watched.fresh == [True, True, True]


def test_the_new_optimizer_trains_the_whole_model(watched):
    for optimizer in watched.optimizers:
        counts = [sum(p.numel() for p in group["params"]) for group in optimizer.param_groups]
        assert sum(counts) == sum(p.numel() for group in watched.optimizers[0].param_groups for p in group["params"])


def test_the_rate_rises_falls_and_ends_at_zero_in_every_experience(watched):
    for rates, final in zip(watched.rates, watched.finals, strict=True):
        assert len(rates) == 20
        head = [rate[0] for rate in rates]
        assert head[0] < 0.5 * LR
        assert max(head) == pytest.approx(LR, rel=0.02)
        peak = head.index(max(head))
        assert peak == 1  # a twentieth of the steps
        assert head[peak:] == sorted(head[peak:], reverse=True)
        assert 0 < head[-1] < 0.02 * LR
        assert max(final) < 1e-9


def test_the_schedule_is_the_same_in_every_experience_with_replay_or_without(watched):
    assert watched.rates[0] == watched.rates[1] == watched.rates[2]


def test_the_schedule_spans_the_epochs_of_each_experience(data):
    watch = Watch()
    strategy = make(OneHeadNet(data.layout, channels=16), watch, train_mb_size=10)
    for experience, epochs in zip(avalanche_benchmark(data, SIZE).train_stream, (1, 2, 3), strict=True):
        strategy.train_epochs = epochs
        strategy.train(experience)
    assert [len(rates) for rates in watch.rates] == [2, 4, 6]
    assert all(max(final) < 1e-9 for final in watch.finals)


def test_all_groups_follow_the_schedule_from_their_own_rate(of_length):
    data = of_length(4)
    watch = Watch()
    model = OneHeadNet(data.layout, pretrained=True, channels=16)
    strategy = make(model, watch, optimisation=Optimisation(lr=LR, backbone_lr=LR / 8), train_mb_size=1)
    strategy.train(avalanche_benchmark(data, SIZE, ["cls"]).train_stream[0])
    for step, rates in enumerate(watch.rates[0]):
        factor = warmup_cosine(step / 4)
        assert rates == pytest.approx([factor * LR] * 2 + [factor * LR / 8] * 2)


def test_warm_up_and_cosine():
    assert 0 < warmup_cosine(0) < 0.2
    assert warmup_cosine(WARMUP) == 1
    assert warmup_cosine(WARMUP + (1 - WARMUP) / 2) == pytest.approx(0.5)
    assert warmup_cosine(1) == pytest.approx(0)
    assert warmup_cosine(1.5) == pytest.approx(0)
    values = [warmup_cosine(step / 1000) for step in range(1001)]
    peak = values.index(max(values))
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert max(abs(after - before) for before, after in pairwise(values)) < 0.03  # no jump


@pytest.mark.parametrize(("scale", "clipped"), [(1e6, True), (1e-3, False)])
def test_gradients_are_clipped_before_the_step(data, scale, clipped):
    norms = {}

    class Scaled(MultiTaskLoss):
        def __call__(self, output, target):
            return super().__call__(output, target) * scale

    def norm(model):
        return math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None))

    class Before(SupervisedPlugin):
        def before_update(self, strategy, **kwargs):
            norms["before"] = norm(strategy.model)

    class After(SupervisedPlugin):
        def before_update(self, strategy, **kwargs):
            norms["after"] = norm(strategy.model)

    model = OneHeadNet(data.layout, channels=16)
    strategy = make(model, After(), plugins=[Before()], criterion=Scaled(model.layout), train_mb_size=20)
    strategy.train(avalanche_benchmark(data, SIZE, ["seg"]).train_stream[0])
    if clipped:
        assert norms["before"] > 10 * CLIP_NORM
        assert norms["after"] == pytest.approx(CLIP_NORM, rel=1e-3)
    else:
        assert 0 < norms["before"] == norms["after"] < CLIP_NORM


def test_what_is_frozen_between_experiences_stands_still_and_moves_again_when_released(data):
    """Neither a stale gradient nor weight decay moves a frozen weight."""
    torch.manual_seed(0)
    model = OneHeadNet(data.layout, channels=16)
    strategy = make(model, train_mb_size=10)
    stream = avalanche_benchmark(data, SIZE).train_stream
    strategy.train(stream[0])
    last = model.head[-1].requires_grad_(False)
    before = last.weight.clone()
    strategy.train(stream[1])
    assert torch.equal(last.weight, before)
    last.requires_grad_(True)
    strategy.train(stream[2])
    assert not torch.equal(last.weight, before)


def test_any_strategy_of_avalanches_can_be_trained_with_it(data):
    watch = Watch()
    model = OneHeadNet(data.layout, channels=16)
    strategy = Naive(
        model=model,
        optimizer=starting_optimizer(model),
        criterion=MultiTaskLoss(model.layout),
        plugins=[Optimisation(lr=LR), watch],
        evaluator=evaluator(model.layout),
        train_mb_size=10,
    )
    strategy.train(avalanche_benchmark(data, SIZE, ["cls"]).train_stream[0])
    assert [rates[0] for rates in watch.rates[0]] == pytest.approx([warmup_cosine(step / 2) * LR for step in range(2)])
