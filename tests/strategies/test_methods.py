from collections import Counter

import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.core import SupervisedPlugin
from avalanche.training import plugins as avalanche_plugins
from avalanche.training import supervised
from avalanche.training.plugins.clock import Clock
from avalanche.training.plugins.from_scratch_training import FromScratchTrainingPlugin
from avalanche.training.supervised.lamaml import LaMAML as AvalancheLaMAML
from avalanche.training.templates.base_sgd import PeriodicEval
from torch import nn

from onehead_avl.kinds import KINDS
from onehead_avl.target import Target
from strategies.distillation import Distillation
from strategies.isolation import Isolation
from strategies.memory import RestingReplay, SegmentationBuffer
from strategies.multitask import MultiTask
from strategies.named import STRATEGIES
from strategies.optimisation import FreshViews, Optimisation
from strategies.outlines import Outlines

pytestmark = pytest.mark.filterwarnings(
    "ignore:No loggers specified",
    "ignore:Avalanche is transitioning",
    "ignore:__array_wrap__ must accept",
)

SEG, DET, CLS = TASKS = range(3)
SEG_1, SEG_2 = 0, 2
"""The task labels of three experiences, and those of segmentation among four."""

COMBINATIONS = (
    "replay+lwf",
    "replay+ewc",
    "lwf+ewc",
    "distillation+feature-distillation",
    "lfl+feature-distillation",
    "mir+feature-distillation",
    "mir+lfl",
)

WHOLE = {
    "joint": supervised.JointTraining,
    "cumulative": supervised.Cumulative,
    "der": supervised.DER,
    "derpp": supervised.DER,
    "lamaml": AvalancheLaMAML,
}
"""Avalanche's strategies, by our names."""

PLUGINS = {
    "naive": (),
    "from-scratch": (FromScratchTrainingPlugin,),
    "replay": (avalanche_plugins.ReplayPlugin,),
    "onehead": (Isolation, avalanche_plugins.ReplayPlugin, Distillation, Outlines),
    "distillation": (Distillation,),
    "isolation": (Isolation,),
    "replay-all": (avalanche_plugins.ReplayPlugin,),
    "ewc": (avalanche_plugins.EWCPlugin,),
    "ewc-online": (avalanche_plugins.EWCPlugin,),
    "si": (avalanche_plugins.SynapticIntelligencePlugin,),
    "mas": (avalanche_plugins.MASPlugin,),
    "rwalk": (avalanche_plugins.RWalkPlugin,),
    "lwf": (avalanche_plugins.LwFPlugin,),
    "lfl": (avalanche_plugins.LFLPlugin,),
    "feature-distillation": (avalanche_plugins.FeatureDistillationPlugin,),
    "gem": (avalanche_plugins.GEMPlugin,),
    "agem": (avalanche_plugins.AGEMPlugin,),
    "gdumb": (avalanche_plugins.GDumbPlugin,),
    "mir": (avalanche_plugins.MIRPlugin,),
    "rar": (avalanche_plugins.RARPlugin,),
    "cwr-star": (avalanche_plugins.CWRStarPlugin,),
}
"""What a multi-task strategy is given, by our names: Avalanche's own wherever Avalanche has one."""

REPLAYING = ("replay", "onehead", "lamaml", "replay+lwf")

_MOMENTARY = ("model", "experience", "dataloader", "adapted_dataset", "mbatch", "evaluator", "optimizer")


def options_for(name):
    return ["rwalk.delta=2"] if "rwalk" in name else []  # no more than there are iterations


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def moved(model, start):
    """The parts of a model that are not as they were, or that it did not have."""
    state = model.state_dict().items()
    return {name.split(".")[0] for name, value in state if name not in start or not torch.equal(value, start[name])}


def learning_parts(*methods):
    """The parts of a model that these methods change."""
    return {"backbone", "neck", "head"} | ({"columns"} if any(method.grows for method in methods) else set())


def plugins_of(strategy):
    """The plugins that make the method."""
    around = Optimisation | FreshViews | avalanche_plugins.EvaluationPlugin | Clock | PeriodicEval
    return [each for each in strategy.plugins if not isinstance(each, around)]


