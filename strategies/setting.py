"""What every strategy of a run is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import EvaluationPlugin

from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from strategies.optimisation import FreshViews, Optimisation, starting_optimizer


@dataclass(frozen=True)
class Setting:
    """The model, the criterion, the evaluator and the sizes of a run.

    Attributes:
        model: The network, at its start.
        criterion: Its loss.
        evaluator: Measures and logs.
        device: Where to train.
        train_mb_size: Images of the current task a step.
        eval_mb_size: Images a step of evaluation.
        eval_every: Epochs between evaluations during training, -1 for none.
        replay_size: Samples that a memory keeps.
        replay_batch: Samples replayed a step.
        plugins: More plugins, from the user.
    """

    model: OneHeadNet
    criterion: MultiTaskLoss
    evaluator: EvaluationPlugin
    device: torch.device
    train_mb_size: int
    eval_mb_size: int
    replay_size: int
    replay_batch: int
    eval_every: int = -1
    plugins: Sequence[SupervisedPlugin] = ()

    def arguments(self, plugins: Sequence[SupervisedPlugin] = ()) -> dict[str, Any]:
        """The keyword arguments of :class:`~strategies.multitask.MultiTask`, these plugins before the user's."""
        return {
            "model": self.model,
            "criterion": self.criterion,
            "train_mb_size": self.train_mb_size,
            "eval_mb_size": self.eval_mb_size,
            "device": self.device,
            "evaluator": self.evaluator,
            "eval_every": self.eval_every,
            "plugins": [*plugins, *self.plugins, FreshViews()],
        }

    def optimised(self, plugins: Sequence[SupervisedPlugin] = ()) -> dict[str, Any]:
        """The keyword arguments of any other strategy of Avalanche's, to train it as ``MultiTask`` trains."""
        arguments = self.arguments(plugins)
        arguments["plugins"].append(Optimisation())
        return arguments | {"optimizer": starting_optimizer(self.model)}
