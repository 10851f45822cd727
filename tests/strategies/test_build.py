from dataclasses import replace
from pathlib import Path

import pytest
from avalanche.training import plugins as avalanche_plugins
from avalanche.training import supervised
from torch import nn

from onehead_avl.errors import UsageError
from strategies.attached import import_plugins
from strategies.build import build
from strategies.distillation import Distillation
from strategies.hyperparameters import options_of
from strategies.isolation import Isolation
from strategies.memory import RestingReplay
from strategies.multitask import MultiTask
from strategies.optimisation import Optimisation, optimisation_of

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


def sentence_of(call, *arguments):
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def indices(strategy, *kinds):
    """The positions of plugins, each the only one of its kind."""
    found = [[i for i, plugin in enumerate(strategy.plugins) if isinstance(plugin, kind)] for kind in kinds]
    assert all(len(positions) == 1 for positions in found)
    return [positions[0] for positions in found]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("replay+lwf", [avalanche_plugins.ReplayPlugin, avalanche_plugins.LwFPlugin]),
        ("lwf+replay", [avalanche_plugins.LwFPlugin, avalanche_plugins.ReplayPlugin]),
        ("ewc+si+mas", [avalanche_plugins.EWCPlugin, avalanche_plugins.SynapticIntelligencePlugin]),
        ("onehead", [Isolation, RestingReplay, Distillation]),
        ("lwf+isolation", [Isolation, avalanche_plugins.LwFPlugin]),
    ],
)
def test_a_combination_is_all_its_plugins_in_order_and_then_the_optimisation(name, kinds, built):
    strategy = built(name)
    assert type(strategy) is MultiTask
    order = indices(strategy, *kinds, Optimisation)
    assert order == sorted(order)


def test_options_go_to_their_own_part_of_a_combination(built):
    strategy = built("ewc+lwf", "ewc.lambda=7", "lwf.alpha=0.25")
    ewc, lwf = (
        strategy.plugins[i] for i in indices(strategy, avalanche_plugins.EWCPlugin, avalanche_plugins.LwFPlugin)
    )
    assert (ewc.ewc_lambda, lwf.lwf.alpha) == (7, 0.25)


@pytest.mark.parametrize(
    ("path", "options", "plugin", "attributes"),
    [
        ("avalanche.training.supervised:Naive", [], None, {}),
        (
            "avalanche.training.supervised:AGEM",
            ["AGEM.patterns_per_exp=4", "AGEM.sample_size=3"],
            avalanche_plugins.AGEMPlugin,
            {"patterns_per_experience": 4, "sample_size": 3},
        ),
        (
            "avalanche.training.supervised:EWC",
            ["EWC.ewc_lambda=0.5", "EWC.mode=online", "EWC.decay_factor=0.1"],
            avalanche_plugins.EWCPlugin,
            {"ewc_lambda": 0.5, "mode": "online", "decay_factor": 0.1},
        ),
    ],
)
def test_a_strategy_of_avalanches_that_nobody_named_learns_the_stream(path, options, plugin, attributes, built, learn):
    strategy = built(path, *options)
    assert type(strategy) is getattr(supervised, path.rpartition(":")[2])
    if plugin is not None:
        (position,) = indices(strategy, plugin)
        assert {key: getattr(strategy.plugins[position], key) for key in attributes} == attributes
    before = strategy.model.head[-1].weight.clone()
    learn(strategy)
    assert len(strategy.optimizer.param_groups) == 4  # of the usual optimisation
    assert all(value.isfinite().all() for value in strategy.model.state_dict().values())
    assert not strategy.model.head[-1].weight.equal(before)


def test_a_class_of_a_module_in_the_working_directory_is_built(write, built, learn):
    write(
        "my_strategies",
        """
        from avalanche.training.supervised import Naive

        class Mine(Naive):
            def __init__(self, *, strength, name="usual", **arguments):
                super().__init__(**arguments)
                self.strength, self.name = strength, name
        """,
    )
    strategy = built("my_strategies:Mine", "Mine.strength=0.5", "Mine.name=other")
    assert type(strategy).__name__ == "Mine"
    assert (strategy.strength, strategy.name) == (0.5, "other")
    assert strategy.train_mb_size == 4
    learn(strategy, 2)


