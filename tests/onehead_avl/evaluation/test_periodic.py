import pytest
import torch
from avalanche.core import SupervisedPlugin

from onehead_avl.evaluation.periodic import PeriodicEvaluation, evaluate_undisturbed
from onehead_avl.system.randomness import random_state

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


class Evaluations(SupervisedPlugin):
    """Notes after how many epochs of which experience an evaluation came, and of what."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.streams = []

    def before_eval(self, strategy, **kwargs):
        self.seen.append((strategy.clock.train_exp_counter, strategy.clock.train_exp_epochs))
        self.streams.append([experience.current_experience for experience in strategy.current_eval_stream])
        assert {module.training for module in strategy.model.modules()} == {False}


def every(epochs):
    return lambda benchmark: PeriodicEvaluation(epochs, benchmark.test_stream)


@pytest.mark.parametrize(
    ("epochs_between", "epochs", "seen"),
    [
        (1, (3, 2), [(0, 1), (0, 2), (1, 1)]),
        (2, (5, 2), [(0, 2), (0, 4)]),
        (2, (4, 3), [(0, 2), (1, 2)]),
        (3, (3, 2), []),
        (3, (2, 7), [(1, 3), (1, 6)]),
    ],
)
def test_it_evaluates_after_every_so_many_epochs_of_an_experience_but_for_its_last(
    learned, epochs_between, epochs, seen
):
    evaluations = Evaluations()
    learned(lambda benchmark: evaluations, every(epochs_between), epochs=epochs)
    assert evaluations.seen == seen
    assert evaluations.streams == [[0, 1]] * len(seen)


def test_what_is_learned_is_the_same_with_it_and_without(learned, assert_learned_the_same):
    with_it, without = learned(every(1)), learned()
    assert_learned_the_same(with_it, without)
    assert {tuple(modes) for modes in with_it.notes.modes} == {(True, True, True, False, True, True, True)}


def test_avalanches_own_draws_random_numbers_that_training_would_have(learned):
    disturbed, undisturbed = (run.notes.weights[0] for run in (learned(eval_every=1), learned()))
    assert not torch.equal(disturbed[-1]["layers.0.weight"], undisturbed[-1]["layers.0.weight"])


def test_an_evaluation_undisturbed_measures_and_leaves_no_trace(learned):
    run = learned()
    strategy = run.strategy
    strategy.model.train()
    strategy.model.layers[1].eval()
    strategy.evaluator.reset_last_metrics()
    modes, before = [module.training for module in strategy.model.modules()], random_state()
    weights = {name: value.clone() for name, value in strategy.model.state_dict().items()}
    evaluate_undisturbed(strategy, run.benchmark.test_stream, 0)
    assert any(name.startswith("mIoU_Exp/") for name in strategy.evaluator.get_last_metrics())
    assert [module.training for module in strategy.model.modules()] == modes
    assert all(torch.equal(value, weights[name]) for name, value in strategy.model.state_dict().items())
    after = random_state()
    assert torch.equal(after.pop("torch"), before.pop("torch"))
    assert after == before
