from types import SimpleNamespace

import pytest
import torch

from onehead_avl.errors import TrainingError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.runs.watch import LARGEST, FiniteLoss
from onehead_avl.target import Target

NAMES = ("roads", "signs", "scenes", "streets")


@pytest.fixture
def layout():
    """Four experiences, two of them of one kind; the last shares a head with the first."""
    kinds = ("segmentation", "detection", "classification", "segmentation")
    return layout_of_heads(
        [
            (name, "roads" if name == "streets" else name, kind_of(kind), [f"class {i}" for i in range(4)])
            for name, kind in zip(NAMES, kinds, strict=True)
        ]
    )


@pytest.fixture
def state(layout):
    """A step on an image of the first experience and one of the third."""
    target = Target.cat(
        [
            Target.single(0, (16, 16), {"mask": torch.zeros(16, 16, dtype=torch.uint8)}),
            Target.single(2, (16, 16), {"label": 1}),
        ]
    )
    return SimpleNamespace(
        loss=torch.tensor(1.0),
        mb_output=torch.zeros(2, layout.channels, 2, 2),
        mb_y=target,
        _criterion=MultiTaskLoss(layout),
        clock=SimpleNamespace(train_epoch_iterations=4, train_exp_epochs=2, train_exp_counter=1),
    )


@pytest.mark.parametrize("loss", [0.0, -3.0, LARGEST])
def test_an_ordinary_loss_is_let_through(state, layout, loss):
    state.loss = torch.tensor(loss)
    FiniteLoss(layout).before_backward(state)
    FiniteLoss(layout).after_training_iteration(state)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf"), 2 * LARGEST])
def test_a_loss_without_meaning_is_refused_with_the_iteration(state, layout, loss):
    state.loss = torch.tensor(loss)
    where = "in iteration 5 of epoch 3 of stage 2, from what the strategy adds"
    with pytest.raises(TrainingError, match=where):
        FiniteLoss(layout).before_backward(state)
    state.clock.train_epoch_iterations += 1  # as Avalanche's clock does before the plugins behind it
    with pytest.raises(TrainingError, match=where):
        FiniteLoss(layout).after_training_iteration(state)


@pytest.mark.parametrize(("row", "name"), [(0, "roads"), (1, "scenes")])
def test_the_term_of_an_experience_is_named(state, layout, row, name):
    part = layout.parts[NAMES.index(name)]
    right = 0 if name == "roads" else 1
    part.of(state.mb_output)[row, right] = -1e9
    state.loss = state._criterion(state.mb_output, state.mb_y)
    with pytest.raises(TrainingError, match=f"from the loss of {name};"):
        FiniteLoss(layout).before_backward(state)


def test_experiences_that_share_a_head_are_told_apart(state, layout):
    state.mb_y.task[0] = NAMES.index("streets")
    layout.parts[0].of(state.mb_output)[0, 0] = -1e9
    state.loss = state._criterion(state.mb_output, state.mb_y)
    with pytest.raises(TrainingError, match="from the loss of streets;"):
        FiniteLoss(layout).before_backward(state)


def test_an_output_that_is_no_number_is_named(state, layout):
    state.mb_output[0, 0, 0, 0] = float("nan")
    state.loss = torch.tensor(float("nan"))
    with pytest.raises(TrainingError, match="from the network's output, which holds"):
        FiniteLoss(layout).before_backward(state)