def test_a_multi_task_strategy_of_the_users_is_optimised_once(write, built):
    write("mine", "from strategies.multitask import MultiTask\n\nclass Mine(MultiTask):\n    pass\n")
    indices(built("mine:Mine"), Optimisation)


def test_a_function_that_returns_a_strategy_will_do(write, built):
    write(
        "factory",
        """
        from strategies.multitask import MultiTask

        def make(optimizer, plugins, epochs=1, **arguments):
            return MultiTask(optimizer=optimizer, plugins=plugins, train_epochs=epochs, **arguments)
        """,
    )
    strategy = built("factory:make", "make.epochs=3")
    assert type(strategy) is MultiTask
    assert strategy.train_epochs == 3
    indices(strategy, Optimisation)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module:Thing", "the module 'no_such_module' cannot be imported ("),
        ("avalanche.training.supervised:Nonsense", "expected 'Nonsense' in module 'avalanche.training.supervised' ("),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(path, reason, built):
    assert sentence_of(built, path).startswith(f"{path}: {reason}")


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("avalanche.training.supervised:Naive", ["Naive.nonsense=1"], "unexpected keyword argument: nonsense"),
        ("string:capwords", [], "unexpected keyword argument"),
        ("math:pi", [], "not callable"),
    ],
)
def test_what_does_not_take_the_arguments_is_one_sentence(path, options, reason, built):
    sentence = sentence_of(built, path, *options)
    assert sentence.startswith(f"{path} cannot be called with model, optimizer, ")
    assert reason in sentence
    assert "--set" in sentence


def test_what_returns_no_strategy_is_one_sentence(write, built):
    write("factory", "def make(**arguments):\n    return 3\n")
    assert sentence_of(built, "factory:make") == "factory:make: expected a strategy of Avalanche's, found int"


def test_the_users_plugins_are_built_from_import_paths(setting, learn, built):
    paths = ["avalanche.training.plugins:EWCPlugin", "avalanche.training.plugins:LwFPlugin"]
    options, wrong = options_of(["naive", *paths], ["EWCPlugin.ewc_lambda=7", "LwFPlugin.alpha=0.5"])
    assert wrong == []
    plugins = import_plugins(paths, options)
    assert [type(plugin) for plugin in plugins] == [avalanche_plugins.EWCPlugin, avalanche_plugins.LwFPlugin]
    assert (plugins[0].ewc_lambda, plugins[1].lwf.alpha) == (7, 0.5)
    strategy = build("naive", setting(plugins=plugins), options)
    learn(strategy, 0, 1)
    assert len(plugins[0].importances) == 2
    assert plugins[1].lwf.prev_model is not None


def test_no_paths_are_no_plugins():
    assert import_plugins([], {}) == []


def test_a_plugin_that_lacks_an_option_is_one_sentence():
    path = "avalanche.training.plugins:EWCPlugin"
    sentence = sentence_of(import_plugins, [path], {"EWCPlugin": {}})
    assert sentence.startswith(f"{path} cannot be called with no arguments (")
    assert "ewc_lambda" in sentence


@pytest.mark.parametrize(("path", "kind"), [("collections:OrderedDict", "OrderedDict"), ("io:StringIO", "StringIO")])
def test_what_is_no_plugin_is_one_sentence(path, kind):
    assert sentence_of(import_plugins, [path], {}) == f"{path}: expected a plugin of Avalanche's, found {kind}"


def test_plugins_that_are_not_there_are_one_sentence():
    assert "cannot be imported" in sentence_of(import_plugins, ["nothing:Plugin"], {})
    assert "found no such name" in sentence_of(import_plugins, ["avalanche.training.plugins:Nonsense"], {})


