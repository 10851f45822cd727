import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch.optim import AdamW

from strategies.optimisation import FreshViews, Optimisation, is_as_handed

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


@pytest.fixture
def plugins():
    return [SupervisedPlugin() for _ in range(3)]


def test_the_arguments_are_what_the_setting_says(setting):
    given = setting(train_mb_size=5, eval_mb_size=3)
    arguments = given.arguments()
    assert arguments["model"] is given.model
    assert arguments["criterion"] is given.criterion
    assert arguments["evaluator"] is given.evaluator
    assert arguments["device"] == torch.device("cpu")
    assert [arguments[name] for name in ("train_mb_size", "eval_mb_size")] == [5, 3]


def test_the_plugins_of_a_method_come_before_the_users(setting, plugins):
    given = setting(plugins=plugins[2:])
    *found, last = given.arguments(plugins[:2])["plugins"]
    assert found == plugins
    assert type(last) is FreshViews
    assert given.arguments()["plugins"][:-1] == plugins[2:]


def test_other_strategies_are_given_the_optimisation_after_all_plugins(setting, plugins):
    given = setting(plugins=plugins[2:])
    arguments = given.optimised(plugins[:2])
    *first, views, last = arguments["plugins"]
    assert first == plugins
    assert type(views) is FreshViews
    assert type(last) is Optimisation
    assert arguments.keys() == given.arguments().keys()


def test_the_optimizer_that_is_handed_is_an_adamw_over_the_whole_network(setting):
    given = setting()
    optimizer = given.arguments()["optimizer"]
    assert type(optimizer) is AdamW
    assert is_as_handed(optimizer)
    (group,) = optimizer.param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in given.model.parameters()}


def test_the_optimisation_is_as_the_setting_has_it(setting):
    *_, last = setting(optimisation={"lr": 0.5, "freeze": "none"}).optimised()["plugins"]
    assert last._rates == (0.5, None, 0.05)
    assert last._freeze == "none"


def test_arguments_can_be_asked_for_again(setting, plugins):
    given = setting(plugins=plugins)
    one, other = given.optimised(), given.optimised()
    assert len(one["plugins"]) == len(other["plugins"]) == 5
    assert one["plugins"][-1] is not other["plugins"][-1]
    assert given.plugins == plugins
