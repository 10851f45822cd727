import pytest
import torch
from avalanche.core import SupervisedPlugin

from strategies.multitask import MultiTask
from strategies.optimisation import Optimisation

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


class Watch(SupervisedPlugin):
    """Notes the optimizer that it finds at the start of an experience."""

    def before_training_exp(self, strategy, **kwargs):
        self.groups = len(strategy.optimizer.param_groups)


@pytest.fixture
def make(setting):
    return lambda *plugins, **options: MultiTask(**setting().arguments(plugins), **options)


def recipes(strategy):
    return [plugin for plugin in strategy.plugins if isinstance(plugin, Optimisation)]


def test_a_step_changes_backbone_neck_and_head(make, stream):
    strategy = make()
    before = {name: value.clone() for name, value in strategy.model.state_dict().items()}
    strategy.train(stream[0])
    after = strategy.model.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"backbone", "neck", "head"}


def test_one_strategy_learns_every_experience_in_turn(make, stream):
    strategy = make()
    seen = []

    class Tasks(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            seen.append(set(strategy.mb_y.task.tolist()))

    strategy.plugins.append(Tasks())
    for experience in stream:
        strategy.train(experience)
    assert seen == [{0}] * 2 + [{1}] * 2 + [{2}] * 2


def test_the_optimisation_is_the_usual_one_unless_another_is_given(make):
    (usual,) = recipes(make())
    assert usual._rates == Optimisation()._rates
    other = Optimisation(lr=0.5)
    assert recipes(make(other)) == [other]


def test_the_optimisation_comes_after_the_plugins_that_are_given(make, stream):
    before, after = Watch(), Watch()
    strategy = make(before)
    strategy.plugins.append(after)
    strategy.train(stream[2])
    assert (before.groups, after.groups) == (1, 4)


def test_a_strategy_shares_no_plugins_with_another(make):
    (one,), (other,) = recipes(make()), recipes(make())
    assert one is not other


def test_the_given_list_of_plugins_is_not_changed(setting):
    plugins = [Watch()]
    MultiTask(**setting().arguments() | {"plugins": plugins})
    assert len(plugins) == 1