@pytest.mark.parametrize(
    ("name", "plugins", "own"),
    [("examples.stay_near:StayNear", [], "StayNear"), ("naive", ["examples.stay_near:Pull"], "Pull")],
)
def test_the_example_pulls_weights_back(setting, learn, monkeypatch, name, plugins, own):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])

    def distance(strength):
        options, wrong = options_of([name, *plugins], [f"{own}.strength={strength}"])
        assert wrong == []
        strategy = build(name, setting(plugins=import_plugins(plugins, options)), options)
        old = [weight.detach().clone() for weight in learn(strategy, 0).model.parameters()]
        new = learn(strategy, 1).model.parameters()
        return sum(float((now.detach() - before).square().sum()) for now, before in zip(new, old, strict=True))

    assert 0 < distance(100) < distance(0)


# What a strategy is handed has to be used


DROPPING = """
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import Naive
    from torch.optim import SGD
    from torch.optim.lr_scheduler import ExponentialLR

    class OwnEvaluator(Naive):
        def __init__(self, *, evaluator, **arguments):
            super().__init__(evaluator=EvaluationPlugin(loggers=[]), **arguments)

    class NoEvaluator(Naive):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            del self.evaluator

    class NoPlugins(Naive):
        def __init__(self, *, plugins, **arguments):
            super().__init__(plugins=[], **arguments)

    class SomePlugins(Naive):
        def __init__(self, *, plugins, **arguments):
            super().__init__(plugins=plugins[:-1], **arguments)

    class OtherPlugins(Naive):
        def __init__(self, *, plugins, **arguments):
            super().__init__(plugins=[type(plugin)() for plugin in plugins], **arguments)

    class OwnOptimizer(Naive):
        def __init__(self, *, model, optimizer, **arguments):
            super().__init__(model=model, optimizer=SGD(model.parameters(), lr=0.1), **arguments)

    class OwnSchedule(Naive):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.schedule = ExponentialLR(self.optimizer, gamma=0.5)
"""


@pytest.mark.parametrize("name", ["OwnEvaluator", "NoEvaluator"])
def test_a_strategy_that_does_not_measure_with_the_evaluator_it_is_handed_is_refused(write, built, name):
    write("dropping", DROPPING)
    assert sentence_of(built, f"dropping:{name}") == (
        f"dropping:{name}: expected the strategy to measure with the evaluator that it is handed, found another or "
        "none; hand evaluator on to Avalanche's template, and give more metrics with --metric"
    )


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("NoPlugins", "LwFPlugin, FreshViews, Optimisation"),
        ("SomePlugins", "Optimisation"),
        ("OtherPlugins", "LwFPlugin, FreshViews, Optimisation"),
    ],
)
def test_a_strategy_that_does_not_keep_the_plugins_it_is_handed_is_refused(write, built, name, lost):
    write("dropping", DROPPING)
    plugins = [avalanche_plugins.LwFPlugin()]
    with pytest.raises(UsageError) as caught:
        built(f"dropping:{name}", plugins=plugins)
    assert str(caught.value) == (
        f"dropping:{name}: expected the strategy to keep the plugins that it is handed, found that it lacks {lost}; "
        "hand plugins on to Avalanche's template, with its own beside them"
    )


@pytest.mark.parametrize(("name", "optimizer"), [("OwnOptimizer", "SGD"), ("OwnSchedule", "AdamW")])
def test_an_optimisation_that_would_change_nothing_is_refused(write, built, name, optimizer):
    write("dropping", DROPPING)
    with pytest.raises(UsageError) as caught:
        built(f"dropping:{name}", optimisation={"lr": 0.1, "freeze": "none"})
    assert str(caught.value) == (
        f"dropping:{name} trains by itself, with {optimizer}, so optimisation.lr, optimisation.freeze "
        "would change nothing; set what it offers itself, or have it keep the optimizer that it is handed"
    )
    assert optimisation_of(built(f"dropping:{name}")) is None


