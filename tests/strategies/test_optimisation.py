import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.supervised import Naive
from avalanche.training.templates.base import BaseTemplate
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ExponentialLR

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
    optimisation_of,
    parameter_groups,
    starting_optimizer,
    warmup_cosine,
    whose,
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
    strategy = strategy_of(model, SEG)
    optimisation.before_training_exp(strategy)
    groups = strategy.optimizer.param_groups
    assert {(group["initial_lr"], group["weight_decay"]) for group in groups} == {
        (rate, decay) for rate in (0.5, 0.25) for decay in (0.125, 0.0)
    }


def strategy_of(model, *tasks):
    """A strategy that is about to learn pictures with these task labels, an epoch of twenty steps."""
    return SimpleNamespace(
        model=model,
        optimizer=starting_optimizer(model),
        train_epochs=1,
        dataloader=range(20),
        adapted_dataset=SimpleNamespace(targets_task_labels=SimpleNamespace(uniques=set(tasks))),
    )


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
    strategy = strategy_of(model, *tasks)
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
    strategy = strategy_of(model, CLS)
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


# Whose optimizer it is


def half(optimizer):
    return ExponentialLR(optimizer, gamma=0.5)


@pytest.fixture
def trained_by(data):
    """A strategy whose optimizer is what a function makes of the network and of the one that it is handed."""

    def trained_by(chosen, *watching):
        model = OneHeadNet(data.layout, pretrained=True, channels=16)
        optimisation = Optimisation()
        strategy = Naive(
            model=model,
            optimizer=chosen(model, starting_optimizer(model)),
            criterion=MultiTaskLoss(model.layout),
            plugins=[optimisation],
            evaluator=evaluator(model.layout),
            train_mb_size=10,
        )
        strategy.plugins += watching
        return strategy, optimisation

    return trained_by


def scheduled(model, handed):
    half(handed)
    return handed


OWN = {
    "another optimizer": (lambda model, handed: SGD(model.parameters(), lr=0.1, momentum=0.9), "SGD"),
    "another of the same make": (lambda model, handed: AdamW(model.parameters(), lr=0.1), "AdamW"),
    "a schedule for the one that was handed": (scheduled, "AdamW"),
}


def test_the_optimizer_that_is_handed_is_left_to_it(trained_by, data):
    strategy, optimisation = trained_by(lambda model, handed: handed)
    assert optimisation.is_used(strategy)
    assert optimisation_of(strategy) is optimisation
    assert whose(strategy) == {"by": "benchmark", "optimizer": "AdamW"}
    strategy.train(avalanche_benchmark(data, SIZE, ["cls"]).train_stream[0])
    assert optimisation.is_used(strategy)
    assert whose(strategy) == {"by": "benchmark", "optimizer": "AdamW"}
    assert type(strategy.optimizer) is AdamW


@pytest.mark.parametrize(("chosen", "name"), OWN.values(), ids=OWN)
def test_it_stands_aside_for_what_a_strategy_chose_itself(trained_by, data, chosen, name):
    learned = []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            learned.append(learned_by(strategy.model).count(True))

    watch = Watch()
    strategy, optimisation = trained_by(chosen, watch, Look())
    own, rate = strategy.optimizer, strategy.optimizer.param_groups[0]["lr"]
    for _ in range(2):
        assert not optimisation.is_used(strategy)
        assert optimisation_of(strategy) is None
        assert whose(strategy) == {"by": "strategy", "optimizer": name}
        strategy.train(avalanche_benchmark(data, SIZE, ["cls"]).train_stream[0])
    assert watch.optimizers == [own, own]
    assert watch.rates == [[[rate]] * 2] * 2  # the schedule makes no step: nobody else does
    assert set(learned) == {13}  # and all stages of a pretrained backbone learn


def test_the_gradients_of_a_strategy_with_an_optimizer_of_its_own_are_not_clipped(data):
    norms = []

    class Loud(MultiTaskLoss):
        def __call__(self, output, target):
            return 1e6 * super().__call__(output, target)

    class Look(SupervisedPlugin):
        def before_update(self, strategy, **kwargs):
            norms.append(nn.utils.get_total_norm([p.grad for p in strategy.model.parameters() if p.grad is not None]))

    model = OneHeadNet(data.layout, channels=16)
    own = SGD(model.parameters(), lr=0.0)
    strategy = make(model, Look(), optimizer=own, criterion=Loud(model.layout), train_mb_size=20)
    strategy.train(avalanche_benchmark(data, SIZE, ["seg"]).train_stream[0])
    assert norms[0] > 10 * CLIP_NORM