def kept_tasks(strategy):
    """The task labels of all samples that can be reached from a strategy and its plugins and outlive an experience."""
    found, done = set(), set()
    left = [value for name, value in vars(strategy).items() if name not in _MOMENTARY]
    while left:
        value = left.pop()
        if id(value) in done or isinstance(value, torch.Tensor | nn.Module | torch.utils.data.DataLoader):
            continue
        done.add(id(value))
        if isinstance(value, AvalancheDataset):
            found |= {int(value[i][1].task) for i in range(len(value))}
        elif isinstance(value, Target):
            found |= set(value.task.tolist())
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list | tuple | set):
            left += value
        elif value is not strategy:
            left += getattr(value, "__dict__", {}).values()
    return found


@pytest.mark.parametrize("name", [*STRATEGIES, *COMBINATIONS])
def test_every_strategy_learns_the_stream_and_keeps_what_the_table_says(name, built, learn, steps):
    strategy = built(name, *options_for(name), replay_size=24)  # a place for each channel, as balanced memories need
    strategy.plugins.append(steps)
    start = copy_of(strategy.model)
    learn(strategy)
    assert all(value.isfinite().all() for value in strategy.model.state_dict().values())
    methods = [STRATEGIES[part] for part in name.split("+")]
    assert moved(strategy.model, start) == learning_parts(*methods)
    kept = kept_tasks(strategy)
    if not any(method.breaks for method in methods):
        segmentation = any("segmentation samples" in method.stores for method in methods)
        assert kept == ({SEG} if segmentation else set())
        assert_challenge(steps, segmentation)
    elif any("memory" in method.breaks for method in methods):
        assert kept > {SEG}
    if name == "joint":
        assert all({task for task, _ in step.pictures} == set(TASKS) for step in steps.seen)
    if name == "cumulative":
        for step in steps.seen:
            assert {task for task, _ in step.pictures} == set(TASKS[: step.experience + 1])


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_learns_four_experiences_with_two_of_one_kind(name, built, learn, four, steps_of):
    strategy = built(name, *options_for(name), of=four, replay_size=48)
    steps = steps_of(four)
    strategy.plugins.append(steps)
    start = copy_of(strategy.model)
    learn(strategy, of=four)
    assert all(value.isfinite().all() for value in strategy.model.state_dict().values())
    method = STRATEGIES[name]
    assert moved(strategy.model, start) == learning_parts(method)
    if not method.breaks:
        segmentation = "segmentation samples" in method.stores
        assert kept_tasks(strategy) == ({SEG_1, SEG_2} if segmentation else set())
        for experience, pictures in steps.seen:
            others = {task for task, _ in pictures if task != experience}
            assert others <= ({SEG_1, SEG_2} & set(range(experience)) if segmentation else set())
    elif "memory" in method.breaks:
        assert kept_tasks(strategy) > {SEG_1, SEG_2}


def assert_challenge(steps, replayed):
    """Beside the task of an experience there are only samples of segmentation, two a minibatch, or none at all."""
    experiences = Counter()
    for experience, pictures in steps.seen:
        others = [picture for picture in pictures if picture[0] != experience]
        assert {other for other, _ in others} <= {SEG}
        assert len(others) == (2 if replayed and experience > 0 else 0)
        experiences[experience] += len(pictures) - len(others)
    assert experiences == {0: 8, 1: 8, 2: 8}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_avalanches_wherever_it_has_one(name, built):
    strategy = built(name, *options_for(name))
    if name in WHOLE:
        assert isinstance(strategy, WHOLE[name])
        assert STRATEGIES[name].whole
    else:
        assert type(strategy) is MultiTask
        own = plugins_of(strategy)
        assert len(own) == len(PLUGINS[name])
        assert all(isinstance(plugin, expected) for plugin, expected in zip(own, PLUGINS[name], strict=True))


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_but_lamaml_is_updated_by_the_same_recipe_last(name, built):
    strategy = built(name, *options_for(name))
    recipes = [type(plugin) for plugin in strategy.plugins if isinstance(plugin, Optimisation)]
    if name == "lamaml":
        assert recipes == []  # it learns its own step sizes
    else:
        assert recipes == [Optimisation]
        rank = list(map(type, strategy.plugins)).index(Optimisation)
        assert not any(type(plugin) in PLUGINS.get(name, ()) for plugin in strategy.plugins[rank:])


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_given_the_setting(name, built):
    class Mark(SupervisedPlugin):
        pass

    mark = Mark()
    strategy = built(name, *options_for(name), plugins=[mark], train_mb_size=5, eval_mb_size=3)
    assert (strategy.train_mb_size, strategy.eval_mb_size) == (5, 3)
    assert strategy.plugins.count(mark) == 1
    assert isinstance(strategy._criterion, type(built("naive")._criterion))