def test_an_optimisation_of_a_named_strategy_that_learns_its_own_step_sizes_is_refused(built):
    with pytest.raises(UsageError, match=r"lamaml trains by itself, .* optimisation\.lr would"):
        built("lamaml", optimisation={"lr": 0.5})


@pytest.mark.parametrize("name", ["naive", "joint", "der", "avalanche.training.supervised:Naive"])
def test_an_optimisation_is_that_of_the_strategy(built, name):
    optimisation = optimisation_of(built(name, optimisation={"lr": 0.5, "weight_decay": 0.25}))
    assert optimisation._rates == (0.5, None, 0.25)


# Networks of another make


class Plain(nn.Module):
    """A network that emits the layout, and offers no more than some parts."""

    def __init__(self, layout, *parts):
        super().__init__()
        self.layers = nn.Conv2d(3, layout.channels, 8, stride=8)
        for part in parts:
            setattr(self, part, nn.Identity())

    def forward(self, image):
        return self.layers(image)


@pytest.mark.parametrize(
    ("name", "asked", "method"),
    [
        ("lfl", "get_features, last", "lfl"),
        ("feature-distillation", "head", "feature-distillation"),
        ("cwr-star", "output_layer", "cwr-star"),
        ("replay+lfl", "get_features, last", "lfl"),
    ],
)
def test_a_method_that_asks_for_more_than_a_network_has_is_refused_by_name(setting, tiny, name, asked, method):
    options, _ = options_of([name], [])
    given = replace(setting(), model=Plain(tiny.layout))
    with pytest.raises(UsageError) as caught:
        build(name, given, options)
    assert str(caught.value) == (
        f"strategy {method}: expected a network with {asked}, which Plain does not have; choose another strategy, or "
        "see OneHeadNet for what these are"
    )


def test_only_what_is_missing_is_named(setting, tiny):
    given = replace(setting(), model=Plain(tiny.layout, "last"))
    assert "expected a network with get_features, which" in sentence_of(build, "lfl", given, options_of(["lfl"], [])[0])


@pytest.mark.parametrize("name", ["naive", "replay", "replay+distillation", "ewc", "lwf", "der"])
def test_most_methods_ask_for_nothing_but_the_output(setting, tiny, learn, name):
    given = replace(setting(), model=Plain(tiny.layout))
    strategy = learn(build(name, given, options_of([name], [])[0]), 0, 1)
    assert all(value.isfinite().all() for value in strategy.model.state_dict().values())


@pytest.mark.parametrize(
    ("parts", "optimisation", "key", "part"),
    [
        ((), {"backbone_lr": 0.1}, "backbone_lr", "backbone"),
        ((), {"freeze": "backbone"}, "freeze", "backbone"),
        ((), {"freeze": "stem"}, "freeze", "stem"),
        (("backbone",), {"lr": 0.1, "freeze": "stem"}, "freeze", "stem"),
    ],
)
def test_a_hyper_parameter_of_what_a_network_does_not_have_is_refused(setting, tiny, parts, optimisation, key, part):
    given = replace(setting(optimisation=optimisation), model=Plain(tiny.layout, *parts))
    assert sentence_of(build, "naive", given, {"naive": {}}) == (
        f"naive: optimisation.{key} expects a network with a {part}, which Plain does not have; leave it out"
    )


@pytest.mark.parametrize(
    ("parts", "optimisation"),
    [
        ((), {"lr": 0.1, "weight_decay": 0.0, "freeze": "none"}),
        ((), {"freeze": "usual"}),
        (("backbone",), {"backbone_lr": 0.1, "freeze": "backbone"}),
    ],
)
def test_a_hyper_parameter_of_what_a_network_has_is_taken(setting, tiny, parts, optimisation):
    given = replace(setting(optimisation=optimisation), model=Plain(tiny.layout, *parts))
    assert optimisation_of(build("naive", given, {"naive": {}})) is not None
