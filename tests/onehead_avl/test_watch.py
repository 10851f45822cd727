from types import SimpleNamespace

import pytest
import torch

from onehead_avl.errors import TrainingError
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.target import Target
from onehead_avl.tasks import Task
from onehead_avl.watch import LARGEST, FiniteLoss


@pytest.fixture
def state(layout, blank):
    output = blank(2, 2, 2)
    target = Target.cat(
        [
            Target.single(Task.SEG, (16, 16), mask=torch.zeros(16, 16, dtype=torch.uint8)),
            Target.single(Task.CLS, (16, 16), label=1),
        ]
    )
    return SimpleNamespace(
        loss=torch.tensor(1.0),
        mb_output=output,
        mb_y=target,
        _criterion=MultiTaskLoss(layout),
        clock=SimpleNamespace(train_epoch_iterations=4, train_exp_epochs=2, train_exp_counter=1),
    )


@pytest.mark.parametrize("loss", [0.0, -3.0, LARGEST])
def test_an_ordinary_loss_is_let_through(state, loss):
    state.loss = torch.tensor(loss)
    FiniteLoss().before_backward(state)
    FiniteLoss().after_training_iteration(state)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf"), 2 * LARGEST])
def test_a_loss_without_meaning_is_refused_with_the_iteration(state, loss):
    state.loss = torch.tensor(loss)
    where = "in iteration 5 of epoch 3 of stage 2, from what the strategy adds"
    with pytest.raises(TrainingError, match=where):
        FiniteLoss().before_backward(state)
    state.clock.train_epoch_iterations += 1  # as Avalanche's clock does before the plugins behind it
    with pytest.raises(TrainingError, match=where):
        FiniteLoss().after_training_iteration(state)


def test_the_term_of_a_task_is_named(state, layout):
    layout.segmentation(state.mb_output)[0, 0] = -1e9
    state.loss = state._criterion(state.mb_output, state.mb_y)
    with pytest.raises(TrainingError, match="from the segmentation loss"):
        FiniteLoss().before_backward(state)


def test_an_output_that_is_no_number_is_named(state):
    state.mb_output[0, 0, 0, 0] = float("nan")
    state.loss = torch.tensor(float("nan"))
    with pytest.raises(TrainingError, match="from the network's output, which holds"):
        FiniteLoss().before_backward(state)