@pytest.mark.parametrize("name", sorted({*PLUGINS} - {"naive"}))
def test_each_strategy_has_plugins_of_its_own(name, built):
    # Both lists are kept: the place of a plugin that is gone may be that of a new one.
    one, other = (plugins_of(built(name)) for _ in range(2))
    assert one
    assert not {id(plugin) for plugin in one} & {id(plugin) for plugin in other}


@pytest.mark.parametrize(
    ("name", "option", "value", "attribute"),
    [
        ("ewc", "lambda", 7.0, "ewc_lambda"),
        ("ewc-online", "lambda", 7.0, "ewc_lambda"),
        ("ewc-online", "decay", 0.25, "decay_factor"),
        ("si", "lambda", 7.0, "si_lambda"),
        ("mas", "lambda", 7.0, "_lambda"),
        ("mas", "alpha", 0.25, "alpha"),
        ("rwalk", "lambda", 7.0, "ewc_lambda"),
        ("rwalk", "alpha", 0.25, "ewc_alpha"),
        ("rwalk", "delta", 3, "delta_t"),
        ("lwf", "alpha", 7.0, "lwf.alpha"),
        ("lwf", "temperature", 4.0, "lwf.temperature"),
        ("lfl", "lambda", 7.0, "lambda_e"),
        ("feature-distillation", "alpha", 7.0, "alpha"),
        ("gem", "patterns", 3, "patterns_per_experience"),
        ("gem", "strength", 0.25, "memory_strength"),
        ("agem", "patterns", 3, "patterns_per_experience"),
        ("agem", "sample", 4, "sample_size"),
        ("mir", "subsample", 5, "subsample"),
        ("der", "alpha", 0.25, "alpha"),
        ("derpp", "alpha", 0.25, "alpha"),
        ("derpp", "beta", 0.125, "beta"),
        ("lamaml", "updates", 3, "n_inner_updates"),
        ("lamaml", "rate", 0.25, "alpha_init"),
        ("lamaml", "rate", 0.25, "lr_alpha"),
    ],
)
def test_options_reach_the_method(name, option, value, attribute, built):
    def found(*options):
        strategy = built(name, *options)
        value = strategy if name in WHOLE else plugins_of(strategy)[0]
        for part in attribute.split("."):
            value = getattr(value, part)
        return value[0] if isinstance(value, list) else value

    assert found() == STRATEGIES[name].options[option] != value
    assert found(f"{name}.{option}={value}") == value


@pytest.mark.parametrize("name", ["distillation", "onehead"])
def test_each_kind_has_its_own_weight_of_distillation(name, built):
    weights = [f"{name}.{kind}={number}" for number, kind in enumerate(KINDS, start=3)]
    plugin = plugins_of(built(name, *weights, f"{name}.features=6"))[PLUGINS[name].index(Distillation)]
    assert plugin._weights == {"segmentation": 3, "detection": 4, "classification": 5}
    assert plugin._features_weight == 6


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("replay", {"mem_size": 30, "batch_size_mem": 5}),
        ("replay-all", {"mem_size": 30, "batch_size_mem": 5}),
        ("onehead", {"mem_size": 30, "batch_size_mem": 5}),
        ("gdumb", {"mem_size": 30}),
        ("mir", {"mem_size": 30, "batch_size_mem": 5}),
        ("rar", {"mem_size": 30}),
        ("der", {"mem_size": 30, "batch_size_mem": 5}),
        ("derpp", {"mem_size": 30, "batch_size_mem": 5}),
    ],
)
def test_memories_have_the_size_of_the_setting(name, attributes, built):
    strategy = built(name, replay_size=30, replay_batch=5)
    holder = strategy if name in WHOLE else plugins_of(strategy)[1 if name == "onehead" else 0]
    assert {key: getattr(holder, key) for key in attributes} == attributes
    policy = getattr(holder, "storage_policy", None)
    assert policy is None or policy.max_size == 30