def test_it_stands_aside_for_an_optimizer_that_takes_its_place_later(trained_by, data):
    class Replaces(SupervisedPlugin):
        def before_training_epoch(self, strategy, **kwargs):
            strategy.optimizer = SGD(strategy.model.parameters(), lr=0.25)

    strategy, optimisation = trained_by(lambda model, handed: handed, Replaces())
    for experience in avalanche_benchmark(data, SIZE).train_stream[:2]:
        strategy.train(experience)
        assert whose(strategy) == {"by": "strategy", "optimizer": "SGD"}
        assert not optimisation.is_used(strategy)
        assert strategy.optimizer.param_groups[0]["lr"] == 0.25
        assert learned_by(strategy.model) == [True] * 13  # what it froze before that is released


def test_a_strategy_without_an_optimizer_is_not_trained_by_it(setting):
    class Alone(BaseTemplate):
        """Learns in some other way."""

    optimisation = Optimisation()
    with pytest.warns(UserWarning, match="incompatible callbacks"):  # of this plugin, which has more than it can hear
        strategy = Alone(model=setting().model, plugins=[optimisation])
    assert not optimisation.is_used(strategy)
    assert whose(strategy) == {"by": "strategy", "optimizer": "none"}
    strategy.optimizer = None
    assert not optimisation.is_used(strategy)


def test_a_strategy_without_the_plugin_trains_by_itself(data):
    model = OneHeadNet(data.layout, channels=16)
    sizes = {"train_mb_size": 4, "evaluator": evaluator(model.layout)}
    strategy = Naive(model=model, optimizer=starting_optimizer(model), criterion=MultiTaskLoss(model.layout), **sizes)
    assert optimisation_of(strategy) is None
    assert whose(strategy) == {"by": "strategy", "optimizer": "AdamW"}


# What is frozen by choice


@pytest.mark.parametrize(("freeze", "learned"), [("none", 13), ("stem", 9), ("backbone", 0)])
@pytest.mark.parametrize("task", [SEG, CLS])
def test_what_is_frozen_can_be_chosen_whatever_the_start_and_the_kind(model, freeze, learned, task):
    strategy = strategy_of(model, task)
    optimisation = Optimisation(freeze=freeze)
    optimisation.before_training_exp(strategy)
    assert learned_by(model) == [False] * (13 - learned) + [True] * learned
    optimisation.after_training_exp(strategy)
    assert learned_by(model) == [True] * 13


def test_a_wrapped_network_is_frozen_as_it_is_without(model):
    for freeze in ("usual", "none", "stem", "backbone"):
        inside = [f"module.{name}" for name in frozen(model, [CLS], freeze)]
        assert frozen(nn.DataParallel(model), [CLS], freeze) == inside


@pytest.mark.parametrize("freeze", ["usual", "none", "stem", "backbone"])
def test_a_network_without_a_backbone_has_nothing_to_freeze_and_one_rate(freeze):
    model = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.GroupNorm(2, 8), nn.Conv2d(8, LAYOUT.channels, 1))
    assert frozen(model, [CLS], freeze) == []
    usual = rate_and_decay(parameter_groups(model))
    assert {rate for rate, _ in usual.values()} == {RANDOM_RATES[0]}
    found = rate_and_decay(parameter_groups(model, lr=1.0, backbone_lr=0.5, weight_decay=0.1))
    assert found == {
        id(parameter): (1.0, 0.1 if name in ("0.weight", "2.weight") else 0.0)
        for name, parameter in model.named_parameters()
    }


def test_a_backbone_of_ones_own_is_frozen_and_has_its_own_rate():
    model = nn.Module()
    model.backbone, model.head = nn.Conv2d(3, 8, 8, stride=8), nn.Conv2d(8, LAYOUT.channels, 1)
    assert frozen(model, [CLS], "backbone") == ["backbone.weight", "backbone.bias"]
    assert frozen(model, [CLS], "stem") == frozen(model, [CLS]) == []
    found = rate_and_decay(parameter_groups(model, lr=1.0, backbone_lr=0.5))
    assert {name: found[id(p)][0] for name, p in model.named_parameters()} == {
        **{"backbone.weight": 0.5, "backbone.bias": 0.5, "head.weight": 1.0, "head.bias": 1.0},
    }