@pytest.mark.parametrize("name", REPLAYING)
def test_what_the_challenge_allows_to_replay_comes_from_a_memory_of_segmentation(name, built, four):
    (plugin,) = (each for each in plugins_of(built(name)) if isinstance(each, avalanche_plugins.ReplayPlugin))
    assert type(plugin) is (RestingReplay if name == "onehead" else avalanche_plugins.ReplayPlugin)
    assert type(plugin.storage_policy) is SegmentationBuffer
    assert plugin.batch_size is None  # as many of the current task as without replay
    assert plugin.storage_policy._tasks == [SEG]
    (of_four,) = (each for each in plugins_of(built(name, of=four)) if isinstance(each, avalanche_plugins.ReplayPlugin))
    assert of_four.storage_policy._tasks == [SEG_1, SEG_2]


def test_der_ignores_annotations_and_derpp_does_not(built):
    assert built("der").beta == 0
    assert built("derpp").beta > 0


def test_ewc_online_has_one_penalty_and_ewc_one_for_each_task(built):
    (separate,), (online,) = plugins_of(built("ewc")), plugins_of(built("ewc-online"))
    assert (separate.mode, online.mode) == ("separate", "online")


def test_lamaml_is_of_the_first_order(built):
    assert built("lamaml").second_order is False


def test_rar_has_no_adversarial_samples(built):
    (plugin,) = plugins_of(built("rar"))
    assert plugin.use_adversarial_replay is False


def test_naive_is_the_multi_task_strategy_without_plugins(built, setting, learn):
    given = setting()
    learn(MultiTask(**given.arguments()))
    assert same(copy_of(learn(built("naive")).model), given.model.state_dict())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("distillation", [f"distillation.{kind}=0" for kind in KINDS]),
        ("lwf", ["lwf.alpha=0"]),
        ("feature-distillation", ["feature-distillation.alpha=0"]),
    ],
)
def test_a_method_of_weight_zero_is_fine_tuning(name, options, built, learn):
    naive = learn(built("naive")).model.state_dict()
    assert same(copy_of(learn(built(name, *options)).model), naive)
    assert not same(copy_of(learn(built(name)).model), naive)


class Reseed(SupervisedPlugin):
    """Gives each experience random numbers of its own, and keeps the weights it starts and ends with."""

    def __init__(self):
        super().__init__()
        self.starts, self.ends = [], []

    def before_training_exp(self, strategy, **kwargs):
        torch.manual_seed(10 + strategy.experience.current_experience)
        self.starts.append(copy_of(strategy.model))

    def after_training_exp(self, strategy, **kwargs):
        self.ends.append(copy_of(strategy.model))


def test_from_scratch_learns_each_task_as_if_alone(built, learn):
    scratch, alone, naive = Reseed(), Reseed(), Reseed()
    strategy = built("from-scratch", plugins=[scratch])
    start = copy_of(strategy.model)
    learn(strategy)
    learn(built("naive", plugins=[naive]))
    for experience in range(3):
        learn(built("naive", plugins=[alone]), experience)
    assert all(same(weights, start) for weights in scratch.starts)
    for ours, theirs in zip(scratch.ends, alone.ends, strict=True):
        assert same(ours, theirs)
    assert not same(naive.ends[1], alone.ends[1])


def test_replay_never_exceeds_the_share_of_a_minibatch_it_was_given(built, learn, steps):
    strategy = built("replay", replay_size=5, replay_batch=3)
    strategy.plugins.append(steps)
    learn(strategy)
    replayed = [[picture for picture in pictures if picture[0] != experience] for experience, pictures in steps.seen]
    assert max(map(len, replayed)) == 3
    assert {task for pictures in replayed for task, _ in pictures} == {SEG}
    assert len({picture for pictures in replayed for picture in pictures}) <= 5