# Strategies that make other steps of their minibatches


class StepsSeldom(Naive):
    """Sums the gradients of four minibatches and then makes a step, in the template's loop."""

    def optimizer_step(self):
        if self.clock.train_exp_iterations % 4 == 3:
            super().optimizer_step()


class UpdatesSeldom(Naive):
    """The same in a loop of its own, in which there is an update with every fourth minibatch only."""

    def training_epoch(self, **kwargs):
        for number, batch in enumerate(self.dataloader):
            self.mbatch = batch
            self._unpack_minibatch()
            self._before_training_iteration(**kwargs)
            self.loss = self._make_empty_loss()
            self._before_forward(**kwargs)
            self.mb_output = self.forward()
            self._after_forward(**kwargs)
            self.loss += self.criterion()
            self._before_backward(**kwargs)
            self.backward()
            self._after_backward(**kwargs)
            if number % 4 == 3:
                self._before_update(**kwargs)
                self.optimizer_step()
                self._after_update(**kwargs)
                self.optimizer.zero_grad()
            self._after_training_iteration(**kwargs)


class IteratesUnseen(Naive):
    """Tells nobody of its minibatches."""

    def training_epoch(self, **kwargs):
        for batch in self.dataloader:
            self.mbatch = batch
            self._unpack_minibatch()
            self.optimizer.zero_grad()
            self.mb_output = self.forward()
            self.loss = self.criterion()
            self.backward()
            self.optimizer_step()


@pytest.mark.parametrize("template", [Naive, StepsSeldom, UpdatesSeldom, IteratesUnseen])
def test_the_rate_ends_at_zero_however_many_updates_a_strategy_makes(data, template):
    rates = []

    class AfterEpochs(SupervisedPlugin):
        def after_training_epoch(self, strategy, **kwargs):
            rates.append(strategy.optimizer.param_groups[0]["lr"])

    model = OneHeadNet(data.layout, channels=16)
    strategy = template(
        model=model,
        optimizer=starting_optimizer(model),
        criterion=MultiTaskLoss(model.layout),
        plugins=[Optimisation(lr=LR), AfterEpochs()],
        evaluator=evaluator(model.layout),
        train_mb_size=5,
        train_epochs=2,
    )
    for experience in avalanche_benchmark(data, SIZE, ["cls", "seg"]).train_stream:
        strategy.train(experience)
    assert rates == pytest.approx([warmup_cosine(0.5) * LR, 0.0] * 2, abs=1e-12)


@pytest.mark.parametrize("template", [StepsSeldom, UpdatesSeldom])
def test_the_steps_of_summed_gradients_have_the_rates_of_their_minibatches(data, template):
    rates = []

    class Noted(template):
        def optimizer_step(self):
            before = self.model.head[-1].bias.clone()
            super().optimizer_step()
            if not torch.equal(before, self.model.head[-1].bias):
                rates.append(self.optimizer.param_groups[0]["lr"])

    model = OneHeadNet(data.layout, channels=16)
    strategy = Noted(
        model=model,
        optimizer=starting_optimizer(model),
        criterion=MultiTaskLoss(model.layout),
        plugins=[Optimisation(lr=LR)],
        evaluator=evaluator(model.layout),
        train_mb_size=5,
        train_epochs=2,
    )
    strategy.train(avalanche_benchmark(data, SIZE, ["cls"]).train_stream[0])
    assert rates == pytest.approx([warmup_cosine(step / 8) * LR for step in (3, 7)])


@pytest.mark.parametrize(("numbers", "fused"), [(torch.float32, True), (torch.int64, False)])
def test_weights_are_updated_in_one_pass_if_all_are_floats(numbers, fused):
    """PyTorch refuses the one pass for others, even if they do not learn."""
    model = nn.Linear(2, 1)
    model.counted = nn.Parameter(torch.ones(1, dtype=numbers), requires_grad=False)
    optimizer = Optimisation().optimizer(model)
    before = model.weight.clone()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer.defaults["fused"] is fused
    assert not torch.equal(model.weight, before)
    assert all(group["initial_lr"] == group["lr"] > 0 for group in optimizer.param_groups)
